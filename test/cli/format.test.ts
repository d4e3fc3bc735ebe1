import { describe, expect, test } from "bun:test";
import { formatJson, formatPretty, formatText } from "../../src/cli/format.ts";
import { HIDDEN, printable, redactFields, redactText } from "../../src/cli/redact.ts";
import { type EventName, type EventRow, EVENTS } from "../../src/log-events.ts";
import type { LogLevel, LogRecord } from "../../src/log.ts";
import { expectGolden } from "../golden.ts";

const PLAIN = { isColored: false, showsHosts: false };
const COLORED = { isColored: true, showsHosts: false };
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
    expect(formatPretty(record({}), PLAIN, NOW)).toBe("✔ connected    1 link, 23 ms");
    expect(
      formatPretty(
        record({ level: "warn", event: "link.lost", message: "silent for 5 s" }),
        PLAIN,
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
        PLAIN,
        NOW,
      ),
    ).toBe("✖ refused      No\n               Do");
    expect(formatPretty(record({ event: "stopped", message: "" }), PLAIN, NOW)).toBe("✔ stopped");
    expect(
      formatPretty(
        record({ event: "start", message: "tunl 0.1.0  edge  example.com" }),
        PLAIN,
        NOW,
      ),
    ).toBe("tunl 0.1.0  edge  example.com");
    expect(formatPretty(record({ level: "debug" }), PLAIN, NOW)).toBe(
      "· connected    1 link, 23 ms edge=example.com links=1 rttMs=23",
    );
    expect(formatPretty(record({}), COLORED, NOW)).toBe(
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
    expect(formatPretty(record({ event: "request", message: "", fields }), PLAIN, now)).toBe(
      "10:02:11  200  GET /            14 ms  1.2 KiB",
    );
    expect(
      formatPretty(
        record({
          event: "request",
          message: "",
          fields: { ...fields, status: 101, path: "/live" },
        }),
        PLAIN,
        now,
      ),
    ).toBe("10:02:11  101  GET /live        websocket");
    expect(
      formatPretty(
        record({ event: "request", message: "", fields }),
        { isColored: false, showsHosts: true },
        now,
      ),
    ).toContain("GET app.example.com/  14 ms");
    const left = record({ event: "request", message: "", fields: { ...fields, status: 0 } });
    expect(formatPretty(left, PLAIN, now)).toContain("10:02:11  ---  GET /");
    // Where there are many names there may be many services.
    const many = { ...PLAIN, showsHosts: true };
    const served = { ...fields, service: "http://localhost:8000", rule: 2 };
    expect(formatPretty(record({ event: "request", message: "", fields: served }), many, now)).toBe(
      "10:02:11  200  GET app.example.com/  14 ms  1.2 KiB  http://localhost:8000",
    );
  });

  test("text: time, level, event, message, fields", () => {
    expect(formatText(record({}), NOW)).toBe(
      "2026-11-22T10:00:01.204Z INFO  connected 1 link, 23 ms edge=example.com links=1 rttMs=23",
    );
    const quoted = record({ event: "visitor", message: "", fields: { error: 'a "b" c' } });
    expect(formatText(quoted, NOW)).toBe(
      '2026-11-22T10:00:01.204Z INFO  visitor error="a \\"b\\" c"',
    );
  });

  test("json: one object, whose first four members no field replaces", () => {
    expect(formatJson(record({}), NOW)).toBe(
      '{"time":"2026-11-22T10:00:01.204Z","level":"info","event":"connected","msg":"1 link, 23 ms","edge":"example.com","links":1,"rttMs":23}',
    );
    const fields = { level: "error", event: "x", time: "y", links: 200 };
    const forged = JSON.parse(formatJson(record({ fields }), NOW));
    expect([forged.level, forged.event, forged.links]).toEqual(["info", "connected", 200]);
    expect(forged.time).toBe(NOW.toISOString());
  });

  test("one record is one line, whatever a visitor sent", () => {
    const path = "/a\r\n2026-01-01T00:00:00.000Z ERROR forged\u001b[2J\u2028\u202eevil\u0085";
    const fields = { method: "GET", path, status: 200 };
    for (const line of [
      formatText(record({ fields, message: path }), NOW),
      formatPretty(record({ event: "request", fields }), PLAIN, NOW),
      formatPretty(record({ message: path }), PLAIN, NOW),
    ]) {
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    }
    expect(formatJson(record({ fields }), NOW)).not.toMatch(/[\n\r\u001b]/);
  });

  test("query strings never reach a line", () => {
    for (const text of [formatText, formatJson]) {
      const request = record({ event: "request", fields: { path: "/a?token=1" } });
      const route = record({ event: "route", fields: { url: "https://x/?token=1" } });
      expect(text(request, NOW) + text(route, NOW)).not.toMatch(/\?|token/);
    }
  });
});

describe("every event", () => {
  /** One value for each name of a field; a new field needs one. */
  const VALUES: Readonly<Record<string, string | number>> = {
    addresses: "203.0.113.7, 2001:db8::7",
    backup: "state-20261122T100000Z-42.db",
    account: "bob",
    acceptRate: 3,
    address: "192.0.2.7",
    attempt: 4,
    bytesIn: 12,
    bytesOut: 1_234,
    cause: "silent for 15 s",
    code: "ORIGIN_REFUSED",
    column: 8,
    connections: 2,
    connectionsPerSource: 1,
    domain: "example.com",
    dropped: 1_024,
    edge: "example.com",
    error: "read ECONNRESET",
    expression: "^/(?:a|b)",
    expiresAt: "2026-11-22T10:00:00.000Z",
    file: "/etc/tunl/edge.yml",
    frameType: 9,
    graceMs: 30_000,
    hint: "Start your app; the next request tries again",
    host: "app.example.com",
    hosts: "app.example.com,www.example.com",
    http: ":80",
    id: "0b8e5c1d-93a7-4f5e-9d21-6c4b7f0a2e58",
    inMs: 4_000,
    inProgress: 2,
    issued: 42,
    key: "k5xqz7d2mwp4ahn6r3tcvb2yfe",
    keyId: "home",
    keys: 2,
    kind: "tunnel",
    label: "home",
    line: 3,
    limit: 50,
    links: 1,
    listen: ":443",
    method: "GET",
    ms: 14,
    name: "app.example.com",
    names: "example.com, *.example.com",
    oldEndsAt: "2026-11-22T10:10:00.000Z",
    oldestLeavesAt: "2026-11-28T14:03:00.000Z",
    path: "/a/b?token=hidden",
    penalty: 1,
    pendingHandshakes: 1,
    port: 443,
    reason: "expired",
    requestId: "00112233445566778899aabbccddeeff",
    rttMs: 23,
    rule: 2,
    server: "ns1.example.com",
    service: "http://localhost:8000",
    severity: "error",
    signal: "SIGINT",
    state: "/var/lib/tunl",
    status: 200,
    stream: 7,
    tunnel: "home",
    url: "https://app.example.com",
    version: "0.1.0",
    visitor: "192.0.2.7",
  };
  const LEVELS: Partial<Record<EventName, LogLevel>> = {
    "certificate.limit": "warn",
    "config.rejected": "error",
    "link.lost": "warn",
    "log.dropped": "warn",
    "origin.error": "warn",
    bug: "error",
    failed: "error",
    refused: "error",
    request: "info",
    retry: "warn",
  };
  const records = Object.entries(EVENTS).map(([event, { fields }]): LogRecord => {
    const names = [...fields, ...(event === "request" ? ["tunnel"] : [])];
    for (const name of names) if (!(name in VALUES)) throw new Error(`No value for ${name}`);
    return {
      event: event as EventName,
      level: LEVELS[event as EventName] ?? "info",
      message: event === "request" ? "" : "what happened",
      fields: Object.fromEntries(names.map((name) => [name, VALUES[name]])),
    };
  });

  test.each([
    ["pretty", (each: LogRecord) => formatPretty(each, PLAIN, new Date(2026, 10, 22, 10, 2, 11))],
    ["text", (each: LogRecord) => formatText(each, NOW)],
    ["json", (each: LogRecord) => formatJson(each, NOW)],
  ] as const)("looks as in its golden file in %s", (form, format) => {
    expectGolden(`log/${form}.txt`, records.map((each) => `${format(each)}\n`).join(""));
  });

  test("the events that other programs lean on are there, with the fields of a request", () => {
    const stable =
      "ready connected link.lost draining stopped route certificate certificate.limit config.rejected enrolled request origin.error";
    expect(Object.keys(EVENTS)).toEqual(expect.arrayContaining(stable.split(" ")));
    const names =
      "host method path status ms bytesIn bytesOut visitor requestId service rule code tunnel".split(
        " ",
      );
    expect([...EVENTS.request.fields, "tunnel"]).toEqual(names);
  });

  test("the words of the pretty form fit their column", () => {
    const rows: [string, EventRow][] = Object.entries(EVENTS);
    for (const [event, { label = event }] of rows) expect(label.length).toBeLessThanOrEqual(12);
  });

  test("no field can hold a secret by its name", () => {
    const names = Object.values(EVENTS).flatMap(({ fields }): readonly string[] => fields);
    expect(names.length).toBeGreaterThan(60);
    for (const name of names)
      expect(name).not.toMatch(
        /secret|token|password|private|cookie|authorization|query|header|body|join/i,
      );
  });
});

describe("redaction", () => {
  test("fields outside the list are hidden, undefined ones left out", () => {
    const fields = { status: 200, password: "x", authorization: "y", tunnel: undefined };
    const hidden = { password: HIDDEN, authorization: HIDDEN };
    expect(redactFields("request", fields)).toEqual({ status: 200, ...hidden });
    // A field of one event is none of another.
    expect(redactFields("connected", fields)).toEqual({ status: HIDDEN, ...hidden });
  });

  test("codes and tokens are masked in every form of a line, the fingerprint is not", () => {
    const secrets = [LINE, LINE.toUpperCase(), "tunl_t1_kBadTokenText-_09"];
    for (const secret of secrets) {
      const whole = record({
        event: "certificate",
        message: `joining with ${secret} now`,
        fields: { hint: `Use ${secret}`, error: secret },
      });
      for (const line of [
        formatText(whole, NOW),
        formatJson(whole, NOW),
        formatPretty(whole, COLORED, NOW),
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
