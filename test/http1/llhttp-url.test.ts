import { describe, expect, test } from "bun:test";
import { canonicalHost } from "../../src/address/index.ts";
import { originForm } from "../../src/http1/index.ts";
import { Comparison, verdictOf } from "./comparison.ts";
import type { Verdict } from "./deviations.ts";
import { bytes, corpus, decode, faultOf, lines, readRequests, text } from "./support.ts";

interface Row {
  id: string;
  input: string;
  events: { what: string; text?: string }[];
  error: { code: number } | null;
}

const rows = corpus<Row>("llhttp-url.jsonl");

const span = (row: Row, name: string): string | undefined =>
  row.events.find(({ what }) => what === `span[url.${name}]`)?.text;

/** As a browser's proxy sends it: Host is the authority. What a connection makes of it, routing included. */
function judge(target: string, host: string): Verdict {
  const message = lines(`GET ${target} HTTP/1.1`, `Host: ${host}`);
  faultOf(message);
  const found = verdictOf({ seen: readRequests([bytes(message)]), isClosed: false });
  if (found !== "read") return found;
  return canonicalHost(bytes(host)) === undefined ? "BAD_HOST" : "read";
}

describe.skipIf(rows === undefined)("request targets of llhttp", () => {
  test("have the parts that llhttp finds, or the deviation is listed with its reason (S-36)", () => {
    const comparison = new Comparison("llhttp-url");
    const compare = (id: string, row: Row, target: string): void => {
      const host = span(row, "host") ?? "a.example";
      const ours = judge(target, host);
      if (row.error !== null) {
        // Two @ make no Host that equals the authority.
        if (ours === "BAD_TARGET" || ours === "HOST_MISMATCH") comparison.same("refused");
        else comparison.differs(id, "refused", ours);
      } else if (ours === "read") {
        const query = span(row, "query");
        expect(text(originForm(bytes(target), "GET"))).toBe(
          `${span(row, "path") ?? "/"}${query === undefined ? "" : `?${query}`}`,
        );
        comparison.same("read");
      } else comparison.differs(id, "read", ours);
    };
    for (const row of rows ?? []) {
      const target = text(decode(row.input));
      compare(row.id, row, target);
      if (target.includes("#"))
        compare(`${row.id} without fragment`, row, target.replace(/#.*/, ""));
    }
    expect(comparison.unlisted).toEqual([]);
    expect(comparison.stale).toEqual([]);
    expect(comparison.counts).toEqual({ read: 9, refused: 5, deviates: 14 });
  });
});
