import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";
import { formatIp, parseIp, parsePeerIp, sourceKey } from "../../src/address/index.ts";

const hex = (text: string): string | undefined => {
  const bytes = parseIp(text);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("hex");
};

/** mulberry32: enough to spread cases, replayed by TUNL_SEED. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe("ip", () => {
  test("reads both families", () => {
    expect(hex("203.0.113.7")).toBe("cb007107");
    expect(hex("::")).toBe("0".repeat(32));
    expect(hex("::1")).toBe(`${"0".repeat(31)}1`);
    expect(hex("2001:DB8::7")).toBe("20010db8000000000000000000000007");
    expect(hex("1:2:3:4:5:6:7::")).toBe("00010002000300040005000600070000");
    expect(hex("64:ff9b::192.0.2.1")).toBe("0064ff9b0000000000000000c0000201");
  });

  test("folds an IPv4 address mapped into IPv6, so every spelling decides alike [CVE-2026-39409]", () => {
    expect(hex("::ffff:192.0.2.1")).toBe("c0000201");
    expect(hex("::FFFF:c000:0201")).toBe("c0000201");
    expect(parseIp("::fffe:192.0.2.1")).toHaveLength(16);
  });

  test.each([
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "0x1.2.3.4",
    "1.2.3.-4",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "12345::",
    "g::",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "[::1]",
    "::1/64",
    "fe80::1%eth0",
    "::ffff:1.2.3",
  ])("refuses %p", (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  test("drops the zone of a peer's link-local address, and only there", () => {
    expect(formatIp(parsePeerIp("fe80::1%eth0") as Uint8Array)).toBe("fe80::1");
    expect(formatIp(parsePeerIp("::ffff:10.0.0.1") as Uint8Array)).toBe("10.0.0.1");
  });

  test("writes the canonical form of RFC 5952", () => {
    const canonical = (text: string): string => formatIp(parseIp(text) as Uint8Array);
    expect(canonical("2001:0db8:0:0:0:0:2:1")).toBe("2001:db8::2:1");
    expect(canonical("2001:db8:0:1:1:1:1:1")).toBe("2001:db8:0:1:1:1:1:1");
    expect(canonical("2001:0:0:1:0:0:0:1")).toBe("2001:0:0:1::1");
    expect(canonical("2001:db8:0:0:1:0:0:1")).toBe("2001:db8::1:0:0:1");
    expect(canonical("0:0:0:0:0:0:0:0")).toBe("::");
    expect(canonical("1::")).toBe("1::");
  });

  test("counts an IPv6 source by its /64 and an IPv4 source by itself", () => {
    const key = (text: string): string => sourceKey(parseIp(text) as Uint8Array);
    expect(key("2001:db8:0:7:1:2:3:4")).toBe("2001:db8:0:7::/64");
    expect(key("2001:db8:0:7:ffff::")).toBe(key("2001:db8:0:7::1"));
    expect(key("2001:db8:0:8::1")).not.toBe(key("2001:db8:0:7::1"));
    expect(key("192.0.2.1")).toBe("192.0.2.1");
    expect(key("::ffff:192.0.2.1")).toBe("192.0.2.1");
  });

  test("agrees with the runtime on damaged addresses and reads back what it wrote", () => {
    const seed = Number(process.env["TUNL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`seed ${seed}`);
    const next = random(seed);
    const alphabet = "0123456789abcdef::::..gG%/ ";
    let valid = 0;
    for (let round = 0; round < 5_000; round++) {
      const bytes = Uint8Array.from({ length: next() < 0.5 ? 4 : 16 }, () =>
        next() < 0.4 ? 0 : Math.floor(next() * 256),
      );
      const text = formatIp(bytes);
      const isMapped =
        bytes.length === 16 &&
        bytes.slice(0, 10).every((byte) => byte === 0) &&
        bytes[10] === 255 &&
        bytes[11] === 255;
      expect(parseIp(text)).toEqual(isMapped ? bytes.slice(12) : bytes);
      const position = Math.floor(next() * (text.length + 1));
      const character = alphabet.charAt(Math.floor(next() * alphabet.length));
      const damaged =
        text.slice(0, position) + character + text.slice(position + Math.floor(next() * 2));
      const isValid = parseIp(damaged) !== undefined;
      // The runtime also accepts a zone (platform.md §10); an address of ours has none.
      expect({ damaged, isValid }).toEqual({
        damaged,
        isValid: isIP(damaged) !== 0 && !damaged.includes("%"),
      });
      if (isValid) valid += 1;
    }
    expect(valid).toBeGreaterThan(100);
  });
});
