// This file is random rules and URLs, asked of cloudflared itself (TUNL_CLOUDFLARED=PATH of its executable) and of ours: the same
// verdict, the same rule. What differs deliberately (product.md §3.3) is not in the pools; test/config/cloudflared has it.
import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkRules } from "../../src/config/index.ts";
import { whichRule } from "../../src/connector/index.ts";

const CLOUDFLARED = process.env["TUNL_CLOUDFLARED"] ?? "";
const COUNT = Number(process.env["TUNL_ROUNDS"] ?? 200);
const SEED = Number(process.env["TUNL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

const HOSTNAMES = [
  "a.com",
  "b.com",
  "x.a.com",
  '"*.a.com"',
  '"*.x.a.com"',
  '"*.com"',
  "bücher.example",
  '"*"',
  '""',
  "a.com:80",
  '"a.*.com"',
  '"*.*.a.com"',
];
const PATHS = [
  "/",
  "^/api",
  "/api/",
  "\\.png$",
  "(?i)^/ADMIN",
  "^/(a|b)/[^/]+$",
  "[0-9]{2,}",
  "^/$",
  "ü",
  "x y",
  '""',
  "(",
  "[z-a]",
  "a**",
  "(?=a)",
  "\\\\pN",
  "(?P<n>.)\\\\.",
  ".",
  "^/[[:alpha:]]+$",
  "\\\\bapi\\\\b",
];
const SERVICES = [
  "http://localhost:8000",
  "https://10.0.0.1",
  "ws://h:1",
  "unix:/run/a.sock",
  "unix+tls:/run/a.sock",
  "http_status:404",
  "http_status:503",
  "hello_world",
  "hello-world",
  "tcp://h:1",
  "ssh://h",
  "socks-proxy",
  "bastion",
  "http://[::1]:80",
  "localhost:8000",
  "http://h/path",
  "http://",
  "http_status:abc",
  "http_status:1000",
  "h",
  "/run/a.sock",
];
const ORIGINS = [
  "{}",
  "{connectTimeout: 10s}",
  "{connectTimeout: 1h30m, noTLSVerify: yes}",
  "{bastionMode: true}",
  "{noTLSVerify: maybe}",
  "{keepAliveConnections: x}",
  "{connectTimeout: 10}",
  "{access: {required: true, audTag: [a]}}",
  "{access: {required: true, audTag: [a], teamName: t}}",
  "{access: {audTag: [a]}}",
  "{httpHostHeader: h}",
  "{tlsTimeout: fast}",
  "{proxyPort: 1}",
  "{noTLSVerify: On}",
  "{http2Origin: off}",
];
const IP_RULES = [
  "{ipRules: [{prefix: 10.0.0.0/8, allow: true}]}",
  "{ipRules: [{prefix: 10.0.0.0/8, ports: [80, 70000]}]}",
  "{ipRules: [{prefix: 10.0.0.0}]}",
  "{ipRules: [{allow: true}]}",
  "{ipRules: [{prefix: fd00::/8, ports: [1, 65535]}]}",
];
const URLS = [
  "https://a.com/",
  "https://b.com/api/x",
  "https://x.a.com/admin",
  "https://y.x.a.com/img/a.png",
  "https://a.com:8443/api?x=/admin",
  "https://xn--bcher-kva.example/%C3%BC",
  "https://w.xn--bcher-kva.example/x%20y",
  "http://other.org/a/42",
  "https://a.com/b/1",
  "https://z.com/API",
];

/** mulberry32. */
function randomFrom(seed: number): <T>(pool: readonly T[]) => T {
  let state = seed;
  return (pool) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return pool[((mixed ^ (mixed >>> 14)) >>> 0) % pool.length] as (typeof pool)[number];
  };
}

const MOSTLY = [true, true, true, true, true, true, true, false];

function fileFrom(pick: ReturnType<typeof randomFrom>): string {
  // Mostly good parts, or nearly every file of several rules would be refused.
  const part = (pool: readonly string[], good: number): string =>
    pick(MOSTLY) ? pick(pool.slice(0, good)) : pick(pool);
  const lines = ["tunnel: t"];
  if (!pick(MOSTLY)) lines.push(`originRequest: ${part(ORIGINS, 3)}`);
  lines.push("ingress:");
  const count = pick([0, 1, 2, 3, 4]);
  for (let index = 0; index < count; index++) {
    const keys = [`hostname: ${part(HOSTNAMES, 8)}`];
    if (pick([true, false])) keys.push(`path: ${quotedPath(part(PATHS, 10))}`);
    const service = part(SERVICES, 14);
    keys.push(`service: "${service}"`);
    if (service === "socks-proxy") keys.push(`originRequest: ${part(IP_RULES, 2)}`);
    else if (!pick(MOSTLY)) keys.push(`originRequest: ${part(ORIGINS, 3)}`);
    lines.push(`  - {${keys.join(", ")}}`);
  }
  if (pick(MOSTLY)) lines.push(`  - service: "${part(SERVICES, 14)}"`);
  else lines.push(`  - {hostname: ${pick(HOSTNAMES)}, service: "http://last:1"}`);
  return `${lines.join("\n")}\n`;
}

function quotedPath(path: string): string {
  return path.startsWith('"') ? path : `'${path.replaceAll("\\\\", "\\")}'`;
}

const directory = mkdtempSync(join(tmpdir(), "tunl-cloudflared-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function there(path: string, ...words: string[]): { status: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(
    CLOUDFLARED,
    ["tunnel", "--config", path, "ingress", ...words],
    { encoding: "utf8", timeout: 30_000 },
  );
  return { status, text: `${stdout}${stderr}` };
}

function here(path: string) {
  return checkRules({
    flags: new Map([["config", [path]]]),
    surroundings: { environment: {}, isRoot: false, platform: "linux", home: "/home/nobody" },
    directory: "/",
    isTerminal: false,
  });
}

/** Bad ipRules are errors here wherever they stand, and `*.*.a.com` is one in either program. */
describe.skipIf(CLOUDFLARED === "")("rules at random, asked there too (TUNL_CLOUDFLARED)", () => {
  test(`the same verdict and the same rule (TUNL_SEED=${SEED}, TUNL_ROUNDS=${COUNT})`, () => {
    const pick = randomFrom(SEED);
    const path = join(directory, "config.yml");
    let good = 0;
    for (let round = 0; round < COUNT; round++) {
      const text = fileFrom(pick);
      writeFileSync(path, text, { mode: 0o600 });
      const verdict = there(path, "validate");
      const { problems, ingress } = here(path);
      const errors = problems
        .filter(({ severity }) => severity === "error")
        .map(({ message }) => message);
      const where = `round ${round}\n${text}there: ${verdict.text}here: ${errors.join("\n")}`;
      expect([where, errors.length === 0]).toEqual([where, verdict.status === 0]);
      if (errors.length > 0) continue;
      good += 1;
      const url = pick(URLS);
      const { text: said } = there(path, "rule", url);
      const [, authority = "", target = ""] = /^https?:\/\/([^/]+)(.*)$/.exec(url) ?? [];
      const number = whichRule(ingress, authority, new TextEncoder().encode(target));
      expect([`${where}${url}: ${said}`, number]).toEqual([
        `${where}${url}: ${said}`,
        Number(/#(\d+)/.exec(said)?.[1]),
      ]);
    }
    console.log(`${COUNT} files, ${good} of them good`);
    expect(good).toBeGreaterThan(COUNT / 5);
  }, 600_000);
});
