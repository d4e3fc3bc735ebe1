// This file is what the owner is told of connections that were reset: at once, then once in ten seconds. http.md §1; S-43.
import type { Deadline, Deadlines } from "../../deadlines.ts";
import type { Logger } from "../../log.ts";
import type { AdmissionRefusal } from "./peer-limits.ts";

/** Why, as it stands behind a number. */
const WORDS: Readonly<Record<AdmissionRefusal, string>> = {
  penalty: "from addresses that are shut out",
  connectionsPerSource: "above the connections of one address",
  acceptRate: "above the rate of one address",
  connections: "above the connections of this process",
  pendingHandshakes: "above the handshakes of this process",
};

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
    const reasons = [...this.#counts].map(([refusal, count]) => `${count} ${WORDS[refusal]}`);
    this.#log.warn(
      "listen",
      `Connections were reset: ${reasons.join(", ")}`,
      Object.fromEntries(this.#counts),
    );
    this.#counts.clear();
    this.#pause = this.#deadlines.schedule(EVERY_MS, () => {
      this.#pause = undefined;
      if (this.#counts.size > 0) this.#tell();
    });
  }
}
