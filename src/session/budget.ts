// This file is the memory that all sessions of a process share, and each session's part of it. PROTOCOL §5.1, §5.3.
import {
  PROCESS_MAX,
  PROCESS_SHARE,
  RECV_SESSION_CONNECTOR,
  RECV_SESSION_EDGE,
  RETAIN_SESSION,
} from "../wire/index.ts";
import type { SessionBudget, Side } from "./core/index.ts";

/** Counts what all sessions hold: received and not consumed, retained, unsent. Bytes. */
export class ProcessBudget {
  readonly #total: number;
  #held = 0;

  /** @param memoryBytes What the process may use: the cgroup's limit, else the physical memory. */
  constructor(memoryBytes: number) {
    this.#total = Math.min(PROCESS_SHARE * memoryBytes, PROCESS_MAX);
  }

  get held(): number {
    return this.#held;
  }

  /** The budget of one more session. */
  forSession(side: Side): SessionBudget {
    return {
      receive: side === "edge" ? RECV_SESSION_EDGE : RECV_SESSION_CONNECTOR,
      retain: RETAIN_SESSION,
      unsent: RETAIN_SESSION,
      pressure: this.#pressure,
      hold: this.#hold,
    };
  }

  readonly #pressure = (): number => this.#held / this.#total;

  readonly #hold = (bytes: number): void => {
    this.#held += bytes;
  };
}
