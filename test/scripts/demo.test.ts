import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { check, type Result } from "../../scripts/demo/checks.ts";
import type { Visits } from "../../scripts/demo/visitor.ts";
import { decodeText, encodeText } from "../../scripts/demo/websocket.ts";

const PAGE = Buffer.from("<p>page</p>");

/** Answers as the demo's app does; a test replaces what it wants to see judged. */
const GOOD: Visits = {
  send: (method, _path, body = Buffer.alloc(0)) =>
    Promise.resolve({
      status: 200,
      body: method === "GET" ? PAGE : Buffer.from(createHash("sha256").update(body).digest("hex")),
    }),
  openWebSocket: () =>
    Promise.resolve({
      exchange: (text: string) => Promise.resolve(text),
      [Symbol.dispose]: () => undefined,
    }),
};

async function judge(visits: Partial<Visits>): Promise<string[]> {
  const results: Result[] = [];
  for await (const result of check({ ...GOOD, ...visits }, PAGE)) results.push(result);
  return results.map(({ isGood, label, text }) => `${isGood ? "✔" : "✖"} ${label}: ${text}`);
}

const ALL_GOOD = [
  "✔ GET /: 200, body as sent",
  "✔ POST 8 MiB: 200, same SHA-256",
  "✔ WebSocket: 3 of 3 messages came back",
];

describe("checks of the demo", () => {
  test("pass where everything comes as it was sent", async () => {
    expect(await judge({})).toEqual(ALL_GOOD);
  });

  test("see a changed byte, another hash and another status", async () => {
    const changed = await judge({
      send: () => Promise.resolve({ status: 200, body: Buffer.from("<p>pagf</p>") }),
    });
    expect(changed.slice(0, 2)).toEqual([
      "✖ GET /: 200, 11 other bytes, expected 11",
      "✖ POST 8 MiB: 200, another SHA-256",
    ]);
    const refused = await judge({
      send: async (...request) => ({ ...(await GOOD.send(...request)), status: 502 }),
    });
    expect(refused.slice(0, 2)).toEqual([
      "✖ GET /: 502, body as sent",
      "✖ POST 8 MiB: 502, same SHA-256",
    ]);
  });

  test("name the code of an answer that the edge made itself", async () => {
    const results = await judge({
      send: () =>
        Promise.resolve({ status: 503, body: Buffer.from("x"), errorCode: "TUNNEL_OFFLINE" }),
    });
    expect(results.slice(0, 2)).toEqual([
      "✖ GET /: 503 (TUNNEL_OFFLINE), 1 other bytes, expected 11",
      "✖ POST 8 MiB: 503 (TUNNEL_OFFLINE), another SHA-256",
    ]);
  });

  test("count the messages that came back", async () => {
    let count = 0;
    const results = await judge({
      openWebSocket: () =>
        Promise.resolve({
          exchange: (text: string) => Promise.resolve(count++ === 1 ? `${text}!` : text),
          [Symbol.dispose]: () => undefined,
        }),
    });
    expect(results[2]).toBe("✖ WebSocket: 2 of 3 messages came back");
  });

  test("a check that throws fails alone", async () => {
    const results = await judge({ openWebSocket: () => Promise.reject(new Error("was refused")) });
    expect(results).toEqual([...ALL_GOOD.slice(0, 2), "✖ WebSocket: was refused"]);
  });
});

/** What a server sends: the same frame without its mask. */
function serverFrame(payload: Buffer): Buffer {
  const masked = encodeText(payload, Buffer.alloc(4));
  const head = Buffer.from(masked.subarray(0, masked.length - payload.length - 4));
  head[1] = (head[1] as number) & 0x7f;
  return Buffer.concat([head, payload]);
}

describe("frames of the WebSocket client", () => {
  test("are those of RFC 6455 §5.7", () => {
    expect(encodeText(Buffer.from("Hello"), Buffer.from("37fa213d", "hex")).toString("hex")).toBe(
      "818537fa213d7f9f4d5158",
    );
    expect(decodeText(Buffer.from("810548656c6c6f", "hex"))).toEqual({
      payload: Buffer.from("Hello"),
      size: 7,
    });
  });

  test.each([0, 125, 126, 65_535, 65_536])(
    "carry %d bytes, and wait for the last one",
    (length) => {
      const payload = Buffer.alloc(length, "x");
      const frame = serverFrame(payload);
      expect(decodeText(Buffer.concat([frame, Buffer.from("next")]))).toEqual({
        payload,
        size: frame.length,
      });
      for (const cut of [0, 1, 2, 3, 9, frame.length - 1])
        if (cut < frame.length) expect(decodeText(frame.subarray(0, cut))).toBeUndefined();
    },
  );

  test("anything but a whole text is refused", () => {
    for (const start of ["0100", "8200", "8800", "8180"])
      expect(() => decodeText(Buffer.from(start, "hex"))).toThrow(
        `begins with 0x${start}, expected a whole text`,
      );
    expect(() => decodeText(Buffer.from("817f0000000000100001", "hex"))).toThrow(
      "Received a text of 1048577 bytes, allowed 1048576",
    );
  });
});
