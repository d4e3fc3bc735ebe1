// Helpers of the ClientHello tests: hellos by hand, hellos of real clients, seeded randomness.
import { createServer, type AddressInfo } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";

export function uint16(value: number): number[] {
  return [(value >> 8) & 0xff, value & 0xff];
}

export function vector8(bytes: readonly number[]): number[] {
  return [bytes.length, ...bytes];
}

export function vector16(bytes: readonly number[]): number[] {
  return [...uint16(bytes.length), ...bytes];
}

export function ascii(text: string): number[] {
  return [...Buffer.from(text, "latin1")];
}

export function extension(type: number, content: readonly number[]): number[] {
  return [...uint16(type), ...vector16(content)];
}

export function serverName(name: string): number[] {
  return extension(0, vector16([0, ...vector16(ascii(name))]));
}

export function alpn(...names: string[]): number[] {
  return extension(16, vector16(names.flatMap((name) => vector8(ascii(name)))));
}

export interface HelloParts {
  readonly version?: number;
  readonly sessionId?: readonly number[];
  readonly suites?: readonly number[];
  readonly compression?: readonly number[];
  /** Concatenated extensions; `undefined` leaves the whole field out. */
  readonly extensions?: readonly number[] | undefined;
  /** Bytes after the extensions, inside the message. */
  readonly trailer?: readonly number[];
  readonly type?: number;
}

/** A handshake message. */
export function helloMessage(parts: HelloParts = {}): number[] {
  const extensions = "extensions" in parts ? parts.extensions : serverName("app.example.com");
  const body = [
    ...uint16(parts.version ?? 0x0303),
    ...Array.from({ length: 32 }, (_, index) => index),
    ...vector8(parts.sessionId ?? []),
    ...vector16(parts.suites ?? [0x13, 0x01]),
    ...vector8(parts.compression ?? [0]),
    ...(extensions === undefined ? [] : vector16(extensions)),
    ...(parts.trailer ?? []),
  ];
  return [parts.type ?? 1, body.length >> 16, ...uint16(body.length), ...body];
}

/** The message cut into records of at most `size` bytes. */
export function records(message: readonly number[], size = 16_384): Buffer {
  const parts: number[] = [];
  for (let at = 0; at < message.length; at += size) {
    parts.push(22, 3, 1, ...vector16(message.slice(at, at + size)));
  }
  return Buffer.from(parts);
}

export function hello(parts: HelloParts = {}): Buffer {
  return records(helloMessage(parts));
}

/** The first TLS record that a node:tls client sends. */
export async function captureHello(options: ConnectionOptions): Promise<Buffer> {
  return captureFirstRecord((port) => {
    const client = connect({ host: "127.0.0.1", port, rejectUnauthorized: true, ...options });
    // The server hangs up: that is how it ends.
    client.on("error", () => undefined);
    return () => client.destroy();
  });
}

/** Listens on a raw port, starts a client there and returns the first record it sends. */
export async function captureFirstRecord(start: (port: number) => () => void): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const total = received.length < 5 ? 5 : 5 + received.readUInt16BE(3);
      if (received.length < total) return;
      resolve(received.subarray(0, total));
      socket.destroy();
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", () => listening()));
  const deadline = setTimeout(() => reject(new Error("No ClientHello within 4 s")), 4_000);
  const stop = start((server.address() as AddressInfo).port);
  try {
    return await promise;
  } finally {
    clearTimeout(deadline);
    stop();
    server.close();
  }
}

/** Seed of this run; `TUNL_SEED=` replays one. */
export function testSeed(): number {
  const given = process.env.TUNL_SEED;
  return given === undefined ? (Math.random() * 2 ** 32) >>> 0 : Number(given);
}

/** mulberry32: numbers in [0, below). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
