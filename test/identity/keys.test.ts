import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  decodeBase32,
  encodeBase32,
  fingerprintOf,
  formatKey,
  generateKey,
  keyFromSeed,
  parseKey,
  verify,
} from "../../src/identity/index.ts";

const corpora = process.env["TUNL_CORPORA"] ?? resolve(import.meta.dir, "../../../shared/corpora");
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("keys", () => {
  test("makes the key and the signature of RFC 8032 §7.1 test 2", () => {
    const key = keyFromSeed(
      hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"),
    );
    expect(text(key.publicKey)).toBe(
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    );
    expect(text(key.sign(hex("72")))).toBe(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
  });

  test("gives the fingerprint of PROTOCOL §3.1", () => {
    const key = keyFromSeed(Uint8Array.from({ length: 32 }, (_, index) => index));
    expect(text(key.publicKey)).toStartWith("03a107bf");
    expect(text(key.publicKey)).toEndWith("125531b8");
    expect(fingerprintOf(key.publicKey)).toBe("kzdvvj2umnduyauf35o36k6kw4");
  });

  test("verifies its own signatures and no altered ones", () => {
    const key = generateKey();
    const message = hex("00ff");
    const signature = key.sign(message);
    expect(verify(key.publicKey, message, signature)).toBe(true);
    for (let index = 0; index < signature.length; index++) {
      const altered = Uint8Array.from(signature);
      altered[index] = (altered[index] as number) ^ 1;
      expect(verify(key.publicKey, message, altered)).toBe(false);
    }
    expect(verify(generateKey().publicKey, message, signature)).toBe(false);
    expect(verify(key.publicKey, message, signature.subarray(0, 63))).toBe(false);
    expect(verify(key.publicKey.subarray(0, 31), message, signature)).toBe(false);
  });

  test("refuses keys of small order, for which one signature fits every message", () => {
    // The neutral point as key and as R, S = 0: the equation holds whatever the message is.
    const neutral = hex(`01${"00".repeat(31)}`);
    const signature = Uint8Array.from([...neutral, ...new Uint8Array(32)]);
    expect(verify(neutral, hex("01"), signature)).toBe(false);
    const others = [
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "00".repeat(32),
      `${"00".repeat(31)}80`,
    ];
    for (const key of others) expect(verify(hex(key), hex("01"), signature)).toBe(false);
  });

  test("refuses a second spelling of a point", () => {
    // y = p + 1 is the neutral point again.
    const signature = Uint8Array.from([1, ...new Uint8Array(63)]);
    expect(verify(hex(`ee${"ff".repeat(30)}7f`), hex("01"), signature)).toBe(false);
    expect(verify(hex("ff".repeat(32)), hex("01"), signature)).toBe(false);
  });

  const path = resolve(corpora, "ed25519.jsonl");
  const title = "agrees with Wycheproof about every signature (A-05)";
  if (existsSync(path)) {
    test(title, () => {
      let valid = 0;
      let invalid = 0;
      for (const line of readFileSync(path, "utf8").trimEnd().split("\n")) {
        const row = JSON.parse(line) as {
          id: number;
          publicKey: string;
          msg: string;
          sig: string;
          result: string;
        };
        const isValid = verify(hex(row.publicKey), hex(row.msg), hex(row.sig));
        expect({ id: row.id, isValid }).toEqual({ id: row.id, isValid: row.result === "valid" });
        if (isValid) valid += 1;
        else invalid += 1;
      }
      expect(valid).toBeGreaterThan(50);
      expect(invalid).toBeGreaterThan(30);
    });
  } else {
    test.skip(`${title}: ${path} is not there (set TUNL_CORPORA)`, () => {});
  }

  test("is written as PEM and read back; other keys and damaged text are none", () => {
    const key = generateKey();
    const back = parseKey(formatKey(key));
    expect(back?.seed).toEqual(key.seed);
    expect(back?.publicKey).toEqual(key.publicKey);
    for (const other of [
      "",
      "hello",
      formatKey(key).slice(0, 60),
      formatKey(key).replace("PRIVATE", "PUBLIC"),
    ]) {
      expect(parseKey(other)).toBeUndefined();
    }
  });
});

describe("base32", () => {
  test("is RFC 4648 §10 in lower case without padding", () => {
    const vectors = {
      "": "",
      f: "my",
      fo: "mzxq",
      foo: "mzxw6",
      foob: "mzxw6yq",
      fooba: "mzxw6ytb",
      foobar: "mzxw6ytboi",
    };
    for (const [plain, coded] of Object.entries(vectors)) {
      expect(encodeBase32(Buffer.from(plain))).toBe(coded);
      expect(Buffer.from(decodeBase32(coded) as Uint8Array).toString()).toBe(plain);
    }
  });

  test("has one spelling for each value", () => {
    for (const coded of ["m", "mz", "mzx", "MY", "my======", "m1", "m y", "mzxw6ytbo"]) {
      expect(decodeBase32(coded)).toBeUndefined();
    }
    for (let byte = 0; byte < 256; byte++) {
      expect(decodeBase32(encodeBase32(Uint8Array.of(byte, 255 - byte)))).toEqual(
        Uint8Array.of(byte, 255 - byte),
      );
    }
  });
});
