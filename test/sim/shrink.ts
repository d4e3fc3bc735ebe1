// This file is the search for the shortest list of events that still fails, by leaving out halves, quarters and so on. PROTOCOL §10 item 3.

/** Most runs of one search: a failure is printed in seconds, even where it is not the shortest. */
const RUNS = 600;

/**
 * A list from which no single event can be left out, as far as `RUNS` allows.
 *
 * @param fails True where a list fails in the way looked for.
 */
export function shrink<Event>(
  events: readonly Event[],
  fails: (events: readonly Event[]) => boolean,
): readonly Event[] {
  let shortest = events;
  let runs = 0;
  for (let size = Math.ceil(shortest.length / 2); size >= 1;) {
    let hasShrunk = false;
    for (let from = 0; from < shortest.length && runs < RUNS;) {
      const fewer = [...shortest.slice(0, from), ...shortest.slice(from + size)];
      runs += 1;
      // What follows has moved to the place that was cut out: the same place is tried again.
      if (fails(fewer)) {
        shortest = fewer;
        hasShrunk = true;
      } else from += size;
    }
    if (runs >= RUNS) break;
    if (size === 1 && !hasShrunk) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return shortest;
}
