// This file is what an edge takes of a reply: a connector that breaks its form is cut, and its visitor never sees a head.
import { describe, expect, test } from "bun:test";
import {
  encodeMessage,
  EXCHANGE_CODES,
  openExchange,
  type RequesterEvents,
  type RequestHead,
} from "../../src/exchange/index.ts";
import { RESPONSE_FLAGS } from "../../src/exchange/messages.ts";
import type { StreamEvents } from "../../src/session/index.ts";
import { RecordedStream, sessionOf } from "./recorded-stream.ts";

const NOTHING = new Uint8Array(0);
const CUT = `cut ${EXCHANGE_CODES.INTERNAL_ERROR} by them`;

function request(method: string, upgrade?: string): RequestHead {
  return {
    id: new Uint8Array(16),
    method,
    authority: "app.example.com",
    target: Buffer.from("/"),
    scheme: "https",
    fields: NOTHING,
    length: 0,
    hasBody: false,
    upgrade,
    acceptsTrailers: false,
    visitor: { address: new Uint8Array(4), port: 1, protocol: "http/1.1" },
    tls: undefined,
  };
}

/** What the visitor's side hears. */
class Heard implements RequesterEvents {
  readonly log: string[] = [];

  interim(status: number): void {
    this.log.push(`interim ${status}`);
  }
  response({ status, hasBody }: { status: number; hasBody: boolean }): void {
    this.log.push(`response ${status} ${hasBody ? "with" : "without"} a body`);
  }
  failure({ code }: { code: string }): void {
    this.log.push(`failure ${code}`);
  }
  body(bytes: Uint8Array): void {
    this.log.push(`body ${bytes.length}`);
  }
  end(): void {
    this.log.push("end");
  }
  cut(code: number, remote: boolean): void {
    this.log.push(`cut ${code} by ${remote ? "them" : "us"}`);
  }
  stopped(): void {
    this.log.push("stopped");
  }
  undelivered(bytes: number): void {
    this.log.push(`undelivered ${bytes}`);
  }
  writable(): void {}
  closed(): void {}
}

/** Answers a request with one response head and an end. */
function answered(
  head: RequestHead,
  status: number,
  hasBody: boolean,
  length = 0,
): {
  readonly heard: readonly string[];
  readonly stream: RecordedStream;
  readonly events: StreamEvents;
} {
  const stream = new RecordedStream();
  const { session, events } = sessionOf(stream);
  const heard = new Heard();
  if (typeof openExchange(session, head, heard) === "string") throw new Error("Nothing was opened");
  const flags = hasBody ? 0 : RESPONSE_FLAGS.noBody;
  events().bytes(
    encodeMessage("response", { status, reason: Buffer.from("X"), fields: NOTHING, length, flags }),
  );
  events().ended();
  return { heard: heard.log, stream, events: events() };
}

describe("requester", () => {
  // S-08, S-64: each of these would shift the responses behind it on the visitor's connection.
  const CONTRADICTIONS: readonly (readonly [method: string, status: number, hasBody: boolean])[] = [
    ["GET", 200, false],
    ["POST", 404, false],
    ["OPTIONS", 200, false],
    ["head", 200, false],
    ["HEAD", 200, true],
    ["HEAD", 404, true],
    ["GET", 204, true],
    ["GET", 304, true],
    ["HEAD", 304, true],
  ];
  test.each(CONTRADICTIONS)("cuts %s answered by %d with hasBody %p", (method, status, hasBody) => {
    for (const length of [0, 100]) {
      const { heard, stream } = answered(request(method), status, hasBody, length);
      expect(heard).toEqual([CUT]);
      expect(stream.log).toEqual([
        "finish",
        `reset ${EXCHANGE_CODES.INTERNAL_ERROR}`,
        `stop ${EXCHANGE_CODES.INTERNAL_ERROR}`,
      ]);
    }
    expect.assertions(4);
  });

  test.each([
    ["GET", 200, true],
    ["POST", 404, true],
    ["HEAD", 200, false],
    ["GET", 204, false],
    ["GET", 304, false],
    ["HEAD", 304, false],
  ] as const)("takes %s answered by %d with hasBody %p", (method, status, hasBody) => {
    const { heard, stream } = answered(request(method), status, hasBody);
    expect(heard).toEqual([`response ${status} ${hasBody ? "with" : "without"} a body`, "end"]);
    expect(stream.log).toEqual(["finish"]);
  });

  test("a length beside a missing body is that of the representation (RFC 9110 §8.6)", () => {
    expect(answered(request("HEAD"), 200, false, 100).heard).toEqual([
      "response 200 without a body",
      "end",
    ]);
    expect(answered(request("GET"), 304, false, 100).heard).toEqual([
      "response 304 without a body",
      "end",
    ]);
  });

  test("a granted upgrade has a body in both directions, and is none without one", () => {
    const granted = answered(request("GET", "websocket"), 101, true);
    expect(granted.heard).toEqual(["response 101 with a body", "end"]);
    expect(granted.stream.log).toEqual([]);
    expect(answered(request("GET", "websocket"), 101, false).heard).toEqual([CUT]);
    expect(answered(request("GET"), 101, true).heard).toEqual([CUT]);
  });

  test("a whole reply is cut where its stream is evicted, and not where the session is lost", () => {
    const evicted = answered(request("GET"), 200, true);
    evicted.events.reset(EXCHANGE_CODES.OVERLOADED, false);
    expect(evicted.heard.at(-1)).toBe(`cut ${EXCHANGE_CODES.OVERLOADED} by us`);
    const lost = answered(request("GET"), 200, true);
    lost.events.reset(EXCHANGE_CODES.SESSION_LOST, false);
    expect(lost.heard.at(-1)).toBe("stopped");
  });
});

describe("a long reply", () => {
  test("does not keep the received buffer that its head came in (S-42)", async () => {
    const exchanges: StreamEvents[] = [];
    const begin = (): WeakRef<ArrayBuffer> => {
      const { session, events } = sessionOf(new RecordedStream());
      openExchange(session, request("GET"), new Heard());
      const message = encodeMessage("response", {
        status: 200,
        reason: Buffer.from("OK"),
        fields: Buffer.from("a: b\r\n"),
        length: 1_000_000,
        flags: 0,
      });
      const received = new Uint8Array(512 * 1_024);
      received.set(message, 100);
      exchanges.push(events());
      // The head, and the first bytes of the body.
      events().bytes(received.subarray(100, 100 + message.length + 50));
      return new WeakRef(received.buffer);
    };
    const buffers = Array.from({ length: 50 }, begin);
    const kept = (): number => buffers.filter((buffer) => buffer.deref() !== undefined).length;
    // What a WeakRef was made of lives at least as long as the turn, and what looks like a reference on the stack is one.
    for (let round = 0; round < 20 && kept() > 0; round++) {
      await Bun.sleep(5);
      Bun.gc(true);
    }
    expect(kept()).toBeLessThan(25);
    expect(exchanges.length).toBe(50);
  });
});
