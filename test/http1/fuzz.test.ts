import { describe, expect, test } from "bun:test";
import { REQUEST_LIMITS, RESPONSE_LIMITS } from "../../src/http1/index.ts";
import { TRAILER_LIMITS } from "../../src/headers/index.ts";
import {
  byteByByte,
  corpus,
  decode,
  Random,
  type ReadOptions,
  readRequests,
  readResponses,
  verdict,
} from "./support.ts";

interface Row {
  id: string;
  kind: "request" | "response";
  input: string;
}

/** Small enough that inputs of a few hundred bytes reach them. */
const NARROW = { headerBytes: 96, targetBytes: 32, headerFields: 4 };

/** The input, and once more with whole line ends: many end lines with LF alone, which would be all that is looked at. */
function inputsOf(row: Row): Uint8Array[] {
  const input = decode(row.input);
  const text = Buffer.from(input).toString("latin1");
  return [input, new Uint8Array(Buffer.from(text.replaceAll(/\r?\n/g, "\r\n"), "latin1"))];
}

function* pieces(random: Random, whole: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < whole.length;) {
    const size = 1 + random.below(64);
    yield whole.slice(at, at + size);
    at += size;
  }
}

describe.each([
  ["fuzz-h2o-http1.jsonl", ["SECTION_TOO_LARGE", "TOO_MANY_FIELDS", "TARGET_TOO_LONG"]],
  ["fuzz-gofuzz-http1.jsonl", ["SECTION_TOO_LARGE", "TOO_MANY_FIELDS", "TARGET_TOO_LONG"]],
])("%s", (name, reached) => {
  const rows = corpus<Row>(name);
  const inputs = (rows ?? []).flatMap((row) => inputsOf(row).map((input) => [row, input] as const));

  test.skipIf(rows === undefined)(
    "is refused or read, alike whole, in pieces and byte by byte, from either side",
    () => {
      const random = new Random(name);
      let seen = 0;
      for (const [row, input] of inputs) {
        for (const read of [readRequests, readResponses]) {
          const whole = read([input]);
          const cut = read(pieces(random, input));
          const single = read(byteByByte(input));
          for (const other of [cut, single]) {
            if (JSON.stringify(verdict(other)) !== JSON.stringify(verdict(whole)))
              expect([row.id, verdict(other)]).toEqual([row.id, verdict(whole)]);
          }
          // A reader keeps only a head or trailer section that is not over; what it was given beyond that it shows.
          const most = read === readRequests ? REQUEST_LIMITS : RESPONSE_LIMITS;
          expect(single.held).toBeLessThanOrEqual(most.headerBytes);
          expect(whole.held).toBeLessThanOrEqual(input.length);
        }
        seen++;
      }
      expect(seen).toBeGreaterThan(2_000);
    },
  );

  test.skipIf(rows === undefined)("is never held beyond narrow limits", () => {
    const options: ReadOptions = { limits: NARROW };
    const faults = new Map<string, number>();
    for (const [row, input] of inputs) {
      for (const read of [readRequests, readResponses]) {
        const whole = read([input], options);
        const single = read(byteByByte(input), options);
        if (JSON.stringify(verdict(single)) !== JSON.stringify(verdict(whole)))
          expect([row.id, verdict(single)]).toEqual([row.id, verdict(whole)]);
        const isInTrailers = single.messages.at(-1)?.framing === "chunked";
        const most = isInTrailers ? TRAILER_LIMITS.bytes : NARROW.headerBytes;
        if (single.held > most) expect([row.id, single.held]).toEqual([row.id, most]);
        const code = whole.fault?.replace(/@.*/, "") ?? "read";
        faults.set(code, (faults.get(code) ?? 0) + 1);
      }
    }
    for (const limit of reached) expect([limit, faults.has(limit)]).toEqual([limit, true]);
  });
});
