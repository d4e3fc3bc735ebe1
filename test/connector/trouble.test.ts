// This file is what the connector's owner is told of a failing origin: in which words, and how often. product.md §8.
import { describe, expect, test } from "bun:test";
import type { OriginTrouble } from "../../src/connector/events.ts";
import { parseTarget } from "../../src/connector/target.ts";
import { statusOf, Troubles } from "../../src/connector/trouble.ts";
import type { FailureCode } from "../../src/exchange/index.ts";

const ID = Uint8Array.of(0x00, 0xff);

function tell(
  target: string,
  keepsHost = true,
  source: "flags" | "file" = "flags",
): {
  readonly told: OriginTrouble[];
  answer(status: number): void;
  fail(code: FailureCode, atMs?: number): void;
} {
  const told: OriginTrouble[] = [];
  let now = 0;
  const troubles = new Troubles(
    { target: parseTarget(target), keepsHost, source },
    (trouble) => told.push(trouble),
    () => now,
  );
  return {
    told,
    fail: (code, atMs = 0) => {
      now = atMs;
      troubles.failed({ code, sent: false, detail: "the detail" }, "app.example.com", ID);
    },
    answer: (status) => troubles.answered(status, "app.example.com", ID),
  };
}

describe("trouble at the origin", () => {
  test("a refused connection names the place and what to do", () => {
    const { told, fail } = tell("8000");
    fail("ORIGIN_REFUSED");
    expect(told).toEqual([
      {
        code: "ORIGIN_REFUSED",
        text: "Nothing listens on localhost:8000",
        hint: "Start your app; the next request tries again",
        host: "app.example.com",
        service: "http://localhost:8000",
        requestId: "00ff",
      },
    ]);
  });

  test("a socket file is named as it was given", () => {
    const { told, fail } = tell("unix:/run/app.sock");
    fail("ORIGIN_REFUSED");
    expect(told[0]?.text).toBe("Nothing listens on unix:/run/app.sock");
  });

  test("a certificate has both ways out as hint, and the detail as text", () => {
    const { told, fail } = tell("https://localhost:8443");
    fail("ORIGIN_TLS");
    expect(told[0]?.text).toBe("the detail");
    expect(told[0]?.hint).toContain("--ca");
    expect(told[0]?.hint).toContain("--no-tls-verify");
  });

  test("what stands in a file is mended there", () => {
    const { told, fail, answer } = tell("https://localhost:8443", true, "file");
    fail("ORIGIN_TLS");
    answer(403);
    expect(told[0]?.hint).toContain("noTLSVerify: true");
    expect(told[0]?.hint).toContain("caPool");
    expect(told[1]).toMatchObject({ code: "ORIGIN_HOST_CHECK", service: "https://localhost:8443" });
    expect(told[1]?.hint).toContain("httpHostHeader");
    for (const { hint } of told) expect(hint).not.toContain("--");
  });

  test("the same trouble comes once in ten seconds, another one at once", () => {
    const { told, fail } = tell("8000");
    for (const at of [0, 1, 9_999, 10_000, 10_001]) fail("ORIGIN_REFUSED", at);
    fail("ORIGIN_TIMEOUT", 10_002);
    expect(told.map(({ code }) => code)).toEqual([
      "ORIGIN_REFUSED",
      "ORIGIN_REFUSED",
      "ORIGIN_TIMEOUT",
    ]);
  });

  test("a server that refuses its public name at once gets the hint, once", () => {
    const { told, answer } = tell("8000");
    for (const status of [403, 403, 200, 403]) answer(status);
    expect(told).toEqual([
      {
        code: "ORIGIN_HOST_CHECK",
        text: "The origin answered 403 to its public name",
        hint: "Allow the name in your dev server, or use --host-header origin",
        host: "app.example.com",
        service: "http://localhost:8000",
        requestId: "00ff",
      },
    ]);
  });

  test("a 403 after other answers, or to its own name, is the origin's business", () => {
    const later = tell("8000");
    for (const status of [200, 403]) later.answer(status);
    const own = tell("8000", false);
    own.answer(403);
    const fixed = tell("http_status:403");
    fixed.answer(403);
    expect([later.told, own.told, fixed.told]).toEqual([[], [], []]);
  });

  test("the request line shows what the visitor got", () => {
    const statuses = (["ORIGIN_REFUSED", "ORIGIN_TIMEOUT", "NO_ROUTE"] as const).map(statusOf);
    expect(statuses).toEqual([502, 504, 404]);
  });
});
