import { describe, expect, test } from "bun:test";
import { exitCodeOf, formatFailure } from "../../src/cli/failure.ts";
import { ConfigError } from "../../src/config/index.ts";
import { TunlError } from "../../src/errors.ts";

describe("failure", () => {
  test("an error is a mark, a label, what happened and what to do", () => {
    const error = new TunlError("PORT_IN_USE", "Binding :443 is used by nginx (pid 812)", {
      hint: "Stop it, or use --listen :8443",
    });
    expect(formatFailure(error, false)).toBe(
      "✖ local        Binding :443 is used by nginx (pid 812)\n               Stop it, or use --listen :8443",
    );
    expect(formatFailure(error, true)).toStartWith("\u001b[31m✖\u001b[0m local");
    expect(formatFailure(new TypeError("x is not a function"), false)).toBe(
      "✖ failed       x is not a function",
    );
    expect(formatFailure("thrown text", false)).toBe("✖ failed       thrown text");
  });

  test("stacks and causes are shown on demand only", () => {
    const error = new TunlError("EDGE_UNREACHABLE", "Dialling timed out", {
      cause: new Error("ETIMEDOUT"),
    });
    expect(formatFailure(error, false)).not.toContain("ETIMEDOUT");
    expect(formatFailure(error, false, true)).toContain("Error: ETIMEDOUT");
    const ring = new Error("ring");
    ring.cause = ring;
    expect(formatFailure(ring, false, true)).toContain("ring");
  });

  test.each([
    ["USAGE", 2],
    ["CONFIG_INVALID", 3],
    ["JOIN_REFUSED", 4],
    ["EDGE_KEY_MISMATCH", 4],
    ["KEY_REFUSED", 4],
    ["HOSTNAME_NOT_GRANTED", 4],
    ["EDGE_UNREACHABLE", 5],
    ["PORT_IN_USE", 6],
    ["PORT_FORBIDDEN", 6],
    ["STATE_DAMAGED", 6],
    ["HOSTNAME_TAKEN", 7],
    ["NOBODY_KNOWS", 1],
    ["constructor", 1],
  ])("%s exits with %d", (code, exit) => expect(exitCodeOf(new TunlError(code, "x"))).toBe(exit));

  test("what is no error of ours exits with 1", () => expect(exitCodeOf(new Error("x"))).toBe(1));

  test("a configuration is told with its lines", () => {
    const source = { name: "/etc/tunl/edge.yml", text: "grace: 30\n" };
    const span = { line: 1, column: 8, length: 2 };
    const error = new ConfigError(source, [
      {
        severity: "error",
        code: "BAD_VALUE",
        message: "grace is 30, expected a duration with a unit such as 30s",
        span,
      },
    ]);
    expect(exitCodeOf(error)).toBe(3);
    expect(formatFailure(error, false)).toBe(
      "✖ /etc/tunl/edge.yml:1:8 grace is 30, expected a duration with a unit such as 30s\n    1 | grace: 30\n      |        ^^",
    );
  });

  test("user name and password of a URL are left out", () => {
    expect(
      formatFailure(new Error('Unknown command "http://user:hunter2@localhost:1/a@b"'), false),
    ).toBe('✖ failed       Unknown command "http://localhost:1/a@b"');
  });

  test("a join line in an error is masked", () => {
    expect(
      formatFailure(new Error("cannot use tunl://example.com/k5xq/q3nw"), false),
    ).not.toContain("q3nw");
    const form = "expected tunl://HOST[:PORT]/FINGERPRINT/CODE";
    expect(formatFailure(new Error(form), false)).toBe(`✖ failed       ${form}`);
    expect(formatFailure(new Error("tunl://a/b/codex"), false)).not.toContain("codex");
  });
});
