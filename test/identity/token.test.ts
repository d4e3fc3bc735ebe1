// This file is static tokens: written and read back, every character of one mattering, and what is no token told apart. product.md §5; A-10.
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { TunlError } from "../../src/errors.ts";
import {
  fingerprintOf,
  formatToken,
  generateKey,
  keyFromSeed,
  parseToken,
  type Token,
} from "../../src/identity/index.ts";

const TOKEN: Token = {
  host: "example.com",
  port: 443,
  fingerprint: "k5xqz7d2mwp4ahn6r3tcvb2yfe",
  tunnel: "0b8e5c1d-93a7-4f5e-9d21-6c4b7f0a2e58",
  key: keyFromSeed(Uint8Array.from({ length: 32 }, (_, index) => index)),
};
/** TOKEN as another program made it: fixarray of 5, fixstr, uint16, fixstr, str8, bin8, then the sum. */
const VECTOR =
  "tunl_t1_latleGFtcGxlLmNvbc0Bu7prNXhxejdkMm13cDRhaG42cjN0Y3ZiMnlmZdkkMGI4ZTVjMWQtOTNhNy00ZjVlLTlkMjEtNmM0YjdmMGEyZTU4xCAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH0bhnu4";

function refusal(text: string): string {
  try {
    parseToken(text, "TUNL_TOKEN");
  } catch (error) {
    if (error instanceof TunlError) return `${error.code} ${error.message} / ${error.hint}`;
    throw error;
  }
  return "accepted";
}

/** A token whose sum is right, around any body. */
function around(body: Uint8Array): string {
  const sum = createHash("sha256").update(body).digest().subarray(0, 4);
  return `tunl_t1_${Buffer.concat([body, sum]).toString("base64url")}`;
}

describe("static tokens", () => {
  test("have the form of product.md §5", () => {
    expect(formatToken(TOKEN)).toBe(VECTOR);
  });

  test("are read back, with blanks and line ends around them", () => {
    for (const text of [formatToken(TOKEN), ` ${formatToken(TOKEN)}\r\n`]) {
      const { key, ...rest } = parseToken(text, "x");
      const { key: own, ...others } = TOKEN;
      expect(rest).toEqual(others);
      expect(Buffer.compare(key.seed, own.seed)).toBe(0);
      expect(Buffer.compare(key.publicKey, own.publicKey)).toBe(0);
    }
    const long = {
      ...TOKEN,
      host: `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`,
      port: 65_535,
      key: generateKey(),
    };
    expect(parseToken(formatToken(long), "x")).toMatchObject({ host: long.host, port: 65_535 });
  });

  test("every character matters: changed, left out or doubled, none is read as another token", () => {
    const text = formatToken(TOKEN);
    let tried = 0;
    for (let index = 8; index < text.length; index++) {
      const letter = text[index] === "A" ? "B" : "A";
      for (const wrong of [
        text.slice(0, index) + letter + text.slice(index + 1),
        text.slice(0, index) + text.slice(index + 1),
        text.slice(0, index) + text[index] + text.slice(index),
        text.slice(0, index),
      ]) {
        expect(refusal(wrong)).toStartWith("BAD_TOKEN TUNL_TOKEN holds");
        tried += 1;
      }
    }
    expect(tried).toBeGreaterThan(600);
  });

  test("a right sum around something else is refused", () => {
    const bytes = Buffer.from(VECTOR.slice(8), "base64url").subarray(0, -4);
    expect(around(bytes)).toBe(VECTOR);
    const changed = (at: number, byte: number): Uint8Array => {
      const copy = Uint8Array.from(bytes);
      copy[at] = byte;
      return copy;
    };
    const other = "BAD_TOKEN TUNL_TOKEN holds a token of another form";
    for (const body of [
      new Uint8Array(1),
      bytes.subarray(0, -1),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      changed(0, 0x94),
      // An upper-case letter in the name, a port of 0 (two bytes), a fingerprint with a digit 9.
      changed(2, 0x45),
      changed(14, 0).with(15, 0),
      changed(17, 0x39),
    ])
      expect(refusal(around(body))).toStartWith(other);
  });

  test("what is no token is told apart, and never quoted", () => {
    const secret = "s3cretvaluexyz";
    expect(refusal("")).toContain("is empty");
    expect(refusal(`tunl://example.com/k/${secret}`)).toContain("holds a join line");
    const cloudflare = Buffer.from(`{"a":"1","t":"2","s":"${secret}"}`).toString("base64");
    expect(refusal(cloudflare)).toContain("holds a token of Cloudflare");
    expect(refusal(secret)).toContain("holds something else");
    expect(refusal(`tunl_t1_${"A".repeat(700)}`)).toContain("has 708 characters");
    for (const text of [secret, cloudflare, `tunl://e/k/${secret}`, `tunl_t1_${secret}`])
      expect(refusal(text)).not.toContain(text.slice(-12));
  });

  test("hold what connects: the key's own fingerprint is none of the token", () => {
    // Who has the token has the seed; the edge's fingerprint is the edge's.
    const { key, fingerprint } = parseToken(formatToken(TOKEN), "x");
    expect(fingerprintOf(key.publicKey)).not.toBe(fingerprint);
  });
});
