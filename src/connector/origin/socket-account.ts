// This file is how many sockets to origins may be open at a time, of all origins together: a part of the descriptors. http.md §1, reliability.md §6.
import type { Socket } from "node:net";
import { reached } from "../../limits.ts";
import type { DialEvents, OriginDialer } from "./dial-origin.ts";
import { failure } from "./failures.ts";

/** Counts sockets from the start of their dial to their end. */
export class SocketAccount {
  readonly #most: number;
  #open = 0;

  /** @param most `spareDescriptors` of the process. */
  constructor(most: number) {
    this.#most = most;
  }

  get open(): number {
    return this.#open;
  }

  /**
   * Dials where there is room; else one event, asynchronously, as after any dial that failed.
   *
   * @param makeRoom Closes a connection that is only kept for later; false where there is none.
   * @returns Gives the dial up: no event follows.
   */
  dial(
    dialer: OriginDialer,
    serverName: string,
    events: DialEvents,
    makeRoom: () => boolean,
  ): () => void {
    if (this.#open >= this.#most && !makeRoom()) return this.#refuse(dialer, events);
    this.#open += 1;
    let isOpen = true;
    const leave = (): void => {
      if (isOpen) this.#open -= 1;
      isOpen = false;
    };
    const cancel = dialer.dial(serverName, {
      connected: (socket: Socket) => {
        socket.once("close", leave);
        events.connected(socket);
      },
      failed: (cause) => {
        leave();
        events.failed(cause);
      },
    });
    return () => {
      leave();
      cancel();
    };
  }

  #refuse(dialer: OriginDialer, events: DialEvents): () => void {
    reached("originSockets");
    const { url } = dialer.options.target;
    const text = `Connecting to ${url} failed: ${this.#open} sockets are open, as many as the limit of descriptors allows`;
    const timer = setImmediate(() => events.failed(failure("ORIGIN_UNREACHABLE", false, text)));
    return () => clearImmediate(timer);
  }
}
