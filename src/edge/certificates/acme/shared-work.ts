// This file is work that many need at a time and one of them does: orders that start together read one directory and make one account.
import { TunlError } from "../../../errors.ts";
import { waitUnless } from "../source.ts";

/** Done under the signal of whoever came first; when that one leaves, the next does it. */
export class SharedWork<T> {
  #running: Promise<T> | undefined;

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** @throws what the work does, whoever does it; the reason of `signal`, which ends the wait. */
  async run(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    while (this.#running !== undefined) {
      try {
        return await waitUnless(this.#running, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof TunlError) throw error;
      }
    }
    this.#running = work().finally(() => {
      this.#running = undefined;
    });
    return await this.#running;
  }
}
