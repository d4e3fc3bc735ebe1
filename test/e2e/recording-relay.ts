// This file is a TCP relay that keeps every byte of both directions: what somebody on the way could write down.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { within } from "../within.ts";

export class RecordingRelay implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #chunks: Buffer[] = [];

  private constructor(target: number) {
    this.#server = createServer((near) => {
      const far = connect({ host: "127.0.0.1", port: target });
      this.#forward(near, far);
      this.#forward(far, near);
    });
  }

  static async to(target: number): Promise<RecordingRelay> {
    const relay = new RecordingRelay(target);
    relay.#server.listen({ host: "127.0.0.1", port: 0 });
    await within(once(relay.#server, "listening"), "the relay");
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** All that passed, one character for each byte. */
  get captured(): string {
    return Buffer.concat(this.#chunks).toString("latin1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    await within(closed, "the end of the relay");
  }

  #forward(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    from.on("data", (bytes: Buffer) => {
      this.#chunks.push(bytes);
      if (!to.write(bytes)) from.pause();
    });
    to.on("drain", () => from.resume());
  }
}
