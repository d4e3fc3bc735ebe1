import { describe, expect, test } from "bun:test";
import { decodedPath, type PathAmbiguity, pathAmbiguity } from "../../src/http1/index.ts";
import { decodedOnce, VIEWS } from "./path-views.ts";
import { bytes, corpus, faultOf, lines, Random } from "./support.ts";

const ambiguity = (path: string): PathAmbiguity | undefined => pathAmbiguity(bytes(path));

/** Path, what is ambiguous in it. */
const TABLE: [string, PathAmbiguity | undefined][] = [
  ["/", undefined],
  ["*", undefined],
  ["/a/b", undefined],
  ["/a/", undefined],
  ["/.well-known/acme", undefined],
  ["/..a/a../.a.b/...a", undefined],
  ["/a%20b/%C3%A9", undefined],
  ["/a;v=1/b;", undefined],
  ["/100%25", undefined],
  ["/100%25/2f", undefined],
  ["/a?x=//../%2f%5c%00;", undefined],
  ["", "empty"],
  ["a", "empty"],
  ["http://a/b", "empty"],
  ["**", "empty"],
  ["//", "empty"],
  ["//a", "empty"],
  ["/a//b", "empty"],
  ["/a//", "empty"],
  ["/.", "dots"],
  ["/..", "dots"],
  ["/./a", "dots"],
  ["/a/../b", "dots"],
  ["/a/..", "dots"],
  ["/a/...", "dots"],
  ["/%2e", "dots"],
  ["/a/%2E%2e/b", "dots"],
  ["/a/.%2e", "dots"],
  ["/a/..?x", "dots"],
  ["/a%2fb", "separator"],
  ["/a%2Fb", "separator"],
  ["/..%2f", "separator"],
  ["/a%5cb", "separator"],
  ["/a\\b", "separator"],
  ["/a%00", "separator"],
  ["/;/a", "parameter"],
  ["/..;/a", "parameter"],
  ["/a/.;x=1", "parameter"],
  ["/a/..%3b/b", "parameter"],
  ["/a/%2e%2e;b/", "parameter"],
  ["/a%252fb", "escape"],
  ["/a%25%32%66b", "escape"],
  ["/a%252", undefined],
  ["/a%25252e", "escape"],
  ["/a%2520b", "escape"],
  ["/a%zz", "escape"],
  ["/a%2", "escape"],
  ["/a%", "escape"],
  ["/%c0%afa", "overlong"],
  ["/%C0%AE", "overlong"],
  ["/%c1%9c", "overlong"],
  ["/%e0%80%af", "overlong"],
  ["/%f0%80%80%af", "overlong"],
  ["/%e0%a0%80", undefined],
  ["/%f0%9f%98%80", undefined],
];

/** Pieces that hostile paths are made of. */
const PIECES = [
  ..."/ / / . .. a admin ; ;x %2e %2E %2f %5c %00 %25 %3b %20 %41 %c3%a9 %c0%af %c0%ae %e0%80%af %25%32%65 %252f %252e ..; .; ./ ../ // 2f 2e 5c".split(
    " ",
  ),
];

/** Lists of traversals, as scanners and rule sets have them. */
const TRAVERSALS = [
  "/static/../admin",
  "/static/..;/admin",
  "/static/.;/../admin",
  "/static/%2e%2e/admin",
  "/static/%2e%2e%2fadmin",
  "/static/..%2fadmin",
  "/static/..%5cadmin",
  "/static/..%c0%afadmin",
  "/static/%c0%ae%c0%ae/admin",
  "/static/..%252fadmin",
  "/static/%252e%252e/admin",
  "/static/%25%32%65%25%32%65/admin",
  "/static/..%00/admin",
  "/static%2f..%2fadmin",
  "/static//../admin",
  "//admin",
  "/./admin",
  "/%2e/admin",
  "/;/admin",
  "/static/..%3b/admin",
  "/admin%00.png",
  "/admin%2f",
  "/%61dmin/../admin",
];

describe("ambiguous paths (S-37)", () => {
  test.each(TABLE)("%j is %p", (path, expected) => {
    expect(ambiguity(path)).toBe(expected as PathAmbiguity);
  });

  test("every known way to spell a traversal is told [CVE-2025-32431, GHSA-vrch, GHSA-gm3x, CVE-2026-40912]", () => {
    for (const path of TRAVERSALS) {
      expect([path, ambiguity(path) === undefined]).toEqual([path, false]);
      expect([path, ambiguity(`${path}?x=1`)]).toEqual([path, ambiguity(path)]);
    }
  });

  test("an encoded separator or a prefix cannot split what a rule and an origin see [CVE-2019-9901, CVE-2021-29492, CVE-2026-47676]", () => {
    const random = new Random("paths");
    const counts = { same: 0, told: 0, illegal: 0 };
    for (let round = 0; round < 20_000; round++) {
      const length = 1 + random.below(6);
      const path = `/${Array.from({ length }, () => random.pick(PIECES)).join("")}`;
      if (faultOf(lines(`GET ${path} HTTP/1.1`, "Host: a")) !== undefined) {
        counts.illegal++;
        continue;
      }
      if (ambiguity(path) !== undefined) {
        counts.told++;
        continue;
      }
      counts.same++;
      const rule = decodedPath(bytes(path));
      expect(rule).toBe(decodedOnce(path) as string);
      for (const [name, view] of Object.entries(VIEWS)) {
        const seen = view(path);
        // Parameters of a segment are part of it for a rule; whoever takes them off sees the same segments otherwise.
        const expected = name === "java" ? rule.replaceAll(/;[^/]*/g, "") : rule;
        if (seen !== undefined && seen !== expected)
          throw new Error(`${path} is ${seen} for ${name}, ${expected} for a rule`);
      }
    }
    expect(Math.min(counts.same, counts.told)).toBeGreaterThan(1_000);
  });

  test("the views of others do differ where a path is told, so that the comparison means something", () => {
    const split = TRAVERSALS.filter((path) =>
      Object.values(VIEWS).some((view) => view(path) !== decodedOnce(path)),
    );
    expect(split.length).toBe(TRAVERSALS.length);
  });

  test("decoding is done once, and what is no UTF-8 is replaced", () => {
    expect(decodedPath(bytes("/a%20%C3%A9?%41"))).toBe("/a \u00e9");
    expect(decodedPath(bytes("/%2541"))).toBe("/%41");
    expect(decodedPath(bytes("/%ff%"))).toBe("/\ufffd%");
    expect(decodedPath(bytes("*"))).toBe("*");
  });
});

const rows = corpus<{
  set: string;
  pathname?: string;
  search?: string;
  failure?: boolean;
  input: string;
  base?: string | null;
}>("wpt-hosts.jsonl");

describe.skipIf(rows === undefined)("URLs as browsers make them", () => {
  test("all pass as targets (S-36), and a path that is not told is the same for everybody (S-37)", () => {
    let passed = 0;
    let same = 0;
    for (const { set, failure, pathname, search, input, base } of rows ?? []) {
      const scheme = /^[\s\0-\x1f]*([a-z][a-z0-9+.-]*):/i;
      const from = scheme.exec(input)?.[1] ?? scheme.exec(base ?? "")?.[1] ?? "";
      const isWeb = set === "url" && /^https?$/i.test(from) && failure !== true;
      if (!isWeb || pathname === undefined) continue;
      const target = pathname + (search ?? "");
      const hasLonePercent = /%(?![0-9a-f]{2})/i.test(pathname);
      const fault = faultOf(lines(`GET ${target} HTTP/1.1`, "Host: a"));
      // The one thing browsers send that is refused here: a lone % in a path (http.md §8).
      expect([target, fault]).toEqual([target, hasLonePercent ? "BAD_TARGET" : undefined]);
      passed++;
      if (fault !== undefined || ambiguity(pathname) !== undefined) continue;
      for (const view of [VIEWS["node"], VIEWS["nginx"], VIEWS["url"], VIEWS["php"]])
        expect(view?.(pathname) ?? decodedOnce(pathname)).toBe(decodedOnce(pathname) as string);
      same++;
    }
    expect(passed).toBeGreaterThan(200);
    expect(same).toBeGreaterThan(100);
  });
});
