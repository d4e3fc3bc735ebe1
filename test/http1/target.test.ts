import { describe, expect, test } from "bun:test";
import { originForm } from "../../src/http1/index.ts";
import { bytes, faultOf, lines, text } from "./support.ts";

describe("target", () => {
  test.each([
    ["/", "GET", "/"],
    ["/a?b", "GET", "/a?b"],
    ["//a", "GET", "//a"],
    ["*", "OPTIONS", "*"],
    ["http://a", "GET", "/"],
    ["http://a", "OPTIONS", "*"],
    ["http://a/", "OPTIONS", "/"],
    ["HTTPS://a:1/b//c?d", "GET", "/b//c?d"],
    ["http://a?b/c", "GET", "/?b/c"],
  ])("%s goes on for %s as %s", (target, method, expected) => {
    expect(text(originForm(bytes(target), method))).toBe(expected);
  });

  test.each([
    ["/%41", true],
    ["/%4", false],
    ["/%", false],
    ["/%zz", false],
    ["/%%41", false],
    ["/a\\b", false],
    ["/?%", true],
    ["/?\\", true],
    ["/?%zz?\\", true],
    ["http://a/%4x", false],
    ["http://a?%4x", true],
    ["/a#b", false],
    ["/?a#b", false],
    ['/"<>^`{|}', true],
  ])("%s is legal: %p", (target, isLegal) => {
    expect(faultOf(lines(`GET ${target} HTTP/1.1`, "Host: a")) === undefined).toBe(isLegal);
  });
});
