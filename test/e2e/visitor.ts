// This file is a visitor with one connection that it keeps: requests as bytes, one at a time, for what curl cannot do.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type TLSSocket } from "node:tls";
import { within } from "../within.ts";
import type { Reachable } from "./rig.ts";

/** An answer with a Content-Length, as all of these tests expect them. */
export interface Reply {
  readonly status: number;
  /** Field `tunl-error`, where tunl itself answered. */
  readonly error: string | undefined;
  readonly body: string;
  /** False: the edge closes this connection. */
  readonly isKept: boolean;
}

/** A TLS connection to the edge as a browser without HTTP/2 makes it; `secureConnect` is to come. */
export function dial(edge: Reachable, host: string): TLSSocket {
  return connect({
    host: "127.0.0.1",
    port: edge.port,
    servername: host,
    ca: readFileSync(edge.ca),
    ALPNProtocols: ["http/1.1"],
  });
}

export class Visitor implements Disposable {
  readonly authority: string;
  readonly #socket: TLSSocket;
  #text = "";
  #wake: (() => void) | undefined;
  #end: string | undefined;

  private constructor(socket: TLSSocket, authority: string) {
    this.#socket = socket;
    this.authority = authority;
    socket.on("data", (bytes: Buffer) => {
      this.#text += bytes.toString("latin1");
      this.#wake?.();
    });
    const ended = (why: string) => () => {
      this.#end ??= why;
      this.#wake?.();
    };
    socket.on("error", (error) => ended(error.message)());
    socket.on("end", ended("the edge ended the connection"));
    socket.on("close", ended("the connection was closed"));
  }

  static async open(edge: Reachable, host: string): Promise<Visitor> {
    const socket = dial(edge, host);
    const visitor = new Visitor(socket, `${host}:${edge.port}`);
    await within(once(socket, "secureConnect"), "the TLS handshake");
    return visitor;
  }

  /** What has come and was not taken as an answer, one character per byte. */
  get received(): string {
    return this.#text;
  }

  send(text: string): void {
    this.#socket.write(text, "latin1");
  }

  /** The next answer. @throws when the connection ends before. */
  answer(): Promise<Reply> {
    return this.#next(true);
  }

  /** The next answer to HEAD: its fields announce a body that does not follow. */
  head(): Promise<Reply> {
    return this.#next(false);
  }

  async #next(hasBody: boolean): Promise<Reply> {
    for (;;) {
      const reply = this.#take(hasBody);
      if (reply !== undefined) return reply;
      if (this.#end !== undefined)
        throw new Error(`No whole answer: ${this.#end}; so far ${JSON.stringify(this.#text)}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await within(promise, "an answer");
    }
  }

  #take(hasBody: boolean): Reply | undefined {
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const head = this.#text.slice(0, end);
    if (/^HTTP\/1.1 1(?!01)/.test(head)) {
      // An interim one.
      this.#text = this.#text.slice(end + 4);
      return this.#take(hasBody);
    }
    const announced = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    const length = hasBody ? announced : 0;
    const next = end + 4 + length;
    if (this.#text.length < next) return undefined;
    const body = this.#text.slice(end + 4, next);
    this.#text = this.#text.slice(next);
    return {
      status: Number(head.split(" ")[1]),
      error: /^tunl-error: (\S+)$/im.exec(head)?.[1],
      body,
      isKept: !/^connection: close$/im.test(head),
    };
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
