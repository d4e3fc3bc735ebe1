import { describe, expect, test } from "bun:test";
import { Ingress } from "../../src/connector/ingress.ts";
import type { Origin } from "../../src/connector/origin/index.ts";

function origin(url: string): Origin {
  return {
    url,
    request: () => {
      throw new Error("Rules are only looked up here");
    },
    close: () => undefined,
  };
}

const API = origin("api");
const IMAGES = origin("images");
const REST = origin("rest");
const target = (path: string): Uint8Array => Buffer.from(path, "latin1");

describe("ingress rules", () => {
  const ingress = new Ingress([
    { origin: API, path: /^\/api(\/|$)/ },
    { origin: IMAGES, path: /\.(png|\u00e9)$/ },
    { origin: REST },
  ]);

  test.each([
    ["/api", API],
    ["/api/x.png", API],
    ["/%61pi/x", API],
    ["/apis", REST],
    ["/x.png?a=/api", IMAGES],
    ["/x%2epng", IMAGES],
    ["/x.%C3%A9", IMAGES],
    ["/?/api", REST],
    ["*", REST],
  ])("%s leads by its decoded path to the first rule that matches", (path, expected) => {
    expect(ingress.find("a", target(path))).toBe(expected);
  });

  test.each(["/static/..%2fapi", "/x/../api", "//api", "/api%00", "/;/api", "/%252e%252e/api"])(
    "%s is told, not decided, where a rule has a path (S-37)",
    (path) => {
      expect(ingress.find("a", target(path))).toBe("ambiguous");
    },
  );

  test("without a rule by path every path goes on unchanged", () => {
    const one = new Ingress([{ origin: REST }]);
    for (const path of ["/x/../api", "//api", "/a%2fb", "/api%00"])
      expect(one.find("a", target(path))).toBe(REST);
    expect(new Ingress([]).find("a", target("/"))).toBeUndefined();
    expect(new Ingress([{ origin: API, path: /^\/api/ }]).find("a", target("/x"))).toBeUndefined();
  });
});
