import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  canonicalHost,
  canonicalName,
  formatPattern,
  isBelow,
  matchesOneLabel,
  matchesPattern,
  parsePattern,
  withoutWildcard,
} from "../../src/address/index.ts";
import type { HostPattern } from "../../src/address/index.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const pattern = (text: string): HostPattern => parsePattern(text) as HostPattern;
const corpora = process.env["TUNL_CORPORA"] ?? resolve(import.meta.dir, "../../../shared/corpora");

/** The rule of S-20 once more, slowly and by regular expression. */
function oracle(text: string): string | undefined {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  if (name.length > 253 || !/^[\x21-\x7e]+$/.test(name)) return undefined;
  const labels = name.split(".");
  if (!labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(label)))
    return undefined;
  if (/^(?:[0-9]+|0x[0-9a-f]*)$/i.test(labels[labels.length - 1] as string)) return undefined;
  return name.toLowerCase();
}

describe("hostname", () => {
  test("brings every spelling of a name to one form", () => {
    for (const text of ["example.com", "EXAMPLE.com", "eXaMpLe.CoM.", "example.com."]) {
      expect(canonicalName(text)).toBe("example.com");
      expect(canonicalHost(bytes(text))).toEqual({ host: "example.com", port: undefined });
    }
    expect(canonicalName("localhost")).toBe("localhost");
    expect(canonicalName("xn--bcher-kva.example")).toBe("xn--bcher-kva.example");
    expect(canonicalName("1.2.3.4.example")).toBe("1.2.3.4.example");
  });

  test("reads a port beside the host", () => {
    expect(canonicalHost(bytes("Example.com:8443"))).toEqual({ host: "example.com", port: 8443 });
    expect(canonicalHost(bytes("example.com.:1"))).toEqual({ host: "example.com", port: 1 });
    expect(canonicalHost(bytes("example.com:65535"))?.port).toBe(65_535);
  });

  test.each([
    ":",
    "a:",
    "a:0",
    "a:080",
    "a:65536",
    "a:123456",
    "a:8a",
    "a:-1",
    "a: 80",
    ":80",
    "a:1:2",
    "a:٤",
  ])("refuses the authority %p", (text) => {
    expect(canonicalHost(bytes(text))).toBeUndefined();
  });

  test.each([
    "",
    ".",
    "..",
    "a..b",
    ".a",
    "a..",
    "-a",
    "a-",
    "a.-b",
    "a-.b",
    "a_b.com",
    "_dmarc.example.com",
    "ex%61mple.com",
    "a,b",
    "user@example.com",
    "a/b",
    "a b",
    "a\tb",
    "a\0b",
    "bücher.example",
    "ｅxample.com",
    "example\u212a.com",
    "127.0.0.1",
    "1",
    "127.1",
    "0x7f000001",
    "a.0X1f",
    "a.0x",
    "[::1]",
    "::1",
    "*.example.com",
  ])("refuses the name %p", (text) => {
    expect(canonicalName(text)).toBeUndefined();
    expect(canonicalHost(bytes(text))).toBeUndefined();
  });

  test("holds the lengths of a label and of a name", () => {
    const label = "a".repeat(63);
    expect(canonicalName(`${label}.com`)).toBe(`${label}.com`);
    expect(canonicalName(`a${label}.com`)).toBeUndefined();
    const longest = `${label}.${label}.${label}.${"a".repeat(61)}`;
    expect(longest.length).toBe(253);
    expect(canonicalName(longest)).toBe(longest);
    expect(canonicalName(`${longest}.`)).toBe(longest);
    expect(canonicalHost(bytes(`${longest}.:65535`))).toEqual({ host: longest, port: 65_535 });
    expect(canonicalName(`${longest}a`)).toBeUndefined();
    expect(canonicalHost(bytes(`${longest}a`))).toBeUndefined();
    expect(canonicalHost(new Uint8Array(100_000).fill(0x61))).toBeUndefined();
  });

  test("accepts exactly the byte values of letters, digits and the hyphen inside a label", () => {
    let accepted = 0;
    for (let byte = 0; byte < 256; byte++) {
      const host = canonicalHost(Uint8Array.of(0x61, byte, 0x61))?.host;
      const character = String.fromCharCode(byte);
      expect(host).toBe(
        /[a-zA-Z0-9.-]/.test(character) ? `a${character.toLowerCase()}a` : undefined,
      );
      if (host !== undefined) accepted += 1;
    }
    expect(accepted).toBe(26 + 26 + 10 + 2);
  });

  test("does not keep the bytes of an earlier, longer name", () => {
    expect(canonicalName("a-very-long-name.example.com")).toBe("a-very-long-name.example.com");
    expect(canonicalName("b.org")).toBe("b.org");
  });

  const path = resolve(corpora, "wpt-hosts.jsonl");
  const title =
    "accepts of the hostile hosts of the URL standard's tests exactly what the rule names (S-20)";
  if (existsSync(path)) {
    test(title, () => {
      let checked = 0;
      let accepted = 0;
      for (const line of readFileSync(path, "utf8").trimEnd().split("\n")) {
        const row = JSON.parse(line) as { candidate?: string | null; host?: string | null };
        for (const text of [row.candidate, row.host]) {
          if (typeof text !== "string") continue;
          checked += 1;
          expect({ text, name: canonicalName(text) }).toEqual({ text, name: oracle(text) });
          if (canonicalName(text) !== undefined) accepted += 1;
        }
      }
      expect(checked).toBeGreaterThan(3_000);
      expect(accepted).toBeGreaterThan(100);
    });
  } else {
    test.skip(`${title}: ${path} is not there (set TUNL_CORPORA)`, () => {});
  }
});

describe("pattern", () => {
  test("without its wildcard is the name it is below", () => {
    expect(["*.a.org", "a.org", "*a.org"].map(withoutWildcard)).toEqual([
      "a.org",
      "a.org",
      "*a.org",
    ]);
  });

  test("is read and written in one form", () => {
    expect(pattern("*.Example.COM.")).toEqual({ host: "example.com", isWildcard: true });
    expect(formatPattern(pattern("*.Example.com"))).toBe("*.example.com");
    expect(formatPattern(pattern("App.example.com"))).toBe("app.example.com");
    for (const text of ["*", "*.", "*.*.a", "a.*.b", "*a.b", "**.a", "*.1"]) {
      expect(parsePattern(text)).toBeUndefined();
    }
  });

  test("covers every name below, at any depth, but not its own host", () => {
    const below = pattern("*.example.com");
    expect(matchesPattern(below, "a.example.com")).toBe(true);
    expect(matchesPattern(below, "a.b.example.com")).toBe(true);
    expect(matchesPattern(below, "example.com")).toBe(false);
    expect(matchesPattern(below, "anexample.com")).toBe(false);
    expect(matchesPattern(pattern("a.example.com"), "a.example.com")).toBe(true);
    expect(matchesPattern(pattern("a.example.com"), "b.a.example.com")).toBe(false);
    expect(isBelow(".example.com", "example.com")).toBe(false);
  });

  test("covers one label where it is matched as a certificate does (S-21)", () => {
    const wildcard = pattern("*.example.com");
    expect(matchesOneLabel(wildcard, "a.example.com")).toBe(true);
    expect(matchesOneLabel(wildcard, "a.b.example.com")).toBe(false);
    expect(matchesOneLabel(wildcard, "example.com")).toBe(false);
    expect(matchesOneLabel(pattern("example.com"), "example.com")).toBe(true);
  });
});
