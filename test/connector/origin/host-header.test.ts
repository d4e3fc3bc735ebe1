import { describe, expect, test } from "bun:test";

import { ORIGIN_REQUEST_DEFAULTS, type OriginRequestOptions } from "../../../src/config/index.ts";
import { makeOrigin, parseHostHeader } from "../../../src/connector/origin/index.ts";
import { failure } from "../../../src/connector/origin/failures.ts";
import { parseTarget } from "../../../src/connector/target.ts";
import { Deadlines } from "../../../src/deadlines.ts";
import { TunlError } from "../../../src/errors.ts";

describe("host header setting", () => {
  test("takes keep, origin and a host with an optional port", () => {
    expect(parseHostHeader("keep")).toEqual({ kind: "keep" });
    expect(parseHostHeader("origin")).toEqual({ kind: "origin" });
    for (const value of ["app.internal", "localhost:8000", "[::1]:80", "a_b"]) {
      expect(parseHostHeader(value)).toEqual({ kind: "value", value });
    }
  });

  for (const value of [
    "",
    "a b",
    "a\r\nX: 1",
    "a/b",
    "http://a",
    "a:",
    "a:123456",
    "č",
    "a@b",
    "-a",
  ]) {
    test(`refuses ${JSON.stringify(value)}`, () => {
      expect(() => parseHostHeader(value)).toThrow(TunlError);
    });
  }
});

describe("making an origin", () => {
  const surroundings = { deadlines: new Deadlines(() => {}) };

  test("has its target in full form as url", () => {
    for (const text of ["8000", "https://nas.local", "unix:/x.sock", "http_status:404"]) {
      const target = parseTarget(text);
      const origin = makeOrigin(target, ORIGIN_REQUEST_DEFAULTS, surroundings);
      expect(origin.url).toBe(target.url);
    }
  });

  test("refuses settings that could never work, before the first request", () => {
    const make = (text: string, changes: Partial<OriginRequestOptions>): (() => unknown) => {
      return () =>
        makeOrigin(parseTarget(text), { ...ORIGIN_REQUEST_DEFAULTS, ...changes }, surroundings);
    };
    expect(make("8000", { hostHeader: { kind: "value", value: "a b" } })).toThrow("as Host");
    expect(make("https://a", { caPool: "not a certificate" })).toThrow("holds no certificate");
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    expect(make("https://a", { caPool: broken })).toThrow("cannot be read");
  });
});

describe("failure", () => {
  test("cuts its detail to 256 bytes, never inside a character", () => {
    for (const text of [
      "short",
      "x".repeat(300),
      "é".repeat(200),
      `x${"€".repeat(100)}`,
      "😀".repeat(70),
    ]) {
      const { detail } = failure("INTERNAL", true, text);
      const bytes = new TextEncoder().encode(detail);
      expect(bytes.length).toBeLessThanOrEqual(256);
      expect(text.startsWith(detail)).toBe(true);
      expect(new TextDecoder("utf-8", { fatal: true }).decode(bytes)).toBe(detail);
      if (new TextEncoder().encode(text).length > 256) expect(bytes.length).toBeGreaterThan(252);
    }
  });
});
