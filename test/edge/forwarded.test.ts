// What hostile input becomes on its way to an origin: exactly the requests the edge took, by the verdict of parsers that others wrote.
import { describe, expect, test } from "bun:test";
import { JUDGES } from "../http1/judges/judge.ts";
import { inputOf, isRequest, rows } from "../http1/llhttp-rows.ts";
import { bytes, corpus, decode, text } from "../http1/support.ts";
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
