// What hostile input becomes on its way to an origin: exactly the requests the edge took, by the verdict of parsers that others wrote.
import { describe, expect, test } from "bun:test";
import { JUDGES } from "../http1/judges/judge.ts";
import { inputOf, isRequest, rows } from "../http1/llhttp-rows.ts";
import { stopAtClose } from "../http1/comparison.ts";
import { bytes, corpus, decode, readRequests, text } from "../http1/support.ts";
import { forwardAll, judged } from "./forwarding.ts";

const base64Rows = (name: string): Uint8Array[] =>
  (corpus<{ input: string }>(name) ?? []).map(({ input }) => decode(input));

/** Fuzz inputs seldom have a Host, and often end lines with LF alone: each is tried as it is and mended. */
function mended(input: Uint8Array): Uint8Array[] {
  const whole = text(input).replaceAll(/\r?\n/g, "\r\n");
  return [input, bytes(whole), bytes(whole.replace("\r\n", "\r\nHost: app.example.com\r\n"))];
}

const inputs = [
  ...(rows ?? []).filter(isRequest).map((row) => bytes(inputOf(row))),
  ...(corpus<{ head: string; hasHost: boolean }>("guardian.jsonl") ?? []).flatMap(({ head }) =>
    mended(bytes(`${text(decode(head))}0\r\n\r\n${"x".repeat(12_000)}`)),
  ),
  ...base64Rows("fuzz-h2o-http1.jsonl").flatMap(mended),
  ...base64Rows("fuzz-gofuzz-http1.jsonl").flatMap(mended),
];

describe.skipIf(inputs.length === 0)("hostile input that is forwarded", () => {
  const forwarded = inputs.flatMap(forwardAll);

  test("is some of it, so that there is something to judge", () => {
    expect(inputs.length).toBeGreaterThan(8_000);
    expect(forwarded.length).toBeGreaterThan(200);
  });

  for (const judge of JUDGES) {
    test.skipIf(!judge.isThere)(
      `is for ${judge.name} the same requests, not one more or less (S-05, S-29)`,
      async () => {
        const { seen, known } = await judged(judge, forwarded);
        expect(known.length).toBeGreaterThan(100);
        expect(seen).toEqual([...known]);
      },
    );
  }
});

/** Whole requests of an input, up to one after which the connection ends; whether something of it was refused. */
function readHere(input: Uint8Array): { whole: string[]; isRefused: boolean } {
  const { seen } = stopAtClose(readRequests([input]));
  const whole = seen.messages.filter(({ ended }) => ended);
  return {
    whole: whole.map(({ line, body }) => `${line} ${body}`),
    isRefused: seen.fault !== undefined,
  };
}

describe.skipIf(inputs.length === 0)("hostile input as it came", () => {
  const unique = [...new Map(inputs.map((input) => [text(input), input])).values()];
  const known = unique
    .map((input) => ({ input, ...readHere(input) }))
    .filter(({ whole }) => whole.length > 0);

  for (const judge of JUDGES) {
    test.skipIf(!judge.isThere)(
      `is read by ${judge.name} as the same requests, as far as both read it`,
      async () => {
        const { connections } = await judge.ask({
          connections: known.map(({ input }) => input),
          responses: [],
        });
        let compared = 0;
        for (const [index, { input, whole, isRefused }] of known.entries()) {
          const requests = connections[index]?.requests ?? [];
          const theirs = requests
            .filter(({ body }) => body !== undefined)
            .map(({ method, target, body }) => {
              return `${method} ${target} ${Buffer.from(body, "base64").toString("latin1")}`;
            });
          const both = Math.min(whole.length, theirs.length);
          expect([text(input), theirs.slice(0, both)]).toEqual([text(input), whole.slice(0, both)]);
          // Where they read on, tunl has refused.
          expect([text(input), theirs.length > whole.length && !isRefused]).toEqual([
            text(input),
            false,
          ]);
          compared += both;
        }
        expect(compared).toBeGreaterThan(100);
      },
    );
  }
});
