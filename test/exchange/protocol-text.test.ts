// This file is the comparison of PROTOCOL §12 with the code: its tables, its vectors, and who answers what.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  CALL_BODY_MAX,
  encodeMessage,
  EXCHANGE_CODES,
  MESSAGE_FIELDS_MAX,
  MESSAGE_MAX,
  MESSAGES,
  openExchange,
  type RequestHead,
  type RequesterEvents,
  STREAM_KINDS,
} from "../../src/exchange/index.ts";
import { MessageReader, type MessageName } from "../../src/exchange/messages.ts";
import { BodyFault, BodyReader, BodyWriter, TRAILERS_MAX } from "../../src/exchange/runs.ts";
import { MsgpackError } from "../../src/msgpack/index.ts";
import type { Session, Stream, StreamEvents } from "../../src/session/index.ts";

const text = readFileSync(resolve(import.meta.dir, "../../docs/PROTOCOL.md"), "utf8");

/** The cells of the table behind the marker, without its two head lines. */
function tableOf(name: string): string[][] {
  const start = text.indexOf(`<!-- compared with the code: ${name} -->`);
  if (start < 0) throw new Error(`docs/PROTOCOL.md has no table "${name}"`);
  const lines = text.slice(start).split("\n").slice(2);
  return lines.slice(2, lines.indexOf("")).map((row) =>
    row
      .replaceAll("\\|", "\u0000")
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("\u0000", "|")),
  );
}

function withoutTicks(cell: string | undefined): string {
  return (cell ?? "").replace(/^`|`$/g, "");
}

/** `aa*32` repeats, spaces separate. */
function bytesOf(notation: string): Uint8Array {
  const hex = notation.replace(/([0-9a-f]{2})\*(\d+)/g, (_, byte: string, count: string) =>
    byte.repeat(Number(count)),
  );
  return new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

/** `hex:` and `text:` are bin, `ascii:` is a bin we hold as text, null is nil. */
function valueOf(value: unknown): unknown {
  if (value === null) return undefined;
  if (typeof value === "string") {
    if (value.startsWith("hex:")) return bytesOf(value.slice(4));
    if (value.startsWith("ascii:")) return value.slice(6);
    if (value.startsWith("text:")) return new Uint8Array(Buffer.from(value.slice(5), "latin1"));
    return value;
  }
  if (Array.isArray(value)) return value.map(valueOf);
  if (typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, valueOf(item)]));
}

/** Buffers as plain arrays, so that views and copies compare alike. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

const lines = [...text.matchAll(/```message-vectors\n([^]*?)```/g)].flatMap((match) =>
  (match[1] as string).trim().split("\n"),
);

interface Vector {
  readonly name: string;
  readonly values: unknown;
  readonly isSent: boolean;
  readonly bytes: Uint8Array;
}

const vectors: Vector[] = [];
const faults: { readonly isOfRuns: boolean; readonly bytes: Uint8Array }[] = [];
for (const line of lines) {
  const fault = /^!(runs)? ([0-9a-f* ]+)$/.exec(line);
  if (fault !== null) {
    faults.push({ isOfRuns: fault[1] !== undefined, bytes: bytesOf(fault[2] as string) });
    continue;
  }
  const match = /^(\w+) (\{.*\}) (=|<-) ([0-9a-f* ]+)$/.exec(line);
  if (match === null) throw new Error(`"${line}" is no vector`);
  vectors.push({
    name: match[1] as string,
    values: valueOf(JSON.parse(match[2] as string)),
    isSent: match[3] === "=",
    bytes: bytesOf(match[4] as string),
  });
}

function read(bytes: Uint8Array): unknown {
  const reader = new MessageReader();
  const step = reader.read(bytes);
  if (step !== "message") return step;
  expect(reader.rest.length).toBe(0);
  return { name: reader.message.name, record: plain(reader.message.record) };
}

/** Content and trailers of a whole body. */
function readRuns(bytes: Uint8Array): { content: string; trailers: Uint8Array | undefined } {
  const content: Uint8Array[] = [];
  const reader = new BodyReader(
    { kind: "runs" },
    { content: (piece) => void content.push(piece.slice()), overhead: () => undefined },
  );
  reader.push(bytes);
  return { trailers: reader.end(), content: Buffer.concat(content).toString("latin1") };
}

describe("tables of PROTOCOL §12", () => {
  test("messages: type, name, sender, payload", () => {
    expect(
      tableOf("messages").map(([type, name, , payload]) => [type, name, withoutTicks(payload)]),
    ).toEqual(
      Object.entries(MESSAGES).map(([name, { type, schema }]) => [
        String(type),
        name,
        schema.notation,
      ]),
    );
  });

  test("constants", () => {
    const constants: Readonly<Record<string, number>> = {
      MESSAGE_MAX,
      MESSAGE_FIELDS_MAX,
      CALL_BODY_MAX,
      TRAILERS_MAX,
    };
    const rows = tableOf("exchange constants");
    expect(
      rows.map(([name, value]) => [withoutTicks(name), Number(value?.replaceAll(",", ""))]),
    ).toEqual(Object.entries(constants));
  });

  test("kinds of streams", () => {
    expect(STREAM_KINDS).toEqual({ control: 0, exchange: 1 });
    expect(text).toContain("| 0 | control | connector |");
    expect(text).toContain("| 1 | exchange | edge |");
  });
});

describe("vectors of PROTOCOL §12", () => {
  const messages = vectors.filter(({ name }) => name !== "runs");
  const runs = vectors.filter(({ name }) => name === "runs");

  test("every message has one that is sent", () => {
    const sent = new Set(messages.filter(({ isSent }) => isSent).map(({ name }) => name));
    expect([...sent].sort()).toEqual(Object.keys(MESSAGES).sort());
    expect([runs.length, faults.length]).toEqual([3, 9]);
  });

  test.each(messages.map((vector, index) => [`${vector.name} ${index + 1}`, vector] as const))(
    "%s",
    (_title, { name, values, isSent, bytes }) => {
      if (isSent) {
        expect(plain(encodeMessage(name as "result", values as never))).toBe(
          plain(bytes) as string,
        );
      }
      expect(read(bytes)).toEqual({ name, record: plain(values) });
      for (let length = 0; length < bytes.length; length++)
        expect(read(bytes.subarray(0, length))).toBe("needBytes");
    },
  );

  test.each(runs.map((vector, index) => [`runs ${index + 1}`, vector] as const))(
    "%s",
    (_title, { values, bytes }) => {
      const { content, trailers } = values as { content: Uint8Array[]; trailers?: Uint8Array };
      const written: Uint8Array[] = [];
      const writer = new BodyWriter(
        { kind: "runs" },
        { write: (piece) => (written.push(piece.slice()), "more") },
      );
      for (const piece of content) writer.write(piece);
      expect(writer.end(trailers)).toBe(true);
      expect(plain(Buffer.concat(written))).toBe(plain(bytes) as string);
      expect(readRuns(bytes)).toEqual({
        content: Buffer.concat(content).toString("latin1"),
        trailers,
      });
    },
  );

  test.each(
    faults.map(
      ({ isOfRuns, bytes }) => [Buffer.from(bytes).toString("hex"), isOfRuns, bytes] as const,
    ),
  )("%s is a fault", (_title, isOfRuns, bytes) => {
    if (isOfRuns) expect(() => readRuns(bytes)).toThrow(BodyFault);
    else expect(() => read(bytes)).toThrow(MsgpackError);
  });
});

/** A stream of the edge whose other end is a test. */
class FakeStream implements Stream {
  readonly id = 0;
  readonly said: string[] = [];
  events: StreamEvents | undefined;

  write(bytes: Uint8Array): "more" {
    this.said.push(`write ${bytes.length}`);
    return "more";
  }
  finish(): void {
    this.said.push("finish");
  }
  reset(code: number): void {
    this.said.push(`reset ${code}`);
  }
  stop(code: number): void {
    this.said.push(`stop ${code}`);
  }
  consumed(): void {}
}

const HEAD: RequestHead = {
  id: new Uint8Array(16),
  method: "GET",
  authority: "app.example.com",
  target: new Uint8Array([0x2f]),
  scheme: "https",
  fields: new Uint8Array(0),
  length: 0,
  hasBody: false,
  upgrade: undefined,
  acceptsTrailers: false,
  visitor: { address: new Uint8Array(4), port: 1, protocol: "http/1.1" },
  tls: undefined,
};

/** An exchange at the edge, and what its events were. */
function opened(head: RequestHead): { readonly stream: FakeStream; readonly told: string[] } {
  const stream = new FakeStream();
  const told: string[] = [];
  const events: RequesterEvents = {
    interim: (status) => told.push(`interim ${status}`),
    response: ({ status }) => told.push(`response ${status}`),
    failure: ({ code }) => told.push(`failure ${code}`),
    body: (bytes) => told.push(`body ${bytes.length}`),
    end: () => told.push("end"),
    cut: (code) => told.push(`cut ${code}`),
    stopped: (code) => told.push(`stopped ${code}`),
    undelivered: (bytes) => told.push(`undelivered ${bytes}`),
    writable: () => undefined,
    closed: () => undefined,
  };
  // Nothing else of a session is touched by an exchange.
  const session = {
    open: (
      _kind: number,
      _head: Uint8Array,
      _fin: boolean,
      attach: (stream: Stream) => StreamEvents,
    ) => {
      stream.events = attach(stream);
      return stream;
    },
  } as unknown as Session;
  expect(typeof openExchange(session, head, events)).toBe("object");
  return { stream, told };
}

function message(name: MessageName, record: object): Uint8Array {
  return encodeMessage(name, record as never);
}

const NO_BYTES = new Uint8Array(0);
const ABORT = [`reset ${EXCHANGE_CODES.INTERNAL_ERROR}`, `stop ${EXCHANGE_CODES.INTERNAL_ERROR}`];

describe("rules of PROTOCOL §12", () => {
  test("each failure code of §12.1 is known, another one is a fault", () => {
    const list = /^Failure codes: (.*)\.$/m.exec(text)?.[1] ?? "";
    const codes = [...list.matchAll(/`(\w+)`/g)].map((match) => match[1] as string);
    expect(codes.length).toBeGreaterThan(10);
    for (const code of codes) {
      const { stream, told } = opened(HEAD);
      stream.events?.bytes(message("failure", { code, sent: 0, detail: "" }));
      stream.events?.ended();
      expect(told).toEqual([`failure ${code}`, "end"]);
    }
    const { stream, told } = opened(HEAD);
    stream.events?.bytes(message("failure", { code: "ORIGIN_MOVED", sent: 0, detail: "" }));
    expect(told).toEqual([`cut ${EXCHANGE_CODES.INTERNAL_ERROR}`]);
    expect(stream.said).toEqual(["finish", ...ABORT]);
  });

  test("16 interim messages, not one more", () => {
    const { stream, told } = opened(HEAD);
    for (let count = 0; count < 17; count++)
      stream.events?.bytes(message("interim", { status: 103, fields: NO_BYTES }));
    expect(told).toEqual([...Array.from({ length: 16 }, () => "interim 103"), "cut 2"]);
  });

  const response = (status: number, length: number, flags: number): Uint8Array =>
    message("response", { status, reason: NO_BYTES, fields: NO_BYTES, length, flags });

  test.each([
    ["none", response(204, -1, 1), NO_BYTES, ["response 204", "end"]],
    ["bare", response(200, 3, 0), new Uint8Array(3), ["response 200", "body 3", "end"]],
    [
      "runs",
      response(200, -1, 0),
      bytesOf("00000001 61 00000000 00000000"),
      ["response 200", "body 1", "end"],
    ],
  ] as const)("a body of form %s", (_form, head, body, expected) => {
    const { stream, told } = opened(HEAD);
    stream.events?.bytes(head);
    stream.events?.bytes(body);
    stream.events?.ended();
    expect(told).toEqual([...expected]);
  });

  test.each([
    ["an end before the body", response(200, 3, 0), new Uint8Array(2)],
    ["bytes behind a body", response(200, 3, 0), new Uint8Array(4)],
    ["bytes where none may be", response(304, 3, 1), new Uint8Array(1)],
    ["an end inside runs", response(200, -1, 0), bytesOf("00000002 61")],
  ] as const)("%s is a fault of the other end", (_what, head, body) => {
    const { stream, told } = opened(HEAD);
    stream.events?.bytes(head);
    stream.events?.bytes(body);
    if (told.at(-1) !== "cut 2") stream.events?.ended();
    expect(told.at(-1)).toBe(`cut ${EXCHANGE_CODES.INTERNAL_ERROR}`);
    expect(stream.said.slice(-2)).toEqual(ABORT);
  });

  test("101 answers an upgrade only, and makes both directions raw", () => {
    const refused = opened(HEAD);
    refused.stream.events?.bytes(response(101, -1, 0));
    expect(refused.told).toEqual([`cut ${EXCHANGE_CODES.INTERNAL_ERROR}`]);
    const granted = opened({ ...HEAD, upgrade: "websocket" });
    expect(granted.stream.said).toEqual([]);
    granted.stream.events?.bytes(response(101, -1, 0));
    granted.stream.events?.bytes(new Uint8Array(7));
    granted.stream.events?.ended();
    expect(granted.told).toEqual(["response 101", "body 7", "end"]);
    expect(granted.stream.said).toEqual([]);
    const other = opened({ ...HEAD, upgrade: "websocket" });
    other.stream.events?.bytes(response(200, 0, 0));
    expect(other.stream.said).toEqual(["finish"]);
  });
});
