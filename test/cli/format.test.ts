import { describe, expect, test } from "bun:test";
import { formatJson, formatPretty, formatText } from "../../src/cli/format.ts";
import { HIDDEN, printable, redactFields, redactText } from "../../src/cli/redact.ts";
import type { LogRecord } from "../../src/log.ts";

const NOW = new Date("2026-11-22T10:00:01.204Z");
const LINE = "tunl://example.com/k5xqz7d2mwp4ahn6r3tcvb2yfe/q3nw7yh2ke5rdm4tx6pzc2vabm";

function record(more: Partial<LogRecord>): LogRecord {
  return {
    level: "info",
    event: "connected",
    message: "1 link, 23 ms",
    fields: { edge: "example.com", links: 1, rttMs: 23 },
    ...more,
  };
}

describe("format", () => {
  test("pretty: mark, label padded to 12, text, hint below", () => {
    expect(formatPretty(record({}), false, NOW)).toBe("✔ connected    1 link, 23 ms");
    expect(
      formatPretty(
        record({ level: "warn", event: "link.lost", message: "silent for 5 s" }),
        false,
        NOW,
      ),
    ).toBe("⚠ link lost    silent for 5 s");
    expect(
      formatPretty(
        record({
          level: "error",
          event: "refused",
          message: "No",
          fields: { code: "X", hint: "Do" },
        }),
        false,
        NOW,
      ),
    ).toBe("✖ refused      No\n               Do");
    expect(formatPretty(record({ event: "stopped", message: "" }), false, NOW)).toBe("✔ stopped");
    expect(
      formatPretty(
        record({ event: "start", message: "tunl 0.1.0  edge  example.com" }),
        false,
        NOW,
      ),
    ).toBe("tunl 0.1.0  edge  example.com");
    expect(formatPretty(record({ level: "debug" }), false, NOW)).toBe(
      "· connected    1 link, 23 ms edge=example.com links=1 rttMs=23",
    );
    expect(formatPretty(record({}), true, NOW)).toBe(
      "\u001b[32m✔\u001b[0m connected    1 link, 23 ms",
    );
  });

  test("pretty: request lines", () => {
    const now = new Date(2026, 10, 22, 10, 2, 11);
    const fields = {
      host: "app.example.com",
      method: "GET",
      path: "/",
      status: 200,
      ms: 14,
      bytesOut: 1_234,
    };
    expect(formatPretty(record({ event: "request", message: "", fields }), false, now)).toBe(
      "10:02:11  200  GET /             14 ms  1.2 KiB",
    );
    expect(
      formatPretty(
        record({
          event: "request",
          message: "",
          fields: { ...fields, status: 101, path: "/live" },
        }),
        false,
        now,
      ),
    ).toBe("10:02:11  101  GET /live         websocket");
    expect(
      formatPretty(
        record({ event: "request", message: "", fields: { ...fields, tunnel: "home" } }),
        false,
        now,
      ),
    ).toContain("GET app.example.com/  14 ms");
  });

  test("text: time, level, event, message, fields", () => {
    expect(formatText(record({}), NOW)).toBe(
      "2026-11-22T10:00:01.204Z INFO  connected 1 link, 23 ms edge=example.com links=1 rttMs=23",
    );
    expect(formatText(record({ message: "", fields: { error: 'a "b" c' } }), NOW)).toBe(
      '2026-11-22T10:00:01.204Z INFO  connected error="a \\"b\\" c"',
    );
  });

  test("json: one object, whose first four members no field replaces", () => {
    expect(formatJson(record({}), NOW)).toBe(
      '{"time":"2026-11-22T10:00:01.204Z","level":"info","event":"connected","msg":"1 link, 23 ms","edge":"example.com","links":1,"rttMs":23}',
    );
    const forged = JSON.parse(formatJson(record({ fields: { level: "error", status: 200 } }), NOW));
    expect([forged.level, forged.status]).toEqual(["info", 200]);
  });

  test("one record is one line, whatever a visitor sent", () => {
    const path = "/a\r\n2026-01-01T00:00:00.000Z ERROR forged\u001b[2J\u2028\u202eevil\u0085";
    const fields = { method: "GET", path, status: 200 };
    for (const line of [
      formatText(record({ fields, message: path }), NOW),
      formatPretty(record({ event: "request", fields }), false, NOW),
      formatPretty(record({ message: path }), false, NOW),
    ]) {
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    }
    expect(formatJson(record({ fields }), NOW)).not.toMatch(/[\n\r\u001b]/);
  });

  test("query strings never reach a line", () => {
    for (const text of [formatText, formatJson])
      expect(
        text(record({ fields: { path: "/a?token=1", url: "https://x/?b" } }), NOW),
      ).not.toContain("?");
  });
});

describe("redaction", () => {
  test("fields outside the list are hidden, undefined ones left out", () => {
    expect(
      redactFields({ status: 200, password: "x", authorization: "y", tunnel: undefined }),
    ).toEqual({ status: 200, password: HIDDEN, authorization: HIDDEN });
  });

  test("codes and tokens are masked in every form of a line, the fingerprint is not", () => {
    const secrets = [LINE, LINE.toUpperCase(), "tunl_t1_kBadTokenText-_09"];
    for (const secret of secrets) {
      const whole = record({
        message: `joining with ${secret} now`,
        fields: { hint: `Use ${secret}`, error: secret },
      });
      for (const line of [
        formatText(whole, NOW),
        formatJson(whole, NOW),
        formatPretty(whole, true, NOW),
      ]) {
        expect(line.toLowerCase()).not.toContain("q3nw7yh2");
        expect(line).not.toContain("kBadTokenText");
      }
    }
    expect(redactText(LINE)).toBe(`tunl://example.com/k5xqz7d2mwp4ahn6r3tcvb2yfe/${HIDDEN}`);
    expect(redactText("tunl connect 8000, tunl_sessions_live")).toBe(
      "tunl connect 8000, tunl_sessions_live",
    );
  });

  test("printable keeps writing of all peoples", () => {
    expect(printable("größe 日本 ✔ مرحبا")).toBe("größe 日本 ✔ مرحبا");
    expect(printable("a\tb")).toBe("a\\x09b");
  });
});
