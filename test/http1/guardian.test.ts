import { describe, expect, test } from "bun:test";
import { FAULTS } from "../../src/http1/index.ts";
import { Comparison, verdictOf } from "./comparison.ts";
import { byteByByte, bytes, corpus, decode, readRequests, text, verdict } from "./support.ts";

interface Row {
  id: string;
  tier: "Compliant" | "Acceptable" | "Ambiguous" | "Severe";
  reason: string;
  method: string;
  target: string;
  headers: [string, string, string][];
  hasHost: boolean;
  head: string;
}

const rows = corpus<Row>("guardian.jsonl");
const HOST = "Host: a.example\r\n";

const BODY_ON_GET = /^(GET|HEAD) .* (chunked|length [1-9]\d*)$/;

/** The source tests heads alone: it has no Host but in one row, and no bodies. */
function message(row: Row): string {
  const head = text(decode(row.head));
  const whole = row.hasHost ? head : head.replace("\r\n", `\r\n${HOST}`);
  const announced = readRequests([bytes(whole)]).messages[0]?.framing ?? "none";
  if (announced === "chunked") return `${whole}3\r\nabc\r\n0\r\n\r\n`;
  return whole + "x".repeat(Number(/^length (\d+)$/.exec(announced)?.[1] ?? 0));
}

/** What the source says of a row: only what it calls compliant or acceptable may be forwarded. */
const theirs = (row: Row): "read" | "refused" =>
  row.tier === "Compliant" || row.tier === "Acceptable" ? "read" : "refused";

describe.skipIf(rows === undefined)("http-desync-guardian", () => {
  test("judges every row as tunl does, or the deviation is listed with its reason (S-01)", () => {
    const comparison = new Comparison("guardian");
    for (const row of rows ?? []) {
      const all = bytes(message(row));
      const seen = readRequests([all]);
      const single = JSON.stringify(verdict(readRequests(byteByByte(all))));
      expect([row.id, single === JSON.stringify(verdict(seen))]).toEqual([row.id, true]);
      const ours = verdictOf({ seen, isClosed: false });
      if (ours === "read") {
        const [first] = seen.messages;
        expect([row.id, seen.messages.length, first?.ended]).toEqual([row.id, 1, true]);
        expect(first?.line).toBe(`${text(decode(row.method))} ${text(decode(row.target))}`);
        // The one family of refused rows that is read here: bodies on methods that seldom have one.
        if (theirs(row) === "refused")
          expect([row.id, BODY_ON_GET.test(`${first?.line} ${first?.framing}`)]).toEqual([
            row.id,
            true,
          ]);
        expect(first?.fields.filter(([name]) => row.hasHost || name !== "Host")).toEqual(
          row.headers.map(([name, value]) => [
            text(decode(name)),
            text(decode(value)).replace(/^[ \t]+|[ \t]+$/g, ""),
          ]),
        );
      } else {
        // Refused is a status of 4xx or 505, and no message of it is whole.
        expect([row.id, ours in FAULTS]).toEqual([row.id, true]);
        expect([row.id, seen.messages.filter((each) => each.ended)]).toEqual([row.id, []]);
      }
      const isSame = (ours === "read") === (theirs(row) === "read");
      if (isSame) comparison.same(theirs(row));
      else comparison.differs(row.id, theirs(row), ours);
    }
    expect(comparison.unlisted).toEqual([]);
    expect(comparison.stale).toEqual([]);
    expect(comparison.counts).toEqual({ read: 20, refused: 110, deviates: 29 });
  });
});
