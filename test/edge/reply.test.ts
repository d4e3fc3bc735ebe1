import { describe, expect, test } from "bun:test";
import { ANSWERS, answer, type AnswerCode } from "../../src/edge/reply.ts";
import { escapeHtml } from "../../src/edge/reply-page.ts";
import { expectGolden } from "../golden.ts";
import { naughtyStrings } from "../naughty.ts";

const requestId = Uint8Array.from({ length: 16 }, (_, index) => index * 17);
const HEX = "00112233445566778899aabbccddeeff";
const codes = Object.keys(ANSWERS) as AnswerCode[];
const decode = (bytes: Uint8Array): string =>
  new TextDecoder("utf-8", { fatal: true }).decode(bytes);

/** Lines of the answer as a map; fails on a line that is not "Name: value". */
function fieldsOf(fields: Uint8Array): Map<string, string> {
  const lines = decode(fields).split("\r\n");
  expect(lines.pop()).toBe("");
  return new Map(
    lines.map((line) => {
      expect(line).toMatch(/^[A-Za-z-]+: [\x20-\x7e]+$/);
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
    }),
  );
}

describe("answers made by tunl", () => {
  test("covers every code of the table with all the fields an answer must have", () => {
    expect(codes.length).toBeGreaterThanOrEqual(33);
    for (const code of codes) {
      const { status, reason, fields, body } = answer(code, { requestId });
      const map = fieldsOf(fields);
      expect(status).toBe(ANSWERS[code].status);
      expect(decode(reason)).not.toBe("Error");
      expect(map.get("tunl-error")).toBe(code);
      expect(map.get("x-tunl-request-id")).toBe(HEX);
      expect(map.get("proxy-status")).toBe(`edge; error=${ANSWERS[code].proxyStatus}`);
      expect(map.get("cache-control")).toBe("no-store");
      expect(map.get("x-content-type-options")).toBe("nosniff");
      expect(map.get("content-security-policy")).toStartWith("default-src 'none'");
      expect(Number.isNaN(Date.parse(map.get("date") ?? ""))).toBe(false);
      expect(map.has("content-length")).toBe(false);
      expect(decode(body).trimEnd().split("\n")).toHaveLength(1);
    }
  });

  test.each([
    ["text/html,application/xhtml+xml,*/*;q=0.8", "navigate", "text/html; charset=utf-8"],
    ["text/html", "", "text/html; charset=utf-8"],
    ["TEXT/HTML", "Navigate", "text/html; charset=utf-8"],
    ["text/html, application/json", "cors", "application/json"],
    ["text/html", "cors", "text/plain; charset=utf-8"],
    ["text/html;q=0, application/json", "", "application/json"],
    ["application/problem+json", "", "application/json"],
    ["application/json;q=0.0", "", "text/plain; charset=utf-8"],
    ["*/*", "", "text/plain; charset=utf-8"],
    ["", "", "text/plain; charset=utf-8"],
  ])("Accept %p with mode %p is answered as %p", (accept, fetchMode, type) => {
    const { fields } = answer("NO_ROUTE", { accept, fetchMode, requestId });
    expect(fieldsOf(fields).get("content-type")).toBe(type);
  });

  test.each(codes)("%s looks as its golden file, in all three forms", (code) => {
    const host = "app.example.com";
    const forms = ["text/html", "application/json", "*/*"].map((accept) => {
      const { status, reason, fields, body } = answer(code, { accept, host, requestId });
      const head = decode(fields).replaceAll("\r\n", "\n");
      return `HTTP/1.1 ${status} ${decode(reason)}\n${head}\n${decode(body)}`;
    });
    const text = forms
      .join("\n")
      .replaceAll(/^Date: .*$/gm, "Date: …")
      // The style is the same everywhere and stands in page.txt.
      .replaceAll(/'sha256-[^']*'/g, "'sha256-…'")
      .replaceAll(/<style>[^]*?<\/style>/g, "<style>…</style>");
    expectGolden(`answers/${code}.txt`, text);
  });

  test("a whole page looks as its golden file, and is small", () => {
    const context = { accept: "text/html", host: "app.example.com", requestId };
    const { body } = answer("TUNNEL_OFFLINE", context);
    expectGolden("answers/page.txt", decode(body));
    expect(body.length).toBeLessThan(3_000);
  });

  test("what the visitor can do is in every answer, in one or two whole sentences", () => {
    for (const code of codes) {
      const { title, advice } = ANSWERS[code];
      expect(title).toMatch(/^[A-Z][A-Za-z ]+[a-z]$/);
      expect(advice).toMatch(/^[A-Z](?:[^.]|\.\d| )+\.(?: [A-Z](?:[^.]|\.\d)+\.){0,2}$/);
      expect(advice).toMatch(
        /\b(?:[Tt]ry again|[Cc]heck|[Uu]se|[Ss]end|[Ll]oad|[Dd]elete|Log in|Ask|Shorten|owner)\b/,
      );
    }
  });

  test("JSON names code, sentence, host and request id", () => {
    const { body } = answer("TUNNEL_OFFLINE", {
      accept: "application/json",
      host: "app.example.com",
      requestId,
    });
    expect(JSON.parse(decode(body))).toEqual({
      error: "TUNNEL_OFFLINE",
      message: ANSWERS.TUNNEL_OFFLINE.advice,
      status: 503,
      host: "app.example.com",
      requestId: HEX,
      retryAfter: 30,
    });
  });

  test("Retry-After comes from the caller, else from the table, else is absent", () => {
    const after = (code: AnswerCode, retryAfter?: number): string | undefined =>
      fieldsOf(answer(code, { requestId, retryAfter }).fields).get("retry-after");
    expect(after("TUNNEL_OFFLINE")).toBe("30");
    expect(after("TUNNEL_OFFLINE", 4.2)).toBe("5");
    expect(after("TUNNEL_BUSY")).toBe("1");
    expect(after("ORIGIN_TLS")).toBeUndefined();
  });

  test("a refused method is told which ones exist", () => {
    const map = fieldsOf(answer("METHOD_REFUSED", { requestId }).fields);
    expect(map.get("allow")).toContain("GET");
    expect(map.get("allow")).not.toContain("TRACE");
  });

  test("the page has no script, loads nothing, and its style is the one the policy names", () => {
    const { fields, body } = answer("ORIGIN_REFUSED", {
      accept: "text/html",
      host: "app.example.com",
      requestId,
    });
    const page = decode(body);
    const style = /<style>([^]*?)<\/style>/.exec(page)?.[1] ?? "";
    const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64");
    expect(style.length).toBeGreaterThan(100);
    expect(fieldsOf(fields).get("content-security-policy")).toContain(`style-src 'sha256-${hash}'`);
    expect(page).not.toMatch(/<script|<img|<link|<iframe|\bon[a-z]+=|url\(|https?:/i);
    expect(page).toContain("prefers-color-scheme:dark");
    expect(page).toContain("app.example.com");
    expect(page).toContain(HEX);
  });

  test("no sentence names the product, a connector or an origin address", () => {
    for (const code of codes) {
      for (const accept of ["text/html", "application/json", ""]) {
        const body = decode(answer(code, { accept, requestId }).body).replaceAll(code, "");
        expect(body).not.toMatch(
          /tunl|tunnel|connector|localhost|127\.0\.0\.1|\bat \/|node_modules/i,
        );
      }
    }
  });

  test("a hostile hostname cannot leave its paragraph [CVE-2026-40302]", () => {
    const hosts = [
      "<script>alert(1)</script>",
      `"><img src=x onerror=alert(1)>`,
      "a\r\nSet-Cookie: x",
      "é".repeat(900),
      ...naughtyStrings(),
    ];
    expect(hosts.length).toBeGreaterThan(3);
    const shell = decode(answer("NO_ROUTE", { accept: "text/html", host: "HOST", requestId }).body);
    for (const host of hosts) {
      const page = decode(answer("NO_ROUTE", { accept: "text/html", host, requestId }).body);
      const shown = /<span class="host">([^<>"']*)<\/span>/.exec(page)?.[1];
      // Everything but the escaped name is, byte for byte, the page of a harmless host.
      if (host !== "") expect(page.replace(`"host">${shown}<`, '"host">HOST<')).toBe(shell);
      const text = decode(answer("NO_ROUTE", { host, requestId }).body);
      expect(text.trimEnd()).not.toContain("\n");
      const json = decode(answer("NO_ROUTE", { accept: "application/json", host, requestId }).body);
      expect(JSON.parse(json).error).toBe("NO_ROUTE");
      expect(json.trimEnd()).not.toContain("\n");
      fieldsOf(answer("NO_ROUTE", { host, requestId }).fields);
    }
  });

  test("escaping leaves no character that HTML reads", () => {
    expect(escapeHtml(`<a href="x" title='y'>&amp;`)).toBe(
      "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;",
    );
  });
});
