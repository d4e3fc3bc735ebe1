// This file is what the HTTP/1.1 tests share: messages as text, transcripts of a reader, corpora, seeded randomness.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { HeaderBlock } from "../../src/headers/index.ts";
import {
  Http1Error,
  type Http1Limits,
  REQUEST_LIMITS,
  requestReader,
  RESPONSE_LIMITS,
  responseReader,
} from "../../src/http1/index.ts";

/** One byte per character. */
export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
export const text = (value: Uint8Array): string => Buffer.from(value).toString("latin1");

/** A head from its lines, with line ends and the blank line. */
export const lines = (...all: string[]): string =>
  all.map((line) => `${line}\r\n`).join("") + "\r\n";

/** What was seen of one message. */
export interface Seen {
  line: string;
  version: string;
  framing: string;
  persistent: boolean;
  upgrade: string | undefined;
  expectContinue: boolean;
  fields: [string, string][];
  body: string;
  trailers: [string, string][];
  ended: boolean;
}

/** Everything a reader says about some bytes. Equal transcripts mean equal behaviour. */
export interface Transcript {
  messages: Seen[];
  /** `CODE@offset` of the refusal. */
  fault: string | undefined;
  eof: string | undefined;
  raw: string;
  /** Most bytes the reader held between two chunks. */
  held: number;
}

export interface ReadOptions {
  readonly limits?: Http1Limits;
  /** Of the requests that responses answer, repeated from the last one on. */
  readonly methods?: readonly string[];
  readonly upgrade?: string;
}

export function fieldsOf(block: HeaderBlock): [string, string][] {
  return Array.from({ length: block.count }, (_, index) => [
    text(block.bytes.subarray(block.lineStart(index), block.nameEnd(index))),
    text(block.value(index)),
  ]);
}

export function readRequests(pieces: Iterable<Uint8Array>, options: ReadOptions = {}): Transcript {
  const reader = requestReader(options.limits ?? REQUEST_LIMITS);
  const result: Transcript = { messages: [], fault: undefined, eof: undefined, raw: "", held: 0 };
  let open: Seen | undefined;
  return guard(result, () => {
    for (const piece of pieces) {
      reader.feed(piece);
      for (let step = reader.next(); step !== "needBytes"; step = reader.next()) {
        if (step === "head") {
          const { method, target, version, framing, persistent, upgrade, expectContinue, fields } =
            reader.head;
          open = newSeen(
            `${method} ${text(target)}`,
            version,
            framingText(framing),
            persistent,
            fieldsOf(fields),
          );
          open.upgrade = upgrade;
          open.expectContinue = expectContinue;
          result.messages.push(open);
        } else if (step === "body") must(open).body += text(reader.body);
        else if (step === "trailers") must(open).trailers = fieldsOf(reader.trailers);
        else if (step === "end") must(open).ended = true;
        else throw new Error(`A request reader took the step ${step}`);
      }
      result.held = Math.max(result.held, reader.held);
    }
    result.eof = reader.eof();
  });
}

export function readResponses(pieces: Iterable<Uint8Array>, options: ReadOptions = {}): Transcript {
  const reader = responseReader(options.limits ?? RESPONSE_LIMITS);
  const result: Transcript = { messages: [], fault: undefined, eof: undefined, raw: "", held: 0 };
  const methods = options.methods ?? ["GET"];
  let answered = 0;
  const expect = (): void =>
    reader.expect(methods[Math.min(answered++, methods.length - 1)] ?? "GET", options.upgrade);
  let open: Seen | undefined;
  expect();
  return guard(result, () => {
    for (const piece of pieces) {
      if (result.raw !== "") {
        result.raw += text(piece);
        continue;
      }
      reader.feed(piece);
      for (let step = reader.next(); step !== "needBytes"; step = reader.next()) {
        if (step === "head") {
          const { status, reason, version, framing, persistent, fields } = reader.head;
          open = newSeen(
            `${status} ${text(reason)}`,
            version,
            framingText(framing),
            persistent,
            fieldsOf(fields),
          );
          result.messages.push(open);
        } else if (step === "body") must(open).body += text(reader.body);
        else if (step === "trailers") must(open).trailers = fieldsOf(reader.trailers);
        else if (step === "upgraded") {
          result.raw += text(reader.rest());
          break;
        } else {
          must(open).ended = true;
          // What stands behind is the next response; a real connection would be retired.
          const rest = reader.rest();
          expect();
          reader.feed(rest);
        }
      }
      result.held = Math.max(result.held, reader.held);
    }
    result.eof = reader.eof();
  });
}

function guard(result: Transcript, run: () => void): Transcript {
  try {
    run();
  } catch (error) {
    if (!(error instanceof Http1Error)) throw error;
    result.fault = `${error.code}@${error.at}`;
  }
  return result;
}

function newSeen(
  line: string,
  version: string,
  framing: string,
  persistent: boolean,
  fields: [string, string][],
): Seen {
  return {
    line,
    version,
    framing,
    persistent,
    upgrade: undefined,
    expectContinue: false,
    fields,
    body: "",
    trailers: [],
    ended: false,
  };
}

const framingText = (framing: { kind: string; length?: number }): string =>
  framing.length === undefined ? framing.kind : `${framing.kind} ${framing.length}`;

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("A step came before its head");
  return value;
}

/** The bytes one by one. */
export function* byteByByte(whole: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < whole.length; at++) yield whole.slice(at, at + 1);
}

/** The transcript without what may differ by the cut: how much was held. */
export const verdict = (transcript: Transcript): Omit<Transcript, "held"> => {
  const { held: _, ...rest } = transcript;
  return rest;
};

/** The code of the refusal of `message` in one piece, checked to be the same byte by byte; `undefined` when it is read. */
export function faultOf(
  message: string,
  read: typeof readRequests = readRequests,
  options: ReadOptions = {},
): string | undefined {
  const whole = read([bytes(message)], options);
  const single = read(byteByByte(bytes(message)), options);
  if (JSON.stringify(verdict(whole)) !== JSON.stringify(verdict(single))) {
    throw new Error(`Read as ${JSON.stringify(whole)}, byte by byte as ${JSON.stringify(single)}`);
  }
  return whole.fault?.replace(/@.*/, "");
}

const directory = process.env.TUNL_CORPORA ?? resolve(import.meta.dir, "../../../shared/corpora");

/** The rows of a corpus; undefined, with a message, where it is absent. */
export function corpus<T>(name: string): T[] | undefined {
  const path = join(directory, name);
  if (!existsSync(path)) {
    console.warn(`skipped: ${name} is not in the corpora (set TUNL_CORPORA)`);
    return undefined;
  }
  return readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}

export const decode = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

/** Seeded randomness; prints the seed, `TUNL_SEED=` replays it. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(name: string) {
    const given = Number(process.env.TUNL_SEED ?? Number.NaN);
    this.seed = Number.isInteger(given) ? given : Math.floor(Math.random() * 2 ** 31);
    this.#state = this.seed;
    console.log(`${name}: TUNL_SEED=${this.seed}`);
  }

  /** 0 to `below` - 1 (mulberry32). */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  pick<T>(from: readonly T[]): T {
    const item = from[this.below(from.length)];
    if (item === undefined) throw new Error("Nothing to pick from");
    return item;
  }

  /** Text of `length` characters out of `alphabet`. */
  text(alphabet: string, length: number): string {
    return Array.from({ length }, () => alphabet[this.below(alphabet.length)]).join("");
  }
}
