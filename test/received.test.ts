// This file is whose the bytes of a received chunk are: freed with the last of them, by whichever way it went, and never before.
import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { MessageReader, encodeMessage } from "../src/exchange/messages.ts";
import { BodyReader, BodyWriter } from "../src/exchange/runs.ts";
import { WriteQueue } from "../src/exchange/write-queue.ts";
import {
  REQUEST_LIMITS,
  requestReader,
  RESPONSE_LIMITS,
  responseReader,
} from "../src/http1/index.ts";
import { received, spent } from "../src/received.ts";
import { Retention } from "../src/session/core/retention.ts";
import { SendHalf } from "../src/session/core/send-half.ts";
import { FrameDecoder, writeDataHeader, writeFrame } from "../src/wire/index.ts";

const KIB = 1_024;

/** What a socket delivers: an array of its own, of which the content tells the place. */
function chunkOf(length: number): Uint8Array {
  const chunk = Uint8Array.from({ length }, (_, index) => (index * 31) & 255);
  received(chunk);
  return chunk;
}

function chunkFrom(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const chunk = new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part))));
  received(chunk);
  return chunk;
}

/** Freed at the end of a turn of the loop. */
async function isFreed({ buffer }: Uint8Array): Promise<boolean> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  return (buffer as ArrayBuffer).detached;
}

describe("a received chunk", () => {
  test("is freed when its last byte is spent, at the end of that turn", async () => {
    const chunk = chunkOf(32 * KIB);
    spent(chunk.subarray(0, 20 * KIB));
    expect(await isFreed(chunk)).toBe(false);
    spent(chunk, 12 * KIB - 1);
    expect(await isFreed(chunk)).toBe(false);
    expect(chunk[32 * KIB - 1]).toBe(((32 * KIB - 1) * 31) & 255);
    spent(chunk.subarray(5, 6));
    expect(chunk).toHaveLength(32 * KIB);
    expect(await isFreed(chunk)).toBe(true);
    // A word too many concerns nobody.
    spent(chunk);
  });

  test("stays whole while native code is at work in it: the engine has it pinned", async () => {
    const directory = mkdtempSync(join(tmpdir(), "tunl-received-"));
    try {
      const path = join(directory, "fifo");
      expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
      const fifo = await open(path, "r+");
      const chunk = chunkOf(512 * KIB);
      const expected = Bun.hash(chunk);
      // The fifo holds 64 KiB: the write lasts until somebody reads.
      const written = fifo.write(chunk);
      spent(chunk);
      expect(await isFreed(chunk)).toBe(false);
      const read = new Uint8Array(chunk.length);
      for (let at = 0; at < read.length;)
        at += (await fifo.read(read, at, read.length - at)).bytesRead;
      expect(Bun.hash(read)).toBe(expected);
      expect((await written).bytesWritten).toBe(read.length);
      await fifo.close();
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("of few bytes, or in a buffer that others use, is left alone", async () => {
    const witness = chunkOf(16 * KIB);
    const small = chunkOf(16 * KIB - 1);
    const shared = new Uint8Array(64 * KIB).subarray(16 * KIB);
    received(shared);
    for (const bytes of [small, shared]) {
      spent(bytes);
      expect(await isFreed(bytes)).toBe(false);
    }
    spent(witness);
    expect(await isFreed(witness)).toBe(true);
  });

  test("that nobody spends is found by a collection, whatever the machine's memory (R-29)", async () => {
    const chunks: WeakRef<ArrayBuffer>[] = [];
    for (let index = 0; index < 160; index++) {
      const chunk = new Uint8Array(512 * KIB);
      received(chunk);
      chunks.push(new WeakRef(chunk.buffer));
      // A WeakRef holds what it names until the turn is over.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const alive = chunks.filter((chunk) => chunk.deref() !== undefined).length;
    expect(alive * 512 * KIB).toBeLessThanOrEqual(32 * KIB * KIB);
  });
});

describe("who spends", () => {
  test("the decoder of a link: heads, numbers, and what it copies; not the bytes it hands out", async () => {
    const data = (offset: number, length: number): Uint8Array => {
      const frame = new Uint8Array(22 + length).fill(7);
      writeDataHeader(frame, 0, false, 1, offset, length);
      return frame;
    };
    const ping = new Uint8Array(64);
    const pinged = ping.subarray(0, writeFrame("ping", { id: 9 }, ping, 0));
    const torn = data(32_000, 16_000);
    const decoder = new FrameDecoder({ side: "connector", phase: "live", maxDatagram: 0 });
    const chunk = chunkFrom(data(0, 16_000), pinged, data(16_000, 16_000), torn.subarray(0, 9_000));
    decoder.feed(chunk);
    const kept: Uint8Array[] = [];
    for (let name = decoder.next(); name !== undefined; name = decoder.next())
      if (name === "data") kept.push(decoder.bytes);
    expect(kept.map(({ length }) => length)).toEqual([16_000, 16_000]);
    spent(kept[0] as Uint8Array);
    expect(await isFreed(chunk)).toBe(false);
    expect((kept[1] as Uint8Array).every((byte) => byte === 7)).toBe(true);
    spent(kept[1] as Uint8Array);
    expect(await isFreed(chunk)).toBe(true);
    // The torn frame does not need it any more.
    const rest = chunkFrom(torn.subarray(9_000), data(48_000, 16_000));
    decoder.feed(rest);
    expect(decoder.next()).toBe("data");
    expect(decoder.bytes.every((byte) => byte === 7)).toBe(true);
    expect(decoder.next()).toBe("data");
    spent(decoder.bytes);
    expect(decoder.next()).toBeUndefined();
    expect(await isFreed(rest)).toBe(true);
  });

  test("the decoder, of each chunk what was in it, however it was asked", async () => {
    const scratch = new Uint8Array(64);
    const ping = scratch.subarray(0, writeFrame("ping", { id: 9 }, scratch, 0));
    const pings = Array.from({ length: 8_000 }, () => ping);
    const frames = Array.from({ length: 2 }, (_, index) => {
      const frame = new Uint8Array(22 + 16_000).fill(7);
      writeDataHeader(frame, 0, false, 1, index * 16_000, 16_000);
      return frame;
    });
    const decoder = new FrameDecoder({ side: "connector", phase: "live", maxDatagram: 0 });
    const first = chunkFrom(...pings);
    decoder.feed(first);
    // Not asked whether there is more.
    for (const _ of pings) expect(decoder.next()).toBe("ping");
    const second = chunkFrom(...frames);
    decoder.feed(second);
    expect(await isFreed(first)).toBe(true);
    decoder.next();
    const one = decoder.bytes;
    decoder.next();
    const two = decoder.bytes;
    expect(decoder.next()).toBeUndefined();
    spent(one);
    expect(await isFreed(second)).toBe(false);
    spent(two);
    expect(await isFreed(second)).toBe(true);
  });

  test("the reader of an origin: framing, and the head once it was dealt with", async () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n";
    const reader = responseReader(RESPONSE_LIMITS);
    reader.expect("GET", undefined);
    const content = "x".repeat(10_000);
    const chunk = chunkFrom(head, `2710\r\n${content}\r\n2710;a=b\r\n${content}\r\n27`);
    const rest = chunkFrom(`10\r\n${content}\r\n2710\r\n${content}\r\n0\r\n\r\n`);
    reader.feed(chunk);
    expect(reader.next()).toBe("head");
    expect(reader.head.fields.count).toBe(2);
    for (let step = reader.next(); step === "body"; step = reader.next()) spent(reader.body);
    expect(await isFreed(chunk)).toBe(false);
    reader.spendHead();
    expect(await isFreed(chunk)).toBe(true);
    reader.feed(rest);
    for (let step = reader.next(); step === "body"; step = reader.next()) {
      expect(Buffer.from(reader.body).toString()).toBe(content);
      spent(reader.body);
    }
    expect(await isFreed(rest)).toBe(true);
  });

  test("a head in pieces is copied, what stands behind it is not", async () => {
    const reader = responseReader(RESPONSE_LIMITS);
    reader.expect("GET", undefined);
    const head = `HTTP/1.1 200 OK\r\nContent-Length: 20000\r\nX-A: ${"a".repeat(20_000)}\r\n\r\n`;
    const first = chunkFrom(head.slice(0, 17_000));
    const second = chunkFrom(head.slice(17_000), "y".repeat(20_000));
    reader.feed(first);
    expect(reader.next()).toBe("needBytes");
    expect(await isFreed(first)).toBe(true);
    reader.feed(second);
    expect(reader.next()).toBe("head");
    expect(reader.next()).toBe("body");
    expect(Buffer.from(reader.body).toString()).toBe("y".repeat(20_000));
    const { body } = reader;
    expect(reader.next()).toBe("end");
    expect(await isFreed(second)).toBe(false);
    spent(body);
    expect(await isFreed(second)).toBe(true);
  });

  test("the reader of a visitor may be asked for more long after its last bytes were freed", async () => {
    const reader = requestReader(REQUEST_LIMITS);
    const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const content = "x".repeat(20_000);
    const first = chunkFrom(head, `4e20\r\n${content}\r\n7530\r\n${content}`);
    reader.feed(first);
    expect(reader.next()).toBe("head");
    reader.spendHead();
    for (let count = 0; count < 2; count++) {
      expect(reader.next()).toBe("body");
      expect(Buffer.from(reader.body).toString()).toBe(content);
      spent(reader.body);
    }
    // The exchange is paused here: nobody asks the reader.
    expect(await isFreed(first)).toBe(true);
    expect(reader.held).toBe(0);
    expect(reader.next()).toBe("needBytes");
    const second = chunkFrom("y".repeat(10_000), `\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n`);
    reader.feed(second);
    expect(reader.next()).toBe("body");
    expect(Buffer.from(reader.body).toString()).toBe("y".repeat(10_000));
    expect(reader.next()).toBe("end");
    expect(reader.next()).toBe("head");
  });

  test("retention: the rest of a chunk most of which has arrived is copied", async () => {
    const bytes = new Retention();
    const chunk = chunkOf(64 * KIB);
    const original = chunk.slice();
    bytes.append(chunk, false);
    const into = new Uint8Array(64 * KIB);
    bytes.take(into, 0, 40 * KIB);
    bytes.acknowledge(30 * KIB);
    // What is on its way may be sent again.
    expect(await isFreed(chunk)).toBe(false);
    bytes.acknowledge(40 * KIB);
    expect(await isFreed(chunk)).toBe(true);
    expect(bytes.unsent).toBe(24 * KIB);
    bytes.take(into, 40 * KIB, 10 * KIB);
    bytes.rewind();
    expect(bytes.unsent).toBe(24 * KIB);
    bytes.take(into, 40 * KIB, 24 * KIB);
    bytes.acknowledge(64 * KIB);
    expect(into).toEqual(original);
    expect({ unsent: bytes.unsent, retained: bytes.retained, replay: bytes.replay() }).toEqual({
      unsent: 0,
      retained: 0,
      replay: [],
    });
  });

  test("retention: what was acknowledged, not what may be sent again", async () => {
    const bytes = new Retention();
    const [first, second] = [chunkOf(32 * KIB), chunkOf(32 * KIB)];
    bytes.append(first, false);
    bytes.append(second.subarray(0, 30 * KIB), false);
    // A small part is copied, so that it does not keep the whole.
    bytes.append(second.subarray(30 * KIB), false);
    const into = new Uint8Array(64 * KIB);
    bytes.take(into, 0, 64 * KIB);
    expect(await isFreed(first)).toBe(false);
    bytes.acknowledge(32 * KIB);
    expect(await isFreed(first)).toBe(true);
    bytes.rewind();
    expect(await isFreed(second)).toBe(false);
    const again = new Uint8Array(32 * KIB);
    bytes.take(again, 0, 32 * KIB);
    expect(again).toEqual(into.subarray(32 * KIB));
    bytes.acknowledge(64 * KIB);
    expect(await isFreed(second)).toBe(true);
  });

  test("a direction that was acknowledged to its end", async () => {
    const half = new SendHalf(64 * KIB);
    const chunk = chunkOf(32 * KIB);
    half.bytes.append(chunk, false);
    half.finish();
    half.send(new Uint8Array(32 * KIB), 0, 32 * KIB);
    expect(await isFreed(chunk)).toBe(false);
    half.ended();
    expect(await isFreed(chunk)).toBe(true);
  });

  test("a socket's queue: what it gathered or settled, and what the kernel took as it came", async () => {
    const queue = new WriteQueue();
    const gathered = chunkOf(32 * KIB);
    queue.push(gathered.subarray(0, 16 * KIB));
    queue.push(gathered.subarray(16 * KIB));
    queue.next(128 * KIB);
    expect(await isFreed(gathered)).toBe(true);
    queue.written();

    const settled = chunkOf(32 * KIB);
    queue.push(settled);
    queue.settle(16 * KIB);
    expect(await isFreed(settled)).toBe(true);
    queue.next(16 * KIB);
    queue.written();
    queue.next(16 * KIB);
    queue.written();

    const direct = chunkOf(32 * KIB);
    queue.push(direct);
    expect(queue.next(16 * KIB)).toHaveLength(16 * KIB);
    queue.written();
    expect(await isFreed(direct)).toBe(false);
    expect(queue.next(16 * KIB)).toHaveLength(16 * KIB);
    expect(await isFreed(direct)).toBe(false);
    queue.written();
    expect(await isFreed(direct)).toBe(true);
  });

  test("messages and bodies of a stream: what is no content", async () => {
    const fields = new Uint8Array(9_000).fill(0x61);
    const message = encodeMessage("interim", { status: 103, fields });
    const reader = new MessageReader();
    const whole = chunkFrom(message, message, message);
    expect(reader.read(whole)).toBe("message");
    const behind = reader.rest;
    reader.release(false);
    expect(reader.read(behind)).toBe("message");
    const last = reader.rest;
    reader.release(true);
    expect(reader.read(last.subarray(0, 8_000))).toBe("needBytes");
    reader.release(false);
    expect(reader.read(last.subarray(8_000))).toBe("message");
    reader.release(false);
    // The one that was kept.
    expect(await isFreed(whole)).toBe(false);
    spent(behind, message.length);
    expect(await isFreed(whole)).toBe(true);

    const parts: Uint8Array[] = [];
    const runs = { write: (bytes: Uint8Array) => (parts.push(bytes.slice()), "more" as const) };
    const writer = new BodyWriter({ kind: "runs" }, runs);
    const written = chunkOf(16 * KIB);
    // Up to 4 KiB are copied behind their length.
    for (let at = 0; at < 16 * KIB; at += 4 * KIB) writer.write(written.subarray(at, at + 4 * KIB));
    writer.end(undefined);
    expect(await isFreed(written)).toBe(true);

    const content: Uint8Array[] = [];
    const read = chunkFrom(...parts);
    const body = new BodyReader(
      { kind: "runs" },
      { content: (bytes) => void content.push(bytes), overhead: () => {} },
    );
    body.push(read);
    body.end();
    expect(await isFreed(read)).toBe(false);
    for (const bytes of content) spent(bytes);
    expect(await isFreed(read)).toBe(true);
  });
});
