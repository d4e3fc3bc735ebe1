// This file is the resident memory of a candidate's processes over a run: before, peak, after. benchmarks.md §7.
import { memoryOf } from "../rig/process-figures.ts";
import type { Candidate } from "./candidates.ts";

const SAMPLE_MS = 200;

/** Resident memory of one process over the run, in bytes. */
export interface MemoryFigures {
  readonly rss: { before: number; peak: number; after: number };
  readonly anonymous: { before: number; peak: number; after: number };
}

/** Looks at the memory of a candidate's processes, five times a second. */
export class MemoryWatch implements Disposable {
  readonly #processes: Readonly<Record<string, number>>;
  readonly #figures = new Map<string, MemoryFigures>();
  readonly #timer: NodeJS.Timeout;

  /** Now is "before". */
  constructor({ processes }: Candidate) {
    this.#processes = processes;
    for (const [name, pid] of Object.entries(processes)) {
      const { rss, anonymous } = memoryOf(pid);
      this.#figures.set(name, { rss: three(rss), anonymous: three(anonymous) });
    }
    this.#timer = setInterval(() => this.#look(), SAMPLE_MS);
  }

  /** Now is "after". */
  finish(): Readonly<Record<string, MemoryFigures>> {
    this.#look();
    return Object.fromEntries(this.#figures);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const [name, figures] of this.#figures) {
      const now = memoryOf(this.#processes[name] as number);
      for (const kind of ["rss", "anonymous"] as const) {
        figures[kind].after = now[kind];
        figures[kind].peak = Math.max(figures[kind].peak, now[kind]);
      }
    }
  }
}

function three(bytes: number): { before: number; peak: number; after: number } {
  return { before: bytes, peak: bytes, after: bytes };
}
