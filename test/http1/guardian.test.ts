import { describe, expect, test } from "bun:test";
import { byteByByte, bytes, corpus, decode, readRequests, text, verdict } from "./support.ts";

interface Row {
  id: string;
  tier: "Compliant" | "Acceptable" | "Ambiguous" | "Severe";
  reason: string;
  hasHost: boolean;
  head: string;
}

const rows = corpus<Row>("guardian.jsonl");

/** Bodies on GET and HEAD are consumed and forwarded with framing of our own (S-06). */
const BODY_ON_GET = new Set([
  "UndefinedContentLengthSemantics",
  "UndefinedTransferEncodingSemantics",
]);

/** Rows the source calls compliant and a rule of ours refuses. */
const STRICTER: Readonly<Record<string, string>> = {
  "more-compliant-tests.yaml#6": "BAD_CODING", // S-01: more than chunked
  "more-compliant-tests.yaml#8": "BAD_CODING",
  "more-compliant-tests.yaml#9": "BAD_CODING",
  "more-compliant-tests.yaml#10": "BAD_CODING", // S-01: a parameter
  "rfc-compliant.yaml#9": "BAD_CODING",
  "rfc-compliant.yaml#10": "BAD_CODING",
  "rfc-compliant.yaml#11": "BAD_CODING",
  "rfc-compliant.yaml#12": "BAD_TARGET", // S-36: #
  "rfc-compliant.yaml#13": "BAD_TARGET", // S-36: bytes above 0x7F
  "rfc-compliant.yaml#14": "BAD_TARGET", // an empty target
};

const message = (row: Row): string => {
  const head = text(decode(row.head));
  return row.hasHost ? head : head.replace("\r\n", "\r\nHost: a.example\r\n");
};

describe.skipIf(rows === undefined)("http-desync-guardian", () => {
  test("severe and ambiguous requests are refused, compliant ones read (S-01)", () => {
    const counts = { read: 0, refused: 0, bodyOnGet: 0, stricter: 0 };
    for (const row of rows ?? []) {
      const all = bytes(message(row));
      const seen = readRequests([all]);
      expect(verdict(readRequests(byteByByte(all)))).toEqual(verdict(seen));
      const code = seen.fault?.replace(/@.*/, "");
      const stricter = STRICTER[row.id];
      if (stricter !== undefined) {
        expect([row.id, code]).toEqual([row.id, stricter]);
        counts.stricter++;
      } else if (row.tier === "Compliant") {
        expect([row.id, code, seen.messages.length]).toEqual([row.id, undefined, 1]);
        counts.read++;
      } else if (row.tier !== "Acceptable") {
        const isBodyOnGet = BODY_ON_GET.has(row.reason) && code === undefined;
        if (isBodyOnGet) {
          expect(seen.messages[0]?.line).toMatch(/^(GET|HEAD) /);
          counts.bodyOnGet++;
        } else {
          expect([row.id, typeof code]).toEqual([row.id, "string"]);
          counts.refused++;
        }
      }
    }
    expect(counts).toEqual({ read: 18, refused: 110, bodyOnGet: 6, stricter: 10 });
  });
});
