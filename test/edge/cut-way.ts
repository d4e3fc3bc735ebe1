// This file is a way between a connector and an edge that is cut after a given byte, or holds one direction back for a while.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { within } from "../within.ts";

/** `down`: from the edge to the connector. */
export type Direction = "down" | "up";

/** Passes bytes on between whoever connects and a port. */
export class CutWay implements AsyncDisposable {
  readonly passed: Record<Direction, number> = { down: 0, up: 0 };
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  readonly #held: Record<Direction, Buffer[] | undefined> = { down: undefined, up: undefined };
  #cut: { readonly direction: Direction; readonly at: number } | undefined;

  private constructor(toPort: number) {
    this.#server = createServer((near) => {
      const far = connect(toPort, "127.0.0.1");
      this.#sockets.push(near, far);
      this.#join(near, far, "up");
      this.#join(far, near, "down");
    });
  }

  static async open(toPort: number): Promise<CutWay> {
    const way = new CutWay(toPort);
    way.#server.listen(0, "127.0.0.1");
    await within(once(way.#server, "listening"), "the way");
    return way;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Both ends get an RST in place of what stands behind the next `bytes` of this direction. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#cut = { direction, at: this.passed[direction] + bytes };
    if (bytes === 0) this.cut();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  holdBack(direction: Direction): void {
    this.#held[direction] ??= [];
  }

  release(direction: Direction): void {
    const held = this.#held[direction] ?? [];
    this.#held[direction] = undefined;
    const [near, far] = this.#sockets;
    for (const bytes of held) this.#pass(direction, bytes, direction === "up" ? far : near);
  }

  #join(from: Socket, to: Socket, direction: Direction): void {
    // A reset by us or by one of the ends: the other one gets it, too.
    from.on("error", () => to.resetAndDestroy());
    from.on("end", () => to.end());
    from.on("data", (bytes: Buffer) => {
      const held = this.#held[direction];
      if (held === undefined) this.#pass(direction, bytes, to);
      else held.push(bytes);
    });
  }

  #pass(direction: Direction, bytes: Buffer, to: Socket | undefined): void {
    const room = this.#cut?.direction === direction ? this.#cut.at - this.passed[direction] : null;
    if (room === null || bytes.length < room) {
      this.passed[direction] += bytes.length;
      to?.write(bytes);
      return;
    }
    // What was passed on before arrives; an RST would overtake it.
    this.passed[direction] += room;
    to?.write(bytes.subarray(0, room), () => this.cut());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
