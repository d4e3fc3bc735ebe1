// Hostile responses as they come from an origin: what tunl takes for whole is the same response for parsers that others wrote. S-08.
import { describe, expect, test } from "bun:test";
import { inputOf, isRequest, rows } from "../llhttp-rows.ts";
import { bytes, corpus, decode, readResponses, text } from "../support.ts";
import { JUDGES } from "./judge.ts";

interface Known {
  readonly bytes: Uint8Array;
  readonly status: number;
  readonly body: string;
}

const base64Rows = (name: string): Uint8Array[] =>
  (corpus<{ input: string }>(name) ?? []).map(({ input }) => decode(input));

/** Fuzz inputs often end lines with LF alone: each is tried as it is and mended, and behind a status line, too. */
function mended(input: Uint8Array): Uint8Array[] {
  const whole = text(input).replaceAll(/\r?\n/g, "\r\n");
  return [input, bytes(whole), bytes(whole.replace(/^.*?\r\n/, "HTTP/1.1 200 OK\r\n"))];
}

const inputs = [
  ...(rows ?? []).filter((row) => !isRequest(row)).map((row) => bytes(inputOf(row))),
  ...base64Rows("fuzz-h2o-http1.jsonl").flatMap(mended),
  ...base64Rows("fuzz-gofuzz-http1.jsonl").flatMap(mended),
];

/** The first final response to a GET, if it is whole once the origin has closed. */
function readHere(input: Uint8Array): Known | undefined {
  const { messages, eof, fault } = readResponses([input]);
  const at = messages.findIndex(({ line }) => !line.startsWith("1"));
  const final = messages[at];
  if (final === undefined) return undefined;
  const endsByClose = final.framing === "untilClose" && eof === "finished" && fault === undefined;
  if (!final.ended && !endsByClose) return undefined;
  return { bytes: input, status: Number(final.line.slice(0, 3)), body: final.body };
}

describe.skipIf(inputs.length === 0)("hostile responses", () => {
  const unique = [...new Map(inputs.map((input) => [text(input), input])).values()];
  const known = unique.flatMap((input) => readHere(input) ?? []);

  test("are whole for some, so that there is something to judge", () => {
    expect(known.length).toBeGreaterThan(200);
    expect(known.filter(({ body }) => body !== "").length).toBeGreaterThan(50);
  });

  for (const judge of JUDGES) {
    test.skipIf(!judge.isThere)(
      `that tunl takes are for ${judge.name} the same, where it takes them (S-08)`,
      async () => {
        const responses = known.map((each) => ({ method: "GET", bytes: each.bytes, isLast: true }));
        const verdicts = await judge.ask({ connections: [], responses });
        let compared = 0;
        for (const [index, { bytes: input, status, body }] of known.entries()) {
          const theirs = verdicts.responses[index];
          if (theirs?.status === undefined || theirs.body === undefined) continue;
          expect([
            text(input),
            theirs.status,
            Buffer.from(theirs.body, "base64").toString("latin1"),
          ]).toEqual([text(input), status, body]);
          compared++;
        }
        expect(compared).toBeGreaterThan(100);
      },
    );
  }
});
