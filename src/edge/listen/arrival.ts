// This file is one accepted connection from accept to the end of its handshake. http.md §1 steps 3 to 5.
//
//   hello ──hand-over──► handshake ──secureConnection──► open
//     │ refused               │ deadline, TLS error        │ its owner closes it
//     ▼                       ▼                            ▼
//   refused ──────────────► closed ◄───────────────────────┘
import type { Socket } from "node:net";
import type { Server as TlsServer } from "node:tls";
import type { Deadline, Deadlines } from "../../deadlines.ts";
import { bug } from "../../errors.ts";
import { type LimitName, reached } from "../../limits.ts";
import { type Alert, type ClientHello, readClientHello } from "./client-hello.ts";
import type { Place } from "./peer-limits.ts";

export type ArrivalState = "hello" | "refused" | "handshake" | "open" | "closed";

/** What the table of http.md §1 decides about a hello. */
export type Decision =
  | { readonly kind: "handOver"; readonly server: TlsServer }
  | { readonly kind: "refuse"; readonly alert: Alert };

export type Decide = (hello: ClientHello) => Decision;

/** Milliseconds after accept; 0 is never. */
export interface ArrivalTimeouts {
  readonly clientHelloMs: number;
  readonly handshakeMs: number;
}

/** `timeouts.clientHello` and `timeouts.handshake` (http.md §14). */
export const ARRIVAL_TIMEOUTS: ArrivalTimeouts = { clientHelloMs: 5_000, handshakeMs: 10_000 };

export interface ArrivalContext {
  readonly deadlines: Deadlines;
  readonly timeouts: ArrivalTimeouts;
  readonly decide: Decide;
  /** A hello that broke the grammar; counts towards the penalty box. */
  readonly onMalformed: (reason: string) => void;
  /** An exception of ours; must close the connection. */
  readonly onBug: (error: unknown) => void;
}

/** A refused peer may take this long to read its alert and close; its further bytes are thrown away. */
const LINGER_MS = 2_000;

/** For somebody who speaks HTTP to this port: browsers show it, and it says nothing of what is behind. */
const PLAIN_HTTP_ANSWER = Buffer.from(
  "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 21\r\nConnection: close\r\n\r\nthis port speaks TLS\n",
  "latin1",
);

const NEXT: Readonly<Record<ArrivalState, readonly ArrivalState[]>> = {
  hello: ["refused", "handshake", "closed"],
  refused: ["closed"],
  handshake: ["open", "closed"],
  open: ["closed"],
  closed: [],
};

/** Owns the raw socket until it is handed over, and the handshake deadline until that has ended. */
export class Arrival {
  readonly socket: Socket;
  readonly place: Place;
  readonly #context: ArrivalContext;
  readonly #acceptedAt: number;
  #state: ArrivalState = "hello";
  #received: Buffer | undefined;
  #length = 0;
  /** Bytes without which the reader has nothing new to say. */
  #needed = 1;
  #deadline: Deadline | undefined;
  readonly #closed = Promise.withResolvers<void>();

  /** @param now Monotonic milliseconds at accept. */
  constructor(socket: Socket, place: Place, context: ArrivalContext, now: number) {
    this.socket = socket;
    this.place = place;
    this.#context = context;
    this.#acceptedAt = now;
  }

  get state(): ArrivalState {
    return this.#state;
  }

  /** Starts reading; the socket is paused and has its `error` listener. */
  start(): void {
    this.socket.once("close", this.#onClose);
    this.socket.on("data", this.#onData);
    // FIN instead of a hello: nobody is left to answer.
    this.socket.once("end", this.#onEnd);
    this.#expireAt(this.#context.timeouts.clientHelloMs, "helloTime");
    this.socket.resume();
  }

  /** The handshake ended well: from here on the connection has an owner with deadlines of its own. */
  complete(): void {
    this.#become("open");
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.place.settle();
  }

  /** Closes the connection at once, whoever owns it. Resolves when it is closed and its place given back. */
  abort(): Promise<void> {
    this.socket.destroy();
    return this.#closed.promise;
  }

  readonly #onClose = (): void => {
    this.#become("closed");
    this.#deadline?.cancel();
    this.#received = undefined;
    this.place.release();
    this.#closed.resolve();
  };

  readonly #onEnd = (): void => {
    if (this.#state === "hello") this.socket.destroy();
  };

  readonly #onData = (chunk: Buffer): void => {
    // Refused: the rest is read and thrown away.
    if (this.#state !== "hello") return;
    try {
      this.#read(chunk);
    } catch (error) {
      this.#context.onBug(error);
    }
  };

  #read(chunk: Buffer): void {
    this.#append(chunk);
    if (this.#length < this.#needed) return;
    const bytes = this.#bytes();
    const reading = readClientHello(bytes);
    switch (reading.kind) {
      case "needBytes":
        this.#needed = reading.total;
        return;
      case "refused":
        if (isLetter(bytes[0])) return this.#refuse(PLAIN_HTTP_ANSWER);
        if (reading.limit !== undefined) reached(reading.limit);
        this.#context.onMalformed(reading.reason);
        return this.#refuse(alertRecord(reading.alert));
      case "hello": {
        const decision = this.#context.decide(reading.hello);
        if (decision.kind === "refuse") this.#refuse(alertRecord(decision.alert));
        else this.#handOver(decision.server, bytes);
        return;
      }
      default:
        reading satisfies never;
    }
  }

  #handOver(server: TlsServer, bytes: Buffer): void {
    this.#become("handshake");
    this.#received = undefined;
    this.socket.off("data", this.#onData);
    this.socket.off("end", this.#onEnd);
    this.socket.pause();
    this.socket.unshift(bytes);
    this.#expireAt(this.#context.timeouts.handshakeMs, "handshakeTime");
    server.emit("connection", this.socket);
  }

  /** Writes the last words and FIN. Reading goes on: closing over unread bytes would send RST and take the words back. */
  #refuse(answer: Buffer): void {
    this.#become("refused");
    this.#received = undefined;
    this.place.settle();
    this.#expireAfter(LINGER_MS, "refusedLinger");
    this.socket.end(answer);
  }

  /** Replaces the one deadline by one that many milliseconds after accept; 0 is never. */
  #expireAt(afterAcceptMs: number, limit: LimitName): void {
    this.#deadline?.cancel();
    this.#deadline = undefined;
    if (afterAcceptMs > 0)
      this.#expireAfter(this.#acceptedAt + afterAcceptMs - performance.now(), limit);
  }

  #expireAfter(delayMs: number, limit: LimitName): void {
    this.#deadline?.cancel();
    this.#deadline = this.#context.deadlines.schedule(delayMs, () => {
      reached(limit);
      this.socket.destroy();
    });
  }

  #append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (this.#received === undefined) {
      this.#received = chunk;
    } else {
      if (length > this.#received.length) {
        // Doubled: a hello that comes byte by byte is copied a dozen times, not a thousand.
        const grown = Buffer.allocUnsafe(Math.max(length, 2 * this.#received.length));
        this.#received.copy(grown, 0, 0, this.#length);
        this.#received = grown;
      }
      chunk.copy(this.#received, this.#length);
    }
    this.#length = length;
  }

  #bytes(): Buffer {
    return (
      this.#received?.subarray(0, this.#length) ?? bug("a hello is read before its first byte")
    );
  }

  #become(next: ArrivalState): void {
    if (!NEXT[this.#state].includes(next)) bug(`a connection goes from ${this.#state} to ${next}`);
    this.#state = next;
  }
}

/** A fatal alert in a plaintext record (RFC 8446 §5.1, §6); the version is the one every client accepts there. */
export function alertRecord(alert: Alert): Buffer {
  return Buffer.from([21, 3, 3, 0, 2, 2, alert]);
}

function isLetter(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}
