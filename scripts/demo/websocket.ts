// This file is a WebSocket client on an upgraded connection: one text out, one text back. RFC 6455 §4.1, §5.
import { createHash, randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";

/** RFC 6455 §1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const FIN = 0x80;
const MASKED = 0x80;
const TEXT = 0x1;
/** Longest text taken; more ends the connection. */
const MAX_TEXT = 1024 * 1024;

/** One connection, from its request headers to its end. */
export class WebSocketClient implements Disposable {
  readonly #withinMs: number;
  readonly #key = randomBytes(16).toString("base64");
  #socket: Duplex | undefined;
  #received: Buffer = Buffer.alloc(0);
  #onText: (text: string) => void = () => undefined;
  #onError: (error: Error) => void = () => undefined;
  #error: Error | undefined;

  /** @param withinMs How long an answer may take. */
  constructor(withinMs: number) {
    this.#withinMs = withinMs;
  }

  /** What the request carries. */
  get headers(): Record<string, string> {
    return {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": this.#key,
    };
  }

  /**
   * Takes the connection over after 101.
   *
   * @param accept Sec-WebSocket-Accept of the answer.
   * @param head Bytes that came behind the answer.
   * @throws Error if `accept` does not belong to our key.
   */
  start(accept: string | undefined, socket: Duplex, head: Buffer): void {
    const expected = createHash("sha1").update(`${this.#key}${GUID}`).digest("base64");
    if (accept !== expected)
      throw new Error(`Sec-WebSocket-Accept is "${accept}", expected "${expected}"`);
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("error", (error: Error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("The WebSocket was closed")));
    this.#take(head);
  }

  /** Sends a text and waits for the next one. */
  exchange(text: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    if (this.#error !== undefined) reject(this.#error);
    this.#onText = resolve;
    this.#onError = reject;
    const timer = setTimeout(
      () => reject(new Error(`No message came within ${this.#withinMs / 1_000} s`)),
      this.#withinMs,
    );
    this.#socket?.write(encodeText(Buffer.from(text), randomBytes(4)));
    return promise.finally(() => clearTimeout(timer));
  }

  [Symbol.dispose](): void {
    this.#socket?.destroy();
  }

  #take(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    try {
      const frame = decodeText(this.#received);
      if (frame === undefined) return;
      this.#received = this.#received.subarray(frame.size);
      this.#onText(frame.payload.toString());
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      this.#socket?.destroy();
    }
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#onError(error);
  }
}

/** A final text frame as clients send it, with a mask. RFC 6455 §5.2. */
export function encodeText(payload: Buffer, mask: Buffer): Buffer {
  const masked = Buffer.from(payload);
  for (let index = 0; index < masked.length; index++)
    masked[index] = (masked[index] as number) ^ (mask[index & 3] as number);
  return Buffer.concat([frameHead(payload.length), mask, masked]);
}

function frameHead(length: number): Buffer {
  if (length < 126) return Buffer.from([FIN | TEXT, MASKED | length]);
  const head = Buffer.alloc(length < 0x1_0000 ? 4 : 10);
  head[0] = FIN | TEXT;
  if (head.length === 4) {
    head[1] = MASKED | 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = MASKED | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return head;
}

/**
 * Reads one frame of a server.
 *
 * @returns Undefined if it has not come in full.
 * @throws Error for anything but a final text frame without a mask: our origin sends nothing else.
 */
export function decodeText(bytes: Buffer): { payload: Buffer; size: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1] as number;
  if (bytes[0] !== (FIN | TEXT) || short >= MASKED)
    throw new Error(
      `Received a frame that begins with 0x${bytes.toString("hex", 0, 2)}, expected a whole text`,
    );
  const start = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < start) return undefined;
  const length =
    start === 2 ? short : start === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (length > MAX_TEXT) throw new Error(`Received a text of ${length} bytes, allowed ${MAX_TEXT}`);
  if (bytes.length < start + length) return undefined;
  return { payload: bytes.subarray(start, start + length), size: start + length };
}
