// This file is the memory that all sessions of a process share, and each session's part of it. PROTOCOL §5.1, §5.3.
import { totalmem } from "node:os";
import {
  PRESSURE_FULL,
  PROCESS_MAX,
  PROCESS_SHARE,
  RECV_SESSION_CONNECTOR,
  RECV_SESSION_EDGE,
  RETAIN_SESSION,
} from "../wire/index.ts";
import type { SessionBudget, Side } from "./core/index.ts";

/** What a session sees at most while others hold more than it does: it feels the pressure, but need not relieve it. */
const PRESSURE_OF_OTHERS = 0.99 * PRESSURE_FULL;

/** Counts what all sessions hold: received and not consumed, retained, unsent. Bytes. */
export class ProcessBudget {
  readonly #total: number;
  readonly #parts = new Set<BudgetPart>();
  #held = 0;

  /** @param total What all sessions may hold together. */
  constructor(total: number = processShare()) {
    this.#total = total;
  }

  get held(): number {
    return this.#held;
  }

  /** Sessions that have a part. */
  get parts(): number {
    return this.#parts.size;
  }

  /** The part of one more session; `end()` gives it back. */
  forSession(side: Side): BudgetPart {
    const part = new BudgetPart(this, side);
    this.#parts.add(part);
    return part;
  }

  /** For its parts only. */
  hold(bytes: number): void {
    const before = this.#held;
    this.#held += bytes;
    const full = PRESSURE_FULL * this.#total;
    if (before >= full || this.#held < full) return;
    // Those that must give way may have nothing to do that would let them notice.
    for (const part of this.#parts) if (this.#isAboveMean(part)) part.whenFull?.();
  }

  /** For its parts only: bytes held / budget; from 1.0 on only for the sessions that hold most. */
  pressureOn(part: BudgetPart): number {
    const pressure = this.#held / this.#total;
    return pressure < PRESSURE_FULL || this.#isAboveMean(part)
      ? pressure
      : Math.min(pressure, PRESSURE_OF_OTHERS);
  }

  /** For its parts only. */
  end(part: BudgetPart): void {
    this.#parts.delete(part);
  }

  /** At least one session is, whatever they hold. */
  #isAboveMean(part: BudgetPart): boolean {
    return part.held * this.#parts.size >= this.#held;
  }
}

/** The part of the memory that the process may use: of the cgroup's limit or, without one, of the physical memory. */
export function processShare(
  limit: number = process.constrainedMemory(),
  physical: number = totalmem(),
): number {
  // Without a limit the runtime says 0 or more than there is.
  const memory = limit > 0 ? Math.min(limit, physical) : physical;
  return Math.min(PROCESS_SHARE * memory, PROCESS_MAX);
}

/** What one session may hold, and its view of the process. */
export class BudgetPart implements SessionBudget {
  readonly receive: number;
  readonly retain = RETAIN_SESSION;
  readonly unsent = RETAIN_SESSION;
  /** Is called when the process became full and this session is one of those that hold most; must only take a note. */
  whenFull: (() => void) | undefined;
  readonly #process: ProcessBudget;
  #held = 0;

  constructor(process: ProcessBudget, side: Side) {
    this.#process = process;
    this.receive = side === "edge" ? RECV_SESSION_EDGE : RECV_SESSION_CONNECTOR;
  }

  get held(): number {
    return this.#held;
  }

  pressure(): number {
    return this.#process.pressureOn(this);
  }

  hold(bytes: number): void {
    this.#held += bytes;
    this.#process.hold(bytes);
  }

  /** The session is over: what it still counts is given back. */
  end(): void {
    this.hold(-this.#held);
    this.whenFull = undefined;
    this.#process.end(this);
  }
}
