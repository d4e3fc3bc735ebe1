// This file is what people read when they typed something that cannot be: command line, environment, edge.yml. product.md §2, §4, §8.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readArguments } from "../../src/cli/arguments.ts";
import { exitCodeOf, formatFailure } from "../../src/cli/failure.ts";
import {
  loadAccount,
  loadConnect,
  loadEdge,
  type LoadInput,
  loadInvite,
  loadOwner,
} from "../../src/config/index.ts";
import { expectGolden } from "../golden.ts";

const ROOT = mkdtempSync(join(tmpdir(), "tunl-errors-"));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

interface Case {
  /** What was typed after `tunl`; words with blanks in quotes. */
  readonly line: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Content of edge.yml. */
  readonly file?: string;
}

let homes = 0;

/** The words of a line as a shell would make them. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
}

/** What stderr has, and the exit code; fails where nothing is wrong. */
function told({ line, environment = {}, file }: Case): string {
  const home = join(ROOT, String((homes += 1)));
  mkdirSync(home);
  if (file !== undefined) writeFileSync(join(home, "edge.yml"), file, { mode: 0o600 });
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value} `);
  const shown = `${file === undefined ? "" : `# edge.yml\n${file.trimEnd().replace(/^/gm, "#   ")}\n`}$ ${variables.join("")}tunl ${line}\n`;
  try {
    const { command, flags, positionals } = readArguments(wordsOf(line));
    const input: LoadInput = {
      flags,
      surroundings: {
        environment: { TUNL_HOME: home, ...environment },
        isRoot: false,
        platform: "linux",
        home,
      },
      directory: home,
      isTerminal: true,
    };
    if (command === "edge") loadEdge(input);
    else if (command === "edge invite") loadInvite(input);
    else if (command === "status") loadOwner("status", input);
    else if (command === "route dns") loadAccount(command, input);
    else if (command === "connect") loadConnect(input, positionals[0], 1);
    else if (command === "tunnel run") loadConnect(input, undefined, 1, command);
  } catch (error) {
    const text = formatFailure(error, false).replaceAll(home, "~");
    return `${shown}${text}\n[exit ${exitCodeOf(error)}]\n`;
  }
  throw new Error(`Nothing is wrong with tunl ${line}`);
}

const EDGE = "edge --domain example.com --tls internal";
const LINE = `tunl://example.com/${"k".repeat(26)}/${"q".repeat(26)}`;

/** One golden file each. */
const TOPICS: Readonly<Record<string, readonly Case[]>> = {
  commands: [
    "conect 8000",
    "edge invte",
    "edge run invite",
    "status now",
    "version 1",
    "connect 8000 9000",
    `connect ${LINE}`,
    "tunnel run",
    "route dns home",
    "route dns home app.example.com --proof mx",
    "config show",
    "access tcp app.example.com",
    "service install edge",
    "logs -f",
    "doctor",
    "update",
    "completion bash",
    "edge grant home",
    "edge revoke",
    "edge repair now",
    "edge reload",
    "edge passwd",
    "edge service-token list",
    "edge share app.example.com",
    "help conect",
    "login",
    "tunnel create",
    "tunnel delete",
    "tunnel token",
    "route delete",
    "tunnel create home away",
    `tunnel create ${LINE}`,
    "tunnel my-tunnel",
    "tunnel creat my-tunnel",
    "tunnel cleanup my-tunnel",
    "tunnel vnet list",
    "tunnel route ip add 10.0.0.0/8 my-tunnel",
    "tunnel route lb my-tunnel lb.example.com pool",
    "tunnel run one two",
    "tail my-tunnel",
    "proxy-dns",
  ].map((line) => ({ line })),
  flags: [
    "edge --domian example.com",
    "connect 8000 --jion x",
    "connect 8000 -x",
    "version --jsn",
    "--domain example.com",
    "connect 8000 --domain example.com",
    "connect 8000 --name",
    "connect 8000 --join --name app",
    "connect 8000 --yes=maybe",
    "connect 8000 --no-color=false",
    "connect 8000 --name a --name b",
    "connect 8000 --links 2",
    "connect 8000 --token abc",
    "connect 8000 --proxy http://proxy.example.com:3128",
    "edge --metrics on",
    "edge invite --scope a.example.com",
    "status --watch",
  ].map((line) => ({ line })),
  values: [
    ...[
      `${EDGE} --listen 8443`,
      `${EDGE} --listen example.com`,
      `${EDGE} --listen :99999`,
      `${EDGE} --listen :8443 --http :8443`,
      `${EDGE} --http 127.0.0.1:443`,
      `${EDGE} --grace 30`,
      `${EDGE} --grace 2h`,
      `${EDGE} --admin /run/edge.sock`,
      `${EDGE} --log-level loud`,
      `${EDGE} --log-format xml`,
      "edge --tls internal --domain https://example.com/start",
      "edge --tls internal --domain exa_mple.com",
      "edge --domain example.com --acme-ca lets-encrypt",
      "edge --domain example.com --acme-ca http://ca.example.com/directory",
      "edge --domain example.com --acme-ca zerossl --acme-staging",
      "edge --domain example.com --acme-ca zerossl --acme-ca letsencrypt",
      "edge --domain example.com --tls files",
      "edge --domain example.com --tls files --cert cert.pem",
      "edge --domain example.com --tls files --cert cert.pem --key key.pem",
      "edge invite --ttl 40d",
      "edge invite --uses 0",
      "edge invite --host 'My Host'",
      "edge invite --name 'My App'",
      "connect",
      `connect --join ${LINE}`,
      "connect localhost",
      "connect 80000",
      "connect htp://localhost:8000",
      "connect tcp://localhost:22",
      "connect http://localhost:8000/app",
      "connect http_status:99",
      "connect unix:",
      "connect 8000 --join https://example.com/x",
      "connect 8000 --join tunl://example.com/k",
      "connect 8000 --name app.example.com",
      "connect 8000 --host 'app example.com'",
      "connect 8000 --edge https://example.com",
      "connect 8000 --edge-ip 5",
      "connect 8000 --wait soon",
      "connect 8000 --ca nowhere.pem",
    ].map((line) => ({ line })),
    { line: EDGE, environment: { TUNL_LISTEN: "8443" } },
    {
      line: `connect 8000 --join ${LINE} --token-file nas.token`,
      environment: { TUNL_TOKEN: "tunl_t1_secret" },
    },
    { line: "connect 8000 --credentials key.json --token-file -" },
    { line: "connect 8000", environment: { TUNL_TOKEN: "tunl_t1_secret", TUNL_JOIN: LINE } },
    { line: "connect 8000", environment: { TUNL_LINKS: "2" } },
  ],
  "edge-yml": [
    "listne: ':443'\n",
    "limits: {headerbytes: 32KiB}\n",
    "headerBytes: 32KiB\n",
    "limits: {headerBytes: 64}\n",
    "timeouts: {idle: 60}\n",
    "hold: 10\n",
    "certificates: {mode: internl}\n",
    "certificates: {directories: [letsencrypt, http://ca.example.com/dir]}\n",
    "certificates: {eab: {keyId: kid, keyfile: /root/key}}\n",
    "certificates: {caFile: /nowhere/root.pem, keyType: p521}\n",
    "certificates: {mode: files, files: [{cert: chain.pem}]}\n",
    "domains: [app.*.example.com]\n",
    "names: {reserved: *x}\n",
    "domain: example.com\n  http: off\n",
    "domain: example.com\n http: off\nlimits: {concurrent: -1}\n",
    "domain: example.com\n\thttp: off\n",
    "domain: 'example.com\n",
    "domain: example.com\ndomain: example.org\n",
    "listen: on: 443\n",
    "- domain\n",
    "example.com\n",
    "metrics: on\npolicies: {}\n",
    "domain: example.com\ndns: {provider: route53}\n",
    "domain: example.com\ndns: {provider: exec}\n",
    "domain: example.com\ndns: {provider: cloudflare}\n",
    "domain: example.com\ndns:\n  provider: cloudflare\n  cloudflare: {tokenFile: absent.token}\n",
    "domain: example.com\ndns: {provider: rfc2136, rfc2136: {keyName: tunl}}\n",
    "domain: example.com\ndns:\n  provider: rfc2136\n  rfc2136: {server: ns1.example.com, keyFile: absent.key}\n",
    "domain: example.com\npublicAddresses: [203.0.113]\n",
    `log:\n${Array.from({ length: 25 }, (_, index) => `  key${index}: 1\n`).join("")}`,
  ].map((file) => ({ line: EDGE, file })),
};

describe("errors", () => {
  test.each(Object.keys(TOPICS))("%s: as in the golden file", (topic) => {
    const cases = TOPICS[topic] ?? [];
    expectGolden(`errors/${topic}.txt`, cases.map(told).join("\n"));
  });

  test("each says what to do, or shows the place in the file", () => {
    const texts = Object.values(TOPICS).flat().map(told);
    expect(texts.length).toBeGreaterThan(90);
    for (const text of texts) {
      const lines = text.split("\n");
      const at = lines.findIndex((line) => line.startsWith("✖"));
      expect([text, lines.length - at >= 4]).toEqual([text, true]);
      // Sentence case, values in quotes, no full stop; and no secret.
      expect(lines[at]).not.toMatch(/\.$/);
      expect(text.slice(text.indexOf("✖"))).not.toMatch(/tunl_t1_secret|q{26}|undefined|\[object/);
      expect(text).toMatch(/\[exit [23]\]/);
    }
  });
});
