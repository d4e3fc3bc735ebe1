// This file is what the owner is told of connections that were reset: at once, then once in ten seconds. http.md §1; S-43.
import type { Deadline, Deadlines } from "../../deadlines.ts";
import type { Logger } from "../../log.ts";
import type { AdmissionRefusal } from "./peer-limits.ts";

/** One line at most this often. */
const EVERY_MS = 10_000;

/** Counts refusals of all listeners; a flood is two lines, not ten thousand. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #deadlines: Deadlines;
  readonly #counts = new Map<AdmissionRefusal, number>();
  #pause: Deadline | undefined;

  constructor(deadlines: Deadlines, log: Logger) {
    this.#deadlines = deadlines;
    this.#log = log;
  }

  readonly note = (refusal: AdmissionRefusal): void => {
    this.#counts.set(refusal, (this.#counts.get(refusal) ?? 0) + 1);
    if (this.#pause === undefined) this.#tell();
  };

  #tell(): void {
    this.#log.warn("listen", "Connections were reset", Object.fromEntries(this.#counts));
    this.#counts.clear();
    this.#pause = this.#deadlines.schedule(EVERY_MS, () => {
      this.#pause = undefined;
      if (this.#counts.size > 0) this.#tell();
    });
  }
}
