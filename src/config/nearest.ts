// This file is the search for the name that was meant: edit distance at most 2, case ignored. product.md §4.

const MAX_DISTANCE = 2;
/** No name of ours is longer; a longer word is a mistake of another kind and not worth the quadratic search. */
const MAX_LENGTH = 64;

/**
 * Counts the insertions, deletions, substitutions and swaps of neighbours between two words (optimal string alignment).
 */
export function editDistance(from: string, to: string): number {
  let twoBack: number[] = [];
  let back = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const cost = from[row - 1] === to[column - 1] ? 0 : 1;
      let best = Math.min(
        (back[column] as number) + 1,
        (current[column - 1] as number) + 1,
        (back[column - 1] as number) + cost,
      );
      if (
        row > 1 &&
        column > 1 &&
        from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1]
      ) {
        best = Math.min(best, (twoBack[column - 2] as number) + 1);
      }
      current.push(best);
    }
    twoBack = back;
    back = current;
  }
  return back[to.length] as number;
}

/** Finds the nearest of `candidates`; undefined when none is near. Of equals the first wins. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  let found: string | undefined;
  let least = MAX_DISTANCE + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    // "x" is two edits from every two-letter name: at least half of the word has to be right.
    if (distance < least && distance * 2 <= Math.max(word.length, candidate.length)) {
      least = distance;
      found = candidate;
    }
  }
  return found;
}
