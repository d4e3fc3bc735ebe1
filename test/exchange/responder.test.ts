// This file is what a connector takes of a request: what the edge must refuse never reaches an origin from it either.
import { describe, expect, test } from "bun:test";
import {
  acceptExchange,
  encodeMessage,
  EXCHANGE_CODES,
  type Responder,
} from "../../src/exchange/index.ts";
import { REQUEST_FLAGS } from "../../src/exchange/messages.ts";
import { RecordedStream } from "./recorded-stream.ts";

const NOTHING = new Uint8Array(0);
const { noBody, upgrade } = REQUEST_FLAGS;

interface Wire {
  readonly method?: string;
  readonly target?: string;
  readonly flags?: number;
  readonly length?: number;
  readonly upgrade?: string;
}

function request(wire: Wire): Uint8Array {
  return encodeMessage("request", {
    id: new Uint8Array(16),
    method: wire.method ?? "GET",
    authority: "app.example.com",
    target: Buffer.from(wire.target ?? "/"),
    scheme: 0,
    flags: wire.flags ?? noBody,
    fields: NOTHING,
    length: wire.length ?? 0,
    upgrade: wire.upgrade,
    visitor: { address: new Uint8Array(4), port: 1, protocol: "http/1.1" },
    tls: undefined,
  });
}

/** Takes requests and keeps what it heard of their bodies. */
class Taker {
  readonly stream = new RecordedStream();
  readonly taken: Responder[] = [];
  readonly heard: string[] = [];
  readonly events = acceptExchange(this.stream, (exchange) => {
    this.taken.push(exchange);
    return {
      body: (bytes) => this.heard.push(`body ${bytes.length}`),
      end: () => this.heard.push("end"),
      cut: (code) => this.heard.push(`cut ${code}`),
      stopped: (code) => this.heard.push(`stopped ${code}`),
      writable: () => undefined,
      closed: () => this.heard.push("closed"),
    };
  });
}

describe("responder", () => {
  // S-06, S-18, S-60, S-64: an origin that is itself a proxy must not be led elsewhere.
  const REFUSED: Readonly<Record<string, Wire>> = {
    CONNECT: { method: "CONNECT", target: "other.example:443" },
    "CONNECT with a path": { method: "CONNECT" },
    TRACE: { method: "TRACE" },
    "trace in small letters": { method: "trace" },
    TRACK: { method: "TRACK" },
    "a target in absolute form": { target: "http://169.254.169.254/latest" },
    "a target that is an authority": { target: "other.example:443" },
    "a target without its slash": { target: "index.html" },
    "an empty target": { target: "" },
    "an asterisk with GET": { target: "*" },
    "an asterisk with more behind it": { method: "OPTIONS", target: "*/" },
    "an upgrade to h2c": { upgrade: "h2c", flags: noBody | upgrade },
    "an upgrade to HTTP/2.0": { upgrade: "HTTP/2.0", flags: noBody | upgrade },
    "an upgrade to H2C": { upgrade: "H2C", flags: noBody | upgrade },
    "an upgrade with a body": { upgrade: "websocket", flags: upgrade, length: 5 },
    "the flag of an upgrade without its protocol": { flags: noBody | upgrade },
    "a protocol without the flag of an upgrade": { upgrade: "websocket", flags: noBody },
  };
  for (const [what, wire] of Object.entries(REFUSED)) {
    test(`refuses ${what} before anybody takes it`, () => {
      const { taken, stream, events } = new Taker();
      events.bytes(request(wire));
      expect(taken).toEqual([]);
      expect(stream.log).toEqual([
        `reset ${EXCHANGE_CODES.INTERNAL_ERROR}`,
        `stop ${EXCHANGE_CODES.INTERNAL_ERROR}`,
      ]);
      // What follows is dropped, and counts as consumed.
      const before = stream.returned;
      events.bytes(new Uint8Array(100));
      expect([taken.length, stream.returned - before]).toEqual([0, 100]);
    });
  }

  const TAKEN: Readonly<Record<string, Wire>> = {
    "a path": { target: "/a?b=c" },
    "two slashes": { target: "//other.example/" },
    "an asterisk with OPTIONS": { method: "OPTIONS", target: "*" },
    "a method of its own": { method: "PURGE" },
    "an upgrade to websocket": { upgrade: "websocket", flags: noBody | upgrade },
  };
  for (const [what, wire] of Object.entries(TAKEN)) {
    test(`takes ${what}`, () => {
      const { taken, stream, events } = new Taker();
      events.bytes(request(wire));
      expect(taken.length).toBe(1);
      expect(Buffer.from(taken[0]?.head.target ?? []).toString()).toBe(wire.target ?? "/");
      expect(taken[0]?.head.upgrade).toBe(wire.upgrade);
      expect(stream.log).toEqual([]);
    });
  }

  test("a body that nobody wants is stopped also after its end, which returns its credit", () => {
    const { taken, stream, events, heard } = new Taker();
    events.bytes(request({ method: "POST", flags: 0, length: 5 }));
    events.bytes(Buffer.from("hello"));
    events.ended();
    expect(heard).toEqual(["body 5", "end"]);
    taken[0]?.stop(EXCHANGE_CODES.NO_ERROR);
    expect(stream.log).toEqual([`stop ${EXCHANGE_CODES.NO_ERROR}`]);
  });

  test("abandoning our direction alone leaves theirs, once", () => {
    const { taken, stream, events, heard } = new Taker();
    events.bytes(request({ method: "POST", flags: 0, length: 5 }));
    const exchange = taken[0] as Responder;
    exchange.resetSending(EXCHANGE_CODES.CANCELLED);
    exchange.resetSending(EXCHANGE_CODES.CANCELLED);
    exchange.end();
    expect(stream.log).toEqual([`reset ${EXCHANGE_CODES.CANCELLED}`]);
    events.bytes(Buffer.from("hello"));
    events.ended();
    expect(heard).toEqual(["body 5", "end"]);
  });

  test("abandoning our direction after its end is ignored: the response was whole", () => {
    const { taken, stream, events } = new Taker();
    events.bytes(request({}));
    const exchange = taken[0] as Responder;
    exchange.respond({
      status: 204,
      reason: NOTHING,
      fields: NOTHING,
      length: 0,
      hasBody: false,
    });
    exchange.end();
    exchange.resetSending(EXCHANGE_CODES.CANCELLED);
    expect(stream.log).toEqual(["finish"]);
  });
});
