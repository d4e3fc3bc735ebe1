import { describe, expect, test } from "bun:test";
import {
  type FramingToWrite,
  type HeadToWrite,
  requestWriter,
  responseWriter,
  type Writer,
} from "../../src/http1/index.ts";
import { bytes, Random, readRequests, readResponses, type Seen, verdict } from "./support.ts";

const TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const VALUE = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
  .join("")
  .replace(/[\0-\x08\n-\x1f\x7f]/g, "");
const TARGET = "!\"$&'()*+,-./:;<=>@[]^_`{|}~0123456789abcXYZ";
const ROUNDS = 300;

type Sample = {
  head: HeadToWrite;
  fields: [string, string][];
  body: string;
  trailers: [string, string][];
  pieces: Uint8Array[];
};

const section = (fields: [string, string][]): Uint8Array =>
  bytes(fields.map(([name, value]) => `${name}: ${value}\r\n`).join(""));

function randomFields(random: Random, most: number): [string, string][] {
  return Array.from({ length: random.below(most) }, () => [
    `X${random.text(TOKEN, 1 + random.below(20))}`,
    random.text(VALUE, random.below(60)).replace(/^[\t ]+|[\t ]+$/g, ""),
  ]);
}

function sample(
  random: Random,
  writer: Writer,
  framing: FramingToWrite,
  start: Pick<HeadToWrite, "line" | "host">,
): Sample {
  const fields = randomFields(random, 12);
  const head: HeadToWrite = {
    ...start,
    fields: section(fields),
    framing,
    connection: "keep-alive",
  };
  const pieces = [writer.head(head)];
  let body = "";
  const hasBody = framing.kind !== "none" && framing.kind !== "announced";
  let left = framing.kind === "length" ? framing.length : random.below(400);
  while (hasBody && left > 0) {
    const part = random.text(VALUE, 1 + random.below(left));
    left -= part.length;
    body += part;
    pieces.push(...writer.body(bytes(part)));
  }
  const trailers = framing.kind === "chunked" ? randomFields(random, 4) : [];
  const end = writer.end(section(trailers));
  if (end === false) throw new Error("The writer misses bytes");
  pieces.push(...end);
  return { head, fields, body, trailers, pieces };
}

function* scattered(random: Random, pieces: readonly Uint8Array[]): Iterable<Uint8Array> {
  const all = new Uint8Array(Buffer.concat(pieces));
  for (let at = 0; at < all.length;) {
    const size = 1 + random.below(90);
    yield all.slice(at, at + size);
    at += size;
  }
}

const withoutFraming = (seen: Seen): [string, string][] =>
  seen.fields.filter(
    ([name]) => !["Host", "Content-Length", "Transfer-Encoding", "Connection"].includes(name),
  );

describe("round trip", () => {
  test("a request that was written is read as the same request", () => {
    const random = new Random("request round trip");
    for (let round = 0; round < ROUNDS; round++) {
      const method = random.pick([
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        `M${random.text(TOKEN, 8)}`,
      ]);
      const target = `/${random.text(TARGET, random.below(40))}`;
      const framing = random.pick<FramingToWrite>([
        { kind: "none" },
        { kind: "chunked" },
        { kind: "length", length: random.below(500) },
      ]);
      const made = sample(random, requestWriter(), framing, {
        line: { method, target: bytes(target) },
        host: "a.example",
      });
      const whole = readRequests([new Uint8Array(Buffer.concat(made.pieces))]);
      expect(verdict(readRequests(scattered(random, made.pieces)))).toEqual(verdict(whole));
      expect(whole.fault).toBeUndefined();
      const [seen] = whole.messages;
      if (seen === undefined) throw new Error("Nothing was read");
      expect(seen).toMatchObject({
        line: `${method} ${target}`,
        body: made.body,
        trailers: made.trailers,
        ended: true,
      });
      expect(withoutFraming(seen)).toEqual(made.fields);
      expect(seen.fields[0]).toEqual(["Host", "a.example"]);
    }
  });

  test("a response that was written is read as the same response", () => {
    const random = new Random("response round trip");
    for (let round = 0; round < ROUNDS; round++) {
      const status = 200 + random.below(800);
      const isEmpty = status === 204 || status === 304;
      const method = random.pick(["GET", "HEAD", "POST"]);
      const framing: FramingToWrite =
        method === "HEAD" || isEmpty
          ? { kind: "announced", length: random.below(99) - 1 }
          : random.pick<FramingToWrite>([
              { kind: "untilClose" },
              { kind: "chunked" },
              { kind: "length", length: random.below(500) },
            ]);
      const reason = random.text(VALUE, random.below(20));
      const made = sample(random, responseWriter(), framing, {
        line: { status, reason: bytes(reason) },
      });
      const options = { methods: [method] };
      const whole = readResponses([new Uint8Array(Buffer.concat(made.pieces))], options);
      expect(verdict(readResponses(scattered(random, made.pieces), options))).toEqual(
        verdict(whole),
      );
      expect(whole.fault).toBeUndefined();
      const [seen] = whole.messages;
      if (seen === undefined) throw new Error("Nothing was read");
      expect(seen).toMatchObject({
        line: `${status} ${reason}`,
        body: made.body,
        trailers: made.trailers,
      });
      expect(whole.eof).toBe(framing.kind === "untilClose" ? "finished" : "clean");
      expect(withoutFraming(seen)).toEqual(made.fields);
    }
  });
});
