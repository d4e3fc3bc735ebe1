// This file is one simulated process: its clock, its event loop that can stand still, its memory, its death.
import { ProcessBudget, type Side } from "../../src/session/index.ts";
import type { Clock } from "./clock.ts";

/** What stands on a process and must hear of its clock and its end. */
export interface Inhabitant {
  /** Own time moved: timers that are due now fire now. */
  moved(): void;
  /** The process is gone; nothing of it runs any more. */
  died(): void;
}

export class Process {
  readonly side: Side;
  readonly budget: ProcessBudget;
  isDead = false;
  readonly #clock: Clock;
  readonly #memory: number;
  /** What other sessions of the process hold. */
  readonly #ballast: ReturnType<ProcessBudget["forSession"]>;
  #offset = 0;
  #disturbedAt = 0;
  #blockedUntil = 0;
  #waiting: (() => void)[] = [];
  readonly #inhabitants: Inhabitant[] = [];

  /** @param memory Bytes that all sessions of the process may hold together. */
  constructor(side: Side, clock: Clock, memory: number) {
    this.side = side;
    this.#clock = clock;
    this.#memory = memory;
    this.budget = new ProcessBudget(memory);
    this.#ballast = this.budget.forSession(side);
  }

  enter(inhabitant: Inhabitant): void {
    this.#inhabitants.push(inhabitant);
  }

  /** Its own monotonic time, ms. */
  get now(): number {
    return this.#clock.now + this.#offset;
  }

  get isBlocked(): boolean {
    return this.#clock.now < this.#blockedUntil;
  }

  /** Own time since when nothing disturbed it. */
  get calmSince(): number {
    return this.#disturbedAt + this.#offset;
  }

  /** Everything that its sessions hold together, against what they may. */
  get isFull(): boolean {
    return this.budget.held >= this.#memory;
  }

  /** Runs `run` at an own time, once the loop is free. */
  at(time: number, run: () => void): void {
    this.#clock.at(time - this.#offset, () => this.when(run));
  }

  /** Runs now or, in the same order, when the loop is free again. */
  when(run: () => void): void {
    if (this.isDead) return;
    if (this.#waiting.length === 0 && !this.isBlocked) {
      run();
      return;
    }
    this.#waiting.push(run);
    if (this.#waiting.length === 1) this.#clock.at(this.#blockedUntil, () => this.#resume());
  }

  // What happens to it

  /** The loop stands still, as under SIGSTOP or beside a greedy neighbour. */
  block(ms: number): void {
    this.#blockedUntil = Math.max(this.#blockedUntil, this.#clock.now + ms);
    this.#disturbedAt = this.#blockedUntil;
  }

  /** Its clock jumps forward. */
  jump(ms: number): void {
    this.#offset += ms;
    this.#disturbedAt = Math.max(this.#disturbedAt, this.#clock.now);
    for (const inhabitant of this.#inhabitants) inhabitant.moved();
  }

  /** Other sessions of the process hold this share of its memory from now on. */
  press(share: number): void {
    this.#ballast.hold(Math.floor(share * this.#memory) - this.#ballast.held);
  }

  crash(): void {
    this.isDead = true;
    this.#waiting = [];
    for (const inhabitant of this.#inhabitants) inhabitant.died();
  }

  #resume(): void {
    if (this.isBlocked) {
      this.#clock.at(this.#blockedUntil, () => this.#resume());
      return;
    }
    // What comes up meanwhile is appended and runs in its turn; a crash among it ends the rest.
    for (let index = 0; index < this.#waiting.length; index++) this.#waiting[index]?.();
    this.#waiting = [];
  }
}
