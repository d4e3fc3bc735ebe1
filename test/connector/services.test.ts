// This file is rules and their services: which of them share an origin, what this build refuses to start with, what it says.
import { afterAll, describe, expect, test } from "bun:test";
import {
  type IngressRule,
  ORIGIN_REQUEST_DEFAULTS,
  type OriginRequestOptions,
  parseTarget,
  type ServiceOptions,
} from "../../src/config/index.ts";
import { HONOURED, SocketAccount } from "../../src/connector/origin/index.ts";
import { Services } from "../../src/connector/services.ts";
import { isServed, refuseTooManyNames, warningsFor } from "../../src/connector/unserved.ts";
import { Deadlines } from "../../src/deadlines.ts";
import { TestCa } from "./certificates.ts";

const deadlines = new Deadlines((error) => {
  throw error;
});
afterAll(() => deadlines[Symbol.dispose]());

function ruleOf(
  service: string | ServiceOptions,
  originRequest: Partial<OriginRequestOptions> = {},
  where: Partial<Pick<IngressRule, "hostname" | "path">> = {},
): IngressRule {
  return {
    hostname: "",
    path: undefined,
    allowAmbiguousPaths: false,
    ...where,
    service: typeof service === "string" ? parseTarget(service) : service,
    originRequest: { ...ORIGIN_REQUEST_DEFAULTS, ...originRequest },
  };
}

function servicesOf(...rules: readonly IngressRule[]): Services {
  return new Services({
    ingress: { rules, file: "config.yml" },
    deadlines,
    sockets: new SocketAccount(10),
    addedFields: new Uint8Array(0),
    onTrouble: () => undefined,
    onBug: (error) => {
      throw error;
    },
  });
}

describe("origins of rules", () => {
  test("equal services with equal settings are one, whatever their rules are", () => {
    const services = servicesOf(
      ruleOf("http://localhost:8000", {}, { hostname: "a.example.com" }),
      ruleOf("8000", {}, { hostname: "b.example.com", path: "^/x" }),
      // The same to an origin: ws is http, and keys for other kinds of services change nothing.
      ruleOf("ws://localhost:8000", { proxyAddress: "10.0.0.1", proxyPort: 1 }),
    );
    expect(services.count).toBe(1);
    const found = ["a.example.com", "b.example.com", "c"].map((host) =>
      services.ingress.find(host, Buffer.from("/x")),
    );
    expect(new Set(found.map((one) => one !== "ambiguous" && one?.service)).size).toBe(1);
  });

  test.each(HONOURED)("another %s is another origin", async (key) => {
    const ca = await TestCa.make();
    const other: OriginRequestOptions = {
      ...ORIGIN_REQUEST_DEFAULTS,
      connectTimeoutMs: 1,
      tlsTimeoutMs: 1,
      tcpKeepAliveMs: 1,
      noHappyEyeballs: true,
      keepAliveConnections: 1,
      keepAliveTimeoutMs: 1,
      hostHeader: { kind: "value", value: "x" },
      originServerName: "x",
      matchSniToHost: true,
      caPool: ca.cert,
      noTlsVerify: true,
      disableChunkedEncoding: true,
    };
    const service = "https://localhost:8443";
    const changed = ruleOf(service, { [key]: other[key] });
    expect(servicesOf(ruleOf(service), changed, changed).count).toBe(2);
  });

  test("every key of originRequest is honoured, or for services of later versions, or without effect", () => {
    const others: (keyof OriginRequestOptions)[] = [
      ...(["bastionMode", "proxyType", "ipRules", "http2Origin", "access"] as const),
      ...(["proxyAddress", "proxyPort"] as const),
    ];
    expect([...HONOURED, ...others].sort()).toEqual(
      (Object.keys(ORIGIN_REQUEST_DEFAULTS) as (keyof OriginRequestOptions)[]).sort(),
    );
  });

  test("a mistake in one rule starts nothing", () => {
    const good = ruleOf("8000");
    expect(() => servicesOf(good, ruleOf("https://a", { caPool: "none" }))).toThrow("PEM");
    expect(() => servicesOf(good, ruleOf("8000", {}, { path: "(?=x)" }))).toThrow();
  });
});

describe("what this build does not serve", () => {
  const SSH = { kind: "tcp", scheme: "ssh", host: "a", port: 22, url: "ssh://a:22" } as const;

  test.each<[string, IngressRule]>([
    ["a TCP service", ruleOf(SSH)],
    ["bastion", ruleOf({ kind: "bastion", url: "bastion" })],
    ["socks-proxy", ruleOf({ kind: "socks", url: "socks-proxy" })],
    ["bastionMode", ruleOf("8000", { bastionMode: true })],
    [
      "access.required",
      ruleOf("8000", { access: { ...ORIGIN_REQUEST_DEFAULTS.access, required: true } }),
    ],
  ])("%s never starts, whoever let it through before", (_, rule) => {
    expect(isServed(rule)).toBe(false);
    expect(() => servicesOf(ruleOf("8000"), rule)).toThrow("BUG");
  });

  test("the others are served", () => {
    const served = ["8000", "wss://a", "unix:/a", "unix+tls:/a", "http_status:200", "hello_world"];
    expect(served.every((service) => isServed(ruleOf(service)))).toBe(true);
  });

  test("more names than a tunnel can have are refused, equal ones count once", () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `n${index}.example.com`);
    expect(() => refuseTooManyNames([...names, ...names])).not.toThrow();
    expect(() => refuseTooManyNames([...names, "one.more"])).toThrow("1001 names, allowed 1000");
  });

  test("what is not verified is said once for a service, and only where there is something to verify (S-63)", () => {
    const unverified = { noTlsVerify: true };
    const rules = [
      ruleOf("https://nas:8443", unverified, { hostname: "a" }),
      ruleOf("https://nas:8443", unverified, { hostname: "b" }),
      ruleOf("unix+tls:/a.sock", unverified),
      ruleOf("http://plain", unverified),
      ruleOf("https://fine"),
    ];
    expect(warningsFor({ rules, file: "config.yml" })).toEqual([
      "The certificate of https://nas:8443 is not verified",
      "The certificate of unix+tls:/a.sock is not verified",
    ]);
  });
});
