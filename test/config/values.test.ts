import { describe, expect, test } from "bun:test";
import type { Kind, Option } from "../../src/config/index.ts";
import { readValue } from "../../src/config/values.ts";

const BASE = { directory: "/etc/tunl", home: "/home/me" };

function option(kind: Kind, more: Partial<Option> = {}): Option {
  return { kind, commands: [], about: "", phase: 1, isBuilt: true, ...more };
}

function value(kind: Kind, text: string, more?: Partial<Option>): unknown {
  const reading = readValue(option(kind, more), text, BASE);
  return "value" in reading ? reading.value : undefined;
}

describe("values", () => {
  test("reads addresses to listen on", () => {
    expect(value("listen", ":443")).toEqual({ host: undefined, port: 443 });
    expect(value("listen", "127.0.0.1:0")).toEqual({ host: "127.0.0.1", port: 0 });
    expect(value("listen", "[::1]:8443")).toEqual({ host: "::1", port: 8443 });
    expect(value("listen", "LOCALHOST:80")).toEqual({ host: "localhost", port: 80 });
    for (const text of [
      "",
      "443",
      ":",
      ":65536",
      ":0443000",
      "::1:443",
      "[127.0.0.1]:1",
      "a b:1",
      "[::1]",
      "localhost",
      "127.1:80",
      "[::1%lo]:1",
    ]) {
      expect([text, value("listen", text)]).toEqual([text, undefined]);
    }
  });

  test("reads addresses to dial", () => {
    expect(value("peer", "Example.com")).toEqual({ host: "example.com", port: 443 });
    expect(value("peer", "example.com:8443")).toEqual({ host: "example.com", port: 8443 });
    expect(value("peer", "[::1]")).toEqual({ host: "::1", port: 443 });
    for (const text of ["", ":443", "example.com:0", "https://example.com", "a_b.com"])
      expect([text, value("peer", text)]).toEqual([text, undefined]);
  });

  test("reads paths from their file's directory, with ~", () => {
    expect(value("path", "tls/key.pem")).toBe("/etc/tunl/tls/key.pem");
    expect(value("path", "~/key.pem")).toBe("/home/me/key.pem");
    expect(value("path", "~")).toBe("/home/me");
    expect(value("path", "/a/../b")).toBe("/b");
    expect(value("path", "a\0b")).toBeUndefined();
    expect(value("socket", "unix:/run/x.sock")).toBe("/run/x.sock");
    expect(value("socket", "127.0.0.1:80")).toBeUndefined();
    expect(readValue(option("socket"), "/run/x.sock", BASE)).toEqual({
      expected: "unix:PATH",
      hint: "Write unix:/run/x.sock",
    });
  });

  test("reads names and labels", () => {
    expect(value("hostname", "App.Example.COM.")).toBe("app.example.com");
    expect(value("pattern", "*.Dev.example.com")).toBe("*.dev.example.com");
    expect(value("label", "My-App")).toBe("my-app");
    expect(value("reserved", "_*")).toBe("_*");
    for (const text of ["a.b", "-a", "a-", "", "a".repeat(64), "ü"])
      expect([text, value("label", text)]).toEqual([text, undefined]);
    for (const text of ["*.*.x", "a*.x", "*", "10.0.0.1"])
      expect([text, value("pattern", text)]).toEqual([text, undefined]);
  });

  test("keeps bounds, and off is allowed only where it is said", () => {
    expect(value("integer", "0", { min: 1, max: 9 })).toBeUndefined();
    expect(value("integer", "9", { min: 1, max: 9 })).toBe(9);
    expect(value("integer", "010")).toBeUndefined();
    expect(value("integer", "off", { canBeOff: true })).toBe("off");
    expect(value("integer", "false", { canBeOff: true })).toBe("off");
    expect(value("size", "auto", { canBeAuto: true })).toBe("auto");
    expect(value("integer", "off")).toBeUndefined();
    expect(readValue(option("duration", { min: 1_000, max: 3_600_000 }), "2h", BASE)).toEqual({
      expected: "1s to 1h",
    });
  });

  test("refuses control characters in texts", () => {
    expect(value("text", "a b")).toBe("a b");
    expect(value("text", "a\u001b[2J")).toBeUndefined();
    expect(value("text", "x".repeat(1_025))).toBeUndefined();
  });
});
