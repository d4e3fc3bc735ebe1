import { describe, expect, test } from "bun:test";
import { editDistance, nearest } from "../../src/config/nearest.ts";

describe("nearest", () => {
  test.each([
    ["", "", 0],
    ["abc", "", 3],
    ["listne", "listen", 1],
    ["kitten", "sitting", 3],
    ["domian", "domain", 1],
  ])("%j and %j are %d apart", (from, to, distance) => {
    expect(editDistance(from, to)).toBe(distance);
    expect(editDistance(to, from)).toBe(distance);
  });

  test("finds a name within two edits, whatever the case", () => {
    expect(nearest("NOTLSVERIFY", ["noTlsVerify", "other"])).toBe("noTlsVerify");
    expect(nearest("hodl", ["hold", "host"])).toBe("hold");
  });

  test("finds nothing where too much is wrong", () => {
    expect(nearest("fingerprint", ["domains", "listen"])).toBeUndefined();
    expect(nearest("xy", ["ab", "ttl"])).toBeUndefined();
    expect(nearest("x".repeat(10_000), ["x".repeat(9_999)])).toBeUndefined();
  });
});
