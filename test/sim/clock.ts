// This file is virtual time: a queue of events, run in the order of their times.

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class Clock {
  /** Milliseconds since the run began. */
  now = 0;
  readonly #heap: Event[] = [];
  #order = 0;

  /** Runs `run` at `at`, not before what was asked for the same time earlier. */
  at(at: number, run: () => void): void {
    this.#order += 1;
    const event = { at: Math.max(at, this.now), order: this.#order, run };
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[index] = heap[parent] as Event;
      index = parent;
    }
    heap[index] = event;
  }

  /** Runs the earliest event if it is due by `until`. Returns false where none is; the time is `until` then. */
  step(until: number): boolean {
    const event = this.#heap[0];
    if (event === undefined || event.at > until) {
      this.now = until;
      return false;
    }
    this.#removeFirst();
    this.now = event.at;
    event.run();
    return true;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event))
        child += 1;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
