// This file is the tests of the decoder beyond single frames: order of checks, views, memory, phases and caps. PROTOCOL §2.1, §3.2.
import { describe, expect, test } from "bun:test";
import {
  type AdmissionOptions,
  encodeFrame,
  FrameDecoder,
  WireError,
  writeDatagramHeader,
  writeDataHeader,
} from "../../src/wire/index.ts";
import { feedAll, hexOf } from "./samples.ts";

function decoderOf(options: Partial<AdmissionOptions> = {}): FrameDecoder {
  return new FrameDecoder({ side: "edge", phase: "live", maxDatagram: 0, ...options });
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

function errorOf(decoder: FrameDecoder, bytes: Uint8Array): WireError {
  try {
    feedAll(decoder, bytes);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error(`expected a WireError for ${hexOf(bytes)}, nothing was thrown`);
}

function dataFrame(stream: number, offset: number, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(22 + bytes.length);
  writeDataHeader(frame, 0, false, stream, offset, bytes.length);
  frame.set(bytes, 22);
  return frame;
}

const PING = hex("d5 10 91 07");
const HELLO = encodeFrame("hello", { revision: 1, nonce: new Uint8Array(32), extras: [] });
const REFUSED = encodeFrame("refused", { code: 0x21, retryAfterMs: 0, message: "" });
const READY = encodeFrame("ready", {
  sessionId: new Uint8Array(16),
  link: 0,
  parameters: [],
  application: new Uint8Array(16_384),
});

describe("order of checks", () => {
  test.each([
    ["no ext object, one byte", "91", "FRAME_ENCODING", 0],
    ["negative type, though too long", "c9 ffffffff ff", "UNKNOWN_FRAME", 0],
    ["unassigned type, though too long", "c9 ffffffff 14", "UNKNOWN_FRAME", 0x14],
    ["unassigned type below 0x08", "d4 08", "UNKNOWN_FRAME", 8],
    ["type 0", "d4 00", "UNKNOWN_FRAME", 0],
    ["too long, though of the other phase", "c8 0401 01", "FRAME_TOO_LARGE", 1],
    ["too long, though of the other direction", "c7 11 1a", "FRAME_TOO_LARGE", 0x1a],
    ["too short, though of the other phase", "c7 24 01", "FRAME_ENCODING", 1],
    ["other phase", "c7 25 01", "UNEXPECTED_FRAME", 1],
    ["other direction", "d5 1a", "UNEXPECTED_FRAME", 0x1a],
    ["DATA without a byte", "c9 00000010 20", "FRAME_ENCODING", 0x20],
    ["DATA of 16,363 bytes", "c9 00003ffb 20", "FRAME_TOO_LARGE", 0x20],
    ["OPEN of 16,381 bytes", "c8 3ffd 22", "FRAME_TOO_LARGE", 0x22],
  ])("%s", (_title, bytes, code, frameType) => {
    const error = errorOf(decoderOf(), hex(bytes));
    expect(error.code).toBe(code as WireError["code"]);
    expect(error.frameType).toBe(frameType === 0 && code === "UNKNOWN_FRAME" ? 0 : frameType);
  });

  test("every type byte: assigned ones pass their head in one phase, all others are unknown", () => {
    let unknown = 0;
    for (let type = 0; type < 256; type++) {
      const codes = (["handshake", "live"] as const).flatMap((phase) =>
        (["edge", "connector"] as const).map((side) => {
          try {
            const decoder = decoderOf({ side, phase, maxDatagram: 9 });
            decoder.feed(Uint8Array.of(0xc7, 0x45, type));
            decoder.next();
            return "";
          } catch (error) {
            return (error as WireError).code;
          }
        }),
      );
      const isUnknown = codes.every((code) => code === "UNKNOWN_FRAME");
      expect([type, isUnknown || !codes.includes("UNKNOWN_FRAME")]).toEqual([type, true]);
      if (isUnknown) unknown += 1;
    }
    expect(unknown).toBe(256 - 24);
  });

  test("sizes are named in the message, received and allowed", () => {
    expect(errorOf(decoderOf(), hex("c8 0a01 26")).message).toBe(
      "Received ACK with a payload of 2561 bytes, allowed 2560",
    );
    expect(errorOf(decoderOf(), hex("d4 10 07")).message).toBe(
      "Received PING with a payload of 1 bytes, expected at least 2",
    );
  });

  test("after an error nothing is read any more", () => {
    const decoder = decoderOf();
    const first = errorOf(decoder, hex("91"));
    decoder.feed(PING.slice());
    expect(() => decoder.next()).toThrow(first.message);
    expect(decoder.held).toBe(0);
  });
});

describe("data", () => {
  test("offsets and ids up to 2^53 - 1, not above", () => {
    const top = Number.MAX_SAFE_INTEGER;
    const seen = feedAll(decoderOf(), dataFrame(top, top, Uint8Array.of(1)));
    expect([seen[0]?.stream, seen[0]?.offset, seen[0]?.bytes]).toEqual([top, top, "01"]);
    const above = "0020000000000000";
    const four = "0000000000000004";
    for (const fields of [
      above + four,
      four + above,
      "ffffffffffffffff" + four,
      four + "ffffffffffffffff",
    ]) {
      expect(errorOf(decoderOf(), hex(`c7 11 20 ${fields} 01`)).code).toBe("FRAME_ENCODING");
      expect(errorOf(decoderOf(), hex(`d8 21 ${fields}`)).code).toBe("FRAME_ENCODING");
    }
  });

  test("bytes of a frame within one chunk are a view of it, in pieces a buffer of their own", () => {
    const frame = dataFrame(4, 0, new Uint8Array(1_000).fill(9));
    const decoder = decoderOf();
    decoder.feed(frame);
    expect(decoder.next()).toBe("data");
    expect(decoder.bytes.buffer).toBe(frame.buffer);
    expect(decoder.next()).toBeUndefined();
    decoder.feed(frame.slice(0, 500));
    expect(decoder.next()).toBeUndefined();
    const second = new Uint8Array(2_000);
    second.set(frame.subarray(500));
    second.set(frame.subarray(0, 600), 522);
    decoder.feed(second.subarray(0, 1_122));
    expect(decoder.next()).toBe("data");
    const kept = decoder.bytes;
    expect(kept.buffer).not.toBe(second.buffer);
    expect(kept.buffer.byteLength).toBe(frame.length);
    expect(decoder.next()).toBeUndefined();
    decoder.feed(frame.slice(600));
    expect(decoder.next()).toBe("data");
    // The buffer handed out before was not written to again.
    expect(hexOf(kept)).toBe("09".repeat(1_000));
  });

  test("views of a Buffer are plain arrays, of which a slice is a copy", () => {
    const decoder = decoderOf();
    const frame = Buffer.from(dataFrame(4, 0, Uint8Array.of(1, 2, 3)));
    decoder.feed(frame);
    expect(decoder.next()).toBe("data");
    const copy = decoder.bytes.slice();
    frame.fill(0xee);
    expect(hexOf(copy)).toBe("010203");
  });

  test("a datagram is bounded by what we announced, 0 makes the type unknown", () => {
    const head = new Uint8Array(14);
    const frame = (length: number): Uint8Array => {
      const bytes = new Uint8Array(14 + length);
      return bytes.subarray(0, writeDatagramHeader(bytes, 0, 4, length) + length);
    };
    expect(feedAll(decoderOf({ maxDatagram: 1_200 }), frame(1_200))[0]?.bytes.length).toBe(2_400);
    expect(feedAll(decoderOf({ maxDatagram: 1_200 }), frame(0))[0]?.stream).toBe(4);
    const at = writeDatagramHeader(head, 0, 4, 1_201);
    const long = errorOf(decoderOf({ maxDatagram: 1_200 }), head.subarray(0, at - 8));
    expect([long.code, long.message]).toEqual([
      "PROTOCOL_VIOLATION",
      "Received a datagram of 1201 bytes, allowed 1200",
    ]);
    writeDatagramHeader(head, 0, 4, 65_508);
    expect(errorOf(decoderOf({ maxDatagram: 65_507 }), head.subarray(0, 6)).code).toBe(
      "FRAME_TOO_LARGE",
    );
    expect(errorOf(decoderOf(), frame(1)).code).toBe("UNKNOWN_FRAME");
  });
});

describe("memory", () => {
  test("a head that announces the maximum costs what was received and at most 1 KiB", () => {
    for (const bytes of [
      "c9 00003ffa 20",
      "c8 3ffc 22",
      "c9 0000ffeb 27",
      "c8 3ffc 22 95 00",
      "c9",
    ]) {
      const decoder = decoderOf({ maxDatagram: 65_507 });
      const chunk = hex(bytes);
      expect(feedAll(decoder, chunk)).toEqual([]);
      expect(decoder.held).toBe(chunk.length);
      expect(decoder.snapshot().allocated).toBeLessThanOrEqual(chunk.length + 1_024);
    }
  });

  test("one byte per chunk: the buffer follows the bytes received", () => {
    const decoder = decoderOf();
    const frame = dataFrame(4, 0, new Uint8Array(16_362));
    for (let at = 0; at < frame.length - 1; at++) {
      decoder.feed(frame.slice(at, at + 1));
      expect(decoder.next()).toBeUndefined();
      const { held, allocated } = decoder.snapshot();
      if (held !== at + 1 || allocated > held + 1_024)
        throw new Error(`held ${held} and allocated ${allocated} after ${at + 1} bytes`);
    }
    decoder.feed(frame.slice(-1));
    expect(decoder.next()).toBe("data");
    expect(decoder.next()).toBeUndefined();
    expect(decoder.snapshot()).toEqual({ phase: "live", held: 0, allocated: 0 });
  });

  test("a chunk that was read to its end is not kept", () => {
    const decoder = decoderOf();
    const chunk = new Uint8Array(500_000);
    chunk.set(PING);
    chunk.set(hex("c9 0000"), 4);
    decoder.feed(chunk.subarray(0, 7));
    expect(decoder.next()).toBe("ping");
    expect(decoder.next()).toBeUndefined();
    expect(decoder.held).toBe(3);
    expect(decoder.raw.buffer.byteLength).toBe(0);
    expect(decoder.bytes.buffer.byteLength).toBe(0);
  });

  test("a control payload that announces 50 million values costs nothing", () => {
    const payloads = [
      "dd02faf080",
      "9504c301dd02faf080",
      "9400c301dd02faf080",
      "95dd02faf080",
      "dcffff00",
    ];
    const before = process.memoryUsage().rss;
    for (const payload of payloads) {
      const bytes = hex(payload);
      for (const type of ["22", "26", "25"]) {
        const padded = hex(
          `c7 ${(bytes.length + 4).toString(16).padStart(2, "0")} ${type} ${payload} 00000000`,
        );
        expect(errorOf(decoderOf(), padded).code).toBe("FRAME_ENCODING");
      }
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(16 * 1_048_576);
  });

  test("nested arrays in a maximal OPEN are refused before they are built", () => {
    const frame = new Uint8Array(4 + 16_380);
    frame.set(hex("c8 3ffc 22"));
    for (let at = 4; at + 3 <= frame.length; at += 3) frame.set(hex("dc0200"), at);
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 50; round++)
      expect(errorOf(decoderOf(), frame).code).toBe("FRAME_ENCODING");
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1_048_576);
  });
});

describe("phases", () => {
  test("the handshake goes live on the same decoder and keeps the bytes behind READY", () => {
    const decoder = decoderOf({ side: "connector", phase: "handshake" });
    const live = dataFrame(4, 0, Uint8Array.of(1, 2));
    decoder.feed(Uint8Array.from([...READY, ...PING, ...live.subarray(0, 10)]));
    expect(decoder.next()).toBe("ready");
    expect(hexOf(decoder.raw)).toBe(hexOf(READY));
    decoder.enterLive(0);
    expect(decoder.next()).toBe("ping");
    expect(decoder.record("ping").id).toBe(7);
    expect(decoder.next()).toBeUndefined();
    decoder.feed(live.slice(10));
    expect(decoder.next()).toBe("data");
    expect(hexOf(decoder.bytes)).toBe("0102");
  });

  test("a live frame before READY and a handshake frame after it are unexpected", () => {
    expect(errorOf(decoderOf({ phase: "handshake" }), PING).code).toBe("UNEXPECTED_FRAME");
    expect(errorOf(decoderOf(), HELLO).code).toBe("UNEXPECTED_FRAME");
    const decoder = decoderOf({ side: "connector", phase: "handshake" });
    decoder.enterLive(0);
    expect(errorOf(decoder, READY).code).toBe("UNEXPECTED_FRAME");
  });

  test("only the frames expected pass, and the others fail at their head", () => {
    const decoder = decoderOf({ phase: "handshake" });
    decoder.expect("hello");
    decoder.feed(Uint8Array.from([...HELLO, ...hex("c8 1400 03")]));
    expect(decoder.next()).toBe("hello");
    decoder.expect("auth", "enroll", "resume");
    expect(decoder.next()).toBeUndefined();
    const early = decoderOf({ phase: "handshake" });
    early.expect("hello");
    expect(errorOf(early, hex("c8 1400 03")).code).toBe("UNEXPECTED_FRAME");
    const again = decoderOf({ phase: "handshake" });
    again.expect("auth");
    expect(errorOf(again, HELLO).code).toBe("UNEXPECTED_FRAME");
  });

  test("a frame begun before READY does not slip through it, nor past a change of what is expected", () => {
    const auth = encodeFrame("auth", { body: new Uint8Array(9), signature: new Uint8Array(64) });
    const decoder = decoderOf({ phase: "handshake" });
    decoder.feed(Uint8Array.from([...auth, ...auth.subarray(0, 20)]));
    expect([decoder.next(), decoder.next()]).toEqual(["auth", undefined]);
    decoder.enterLive(0);
    expect(errorOf(decoder, auth.subarray(20)).code).toBe("UNEXPECTED_FRAME");
    const other = decoderOf({ phase: "handshake" });
    expect(feedAll(other, auth.subarray(0, 20))).toEqual([]);
    other.expect("resume");
    expect(errorOf(other, auth.subarray(20)).code).toBe("UNEXPECTED_FRAME");
    expect(other.held).toBe(0);
  });

  test("an edge takes 8,192 bytes before READY, whatever they are", () => {
    const decoder = decoderOf({ phase: "handshake" });
    const auth = encodeFrame("auth", {
      body: new Uint8Array(5_050),
      signature: new Uint8Array(64),
    });
    decoder.feed(Uint8Array.from([...HELLO, ...auth]));
    expect([decoder.next(), decoder.next()]).toEqual(["hello", "auth"]);
    // While the proof is checked nobody asks for frames: bytes still count.
    const left = 8_192 - HELLO.length - auth.length;
    decoder.feed(new Uint8Array(left));
    expect(decoder.held).toBe(left);
    decoder.feed(Uint8Array.of(0));
    expect(() => decoder.next()).toThrow("Received 8193 bytes before READY, allowed 8192");
    expect(decoder.held).toBe(0);

    const exact = decoderOf({ phase: "handshake" });
    exact.feed(new Uint8Array(8_192).fill(0xd5));
    expect(() => exact.next()).toThrow("unknown type");
  });

  test("a frame that would pass the cap is refused at its head", () => {
    const decoder = decoderOf({ phase: "handshake" });
    const auth = encodeFrame("auth", {
      body: new Uint8Array(5_050),
      signature: new Uint8Array(64),
    });
    decoder.feed(Uint8Array.from([...HELLO, ...auth, ...auth.subarray(0, 4)]));
    expect([decoder.next(), decoder.next()]).toEqual(["hello", "auth"]);
    const total = HELLO.length + 2 * auth.length;
    expect(() => decoder.next()).toThrow(`Announced ${total} bytes before READY, allowed 8192`);
  });

  test("a connector takes 24,576 bytes of frames up to READY, and any number behind it", () => {
    const full = decoderOf({ side: "connector", phase: "handshake" });
    const chunk = new Uint8Array(READY.length + 400_000);
    chunk.set(READY);
    for (let at = READY.length; at + 4 <= chunk.length; at += 4) chunk.set(PING, at);
    full.feed(chunk);
    expect(full.next()).toBe("ready");
    full.enterLive(0);
    let pings = 0;
    while (full.next() !== undefined) pings += 1;
    expect(pings).toBe(100_000);

    const decoder = decoderOf({ side: "connector", phase: "handshake" });
    decoder.feed(Uint8Array.from([...READY, ...READY.subarray(0, 10)]));
    expect(decoder.next()).toBe("ready");
    expect(() => decoder.next()).toThrow("before READY, allowed 24576");
    const many = decoderOf({ side: "connector", phase: "handshake" });
    let refused = 0;
    expect(() => {
      for (; refused < 10_000; refused++) feedAll(many, REFUSED);
    }).toThrow("before READY, allowed 24576");
    expect(refused).toBe(Math.floor(24_576 / REFUSED.length));
  });

  test("bytes that arrive while a proof is checked wait behind those before them", () => {
    const decoder = decoderOf({ side: "connector", phase: "handshake" });
    decoder.feed(Uint8Array.from([...REFUSED, ...REFUSED.subarray(0, 3)]));
    expect(decoder.next()).toBe("refused");
    decoder.feed(REFUSED.slice(3));
    expect(decoder.held).toBe(REFUSED.length);
    expect(decoder.next()).toBe("refused");
    expect(decoder.next()).toBeUndefined();
    decoder.feed(new Uint8Array(20_000));
    decoder.feed(new Uint8Array(20_000));
    expect(() => decoder.next()).toThrow("Received 40000 bytes before READY, allowed 24576");
  });

  test("asking for the record of another frame is a bug of ours", () => {
    const decoder = decoderOf();
    decoder.feed(PING.slice());
    expect(decoder.next()).toBe("ping");
    expect(() => decoder.record("ack")).toThrow("BUG");
    expect(decoder.next()).toBeUndefined();
    expect(() => decoder.record("ping")).toThrow("BUG");
  });
});
