import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DnsProviderOptions, type LoadInput, loadEdge } from "../../src/config/index.ts";
import { parseTsigKey } from "../../src/config/dns.ts";
import { formatFailure } from "../../src/cli/failure.ts";

const home = mkdtempSync(join(tmpdir(), "tunl-dns-config-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const KEY = 'key "tunl" {\n\talgorithm hmac-sha256;\n\tsecret "c2VjcmV0";\n};\n';

function write(name: string, text: string, mode = 0o600): void {
  writeFileSync(join(home, name), text);
  chmodSync(join(home, name), mode);
}

function load(file: string, flags: Readonly<Record<string, readonly string[]>> = {}) {
  write("edge.yml", `domain: example.com\ncertificates: {mode: internal}\n${file}`);
  const input: LoadInput = {
    flags: new Map(Object.entries(flags)),
    surroundings: {
      environment: { TUNL_HOME: home, TUNL_DNS_SERVERS: "127.0.0.1:5353" },
      ...{ isRoot: false, platform: "linux", home },
    },
    directory: home,
    isTerminal: false,
  };
  return loadEdge(input).options.dns;
}

function mistake(file: string): string {
  try {
    load(file);
  } catch (error) {
    return formatFailure(error, false).replaceAll(home, "~");
  }
  throw new Error("Nothing is wrong");
}

describe("dns of edge.yml", () => {
  test("reads the credentials of each provider from their files", () => {
    write("cf.token", "abc\n");
    write("tsig.key", KEY);
    write("bare.key", "c2VjcmV0\n");
    expect(
      load("dns: {provider: cloudflare, ttl: 120, cloudflare: {tokenFile: cf.token}}"),
    ).toEqual({
      provider: { name: "cloudflare", token: "abc", ttl: 120 },
      ...{ publicAddresses: [], servers: "127.0.0.1:5353", cloudflareApi: undefined },
    });
    const wanted: DnsProviderOptions = {
      ...{ name: "rfc2136", server: { host: "192.0.2.53", port: 53 }, keyName: "tunl" },
      ...{ algorithm: "hmac-sha256", secret: Buffer.from("secret"), ttl: 300 },
    };
    const rfc = (more: string): string =>
      `dns:\n  provider: rfc2136\n  rfc2136: {server: 192.0.2.53, ${more}}\n`;
    expect(load(rfc("keyFile: tsig.key")).provider).toEqual(wanted);
    expect(load(rfc("keyFile: bare.key, keyName: tunl")).provider).toEqual(wanted);
    expect(load('publicAddresses: ["203.0.113.7", "2001:DB8::0:7"]', {}).publicAddresses).toEqual([
      "203.0.113.7",
      "2001:db8::7",
    ]);
  });

  test("refuses files that others may read, as product.md §4 shows it", () => {
    write("open.key", KEY, 0o644);
    expect(
      mistake("dns:\n  provider: rfc2136\n  rfc2136: {server: 192.0.2.53, keyFile: open.key}\n"),
    )
      .toBe(`✖ ~/edge.yml:5:42 dns.rfc2136.keyFile "~/open.key" can be read by every user (mode 0644), expected 0600
    5 |   rfc2136: {server: 192.0.2.53, keyFile: open.key}
      |                                          ^^^^^^^^
    Run chmod 600 ~/open.key`);
  });

  test("refuses what is no key, or one of another algorithm", () => {
    write("sha512.key", KEY.replace("sha256", "sha512"));
    write("no.key", "hello, world");
    write("empty.key", "\n");
    const at = (file: string): string =>
      mistake(`dns:\n  provider: rfc2136\n  rfc2136: {server: 192.0.2.53, keyFile: ${file}}\n`);
    expect(at("sha512.key")).toContain("holds a key for hmac-sha512, expected one for hmac-sha256");
    expect(at("no.key")).toContain("holds no TSIG key");
    expect(at("empty.key")).toContain("is empty");
  });

  test("reads the clause of tsig-keygen, and a secret alone", () => {
    expect(parseTsigKey(KEY)).toEqual({
      ...{ name: "tunl", algorithm: "hmac-sha256", secret: Buffer.from("secret") },
    });
    expect(parseTsigKey(" c2VjcmV0 \n").secret).toEqual(Buffer.from("secret"));
    for (const text of ["", "c2V", "key x { };", "secret;"])
      expect(parseTsigKey(text).secret).toBeUndefined();
  });
});
