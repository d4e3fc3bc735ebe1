import { describe, expect, test } from "bun:test";
import { formatJoinLine, hashCode, makeCode, parseJoinLine } from "../../src/identity/index.ts";
import { TunlError } from "../../src/errors.ts";

const fingerprint = "k5xqz7d2mwp4ahn6r3tcvb2yfe";
const code = "q3nw7yh2ke5rdm4tx6pzc2vabm";

function refusal(line: string): TunlError {
  try {
    parseJoinLine(line);
  } catch (error) {
    if (error instanceof TunlError) return error;
    throw error;
  }
  throw new Error(`Accepted ${line}`);
}

describe("join line", () => {
  test("is read and written", () => {
    const line = `tunl://example.com/${fingerprint}/${code}`;
    const parsed = parseJoinLine(line);
    expect(parsed).toMatchObject({ host: "example.com", port: 443, fingerprint });
    expect(parsed.code).toHaveLength(16);
    expect(formatJoinLine(parsed)).toBe(line);
    const other = `tunl://tunl.localhost:8443/${fingerprint}/${code}`;
    expect(parseJoinLine(other).port).toBe(8443);
    expect(formatJoinLine(parseJoinLine(other))).toBe(other);
  });

  test("may be pasted with blanks around it and scanned in capitals", () => {
    const line = `tunl://example.com/${fingerprint}/${code}`;
    expect(parseJoinLine(`  ${line}\n`)).toEqual(parseJoinLine(line));
    expect(parseJoinLine(line.toUpperCase())).toEqual(parseJoinLine(line));
    expect(formatJoinLine(parseJoinLine(`tunl://EXAMPLE.com.:443/${fingerprint}/${code}`))).toBe(
      line,
    );
  });

  test.each([
    [`https://example.com/${fingerprint}/${code}`, "has no scheme"],
    ["", "has no scheme"],
    [`tunl://example.com/${code}`, "has 2 parts"],
    [`tunl://example.com/${fingerprint}/${code}/`, "has 4 parts"],
    [`tunl://203.0.113.7/${fingerprint}/${code}`, 'has the host "203.0.113.7"'],
    [`tunl://[::1]:443/${fingerprint}/${code}`, "has the host"],
    [`tunl:///${fingerprint}/${code}`, 'has the host ""'],
    [`tunl://example.com:0/${fingerprint}/${code}`, 'has the port "0"'],
    [`tunl://example.com:70000/${fingerprint}/${code}`, 'has the port "70000"'],
    [`tunl://example.com/${fingerprint.slice(1)}/${code}`, "has the fingerprint"],
    [`tunl://example.com/${fingerprint}/${code.slice(1)}`, "has a code of 25 characters"],
    [`tunl://example.com/${fingerprint}/${code.slice(0, 25)}1`, "has a code of 26 characters"],
    [`tunl://example.com/${fingerprint}/${code.slice(0, 25)}n`, "mistyped or cut"],
    [`tunl://example.com/\u212a${fingerprint.slice(1)}/${code}`, "outside ASCII"],
    [`tunl://example.com /${fingerprint}/${code}`, "has blanks"],
    [`tunl://${"a".repeat(500)}`, "has 507 characters"],
  ])("refuses %p and says %p", (line, reason) => {
    const error = refusal(line);
    expect(error.code).toBe("BAD_JOIN_LINE");
    expect(error.message).toContain(reason);
    expect(error.message + error.hint).not.toContain(code.slice(0, 10));
  });

  test("carries 128 random bits, stored as SHA-256", () => {
    const one = makeCode();
    const two = makeCode();
    expect(one).toHaveLength(16);
    expect(one).not.toEqual(two);
    expect(hashCode(one)).toHaveLength(32);
    expect(hashCode(one)).toEqual(hashCode(Uint8Array.from(one)));
    expect(hashCode(one)).not.toEqual(hashCode(two));
  });
});
