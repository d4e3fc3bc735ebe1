import { describe, expect, test } from "bun:test";
import { readConnectorFile } from "../../../src/config/ingress/file.ts";
import { MAX_LIST } from "../../../src/config/ingress/judge.ts";
import { ONE_SERVICE, TOP, TWINS } from "../../../src/config/ingress/keys.ts";
import { ORIGIN_REQUEST, RULE } from "../../../src/config/ingress/keys-origin.ts";
import {
  type IngressRule,
  ORIGIN_REQUEST_DEFAULTS,
  type OriginRequestOptions,
} from "../../../src/config/ingress/types.ts";

const OPTIONS = { directory: "/etc/tunl", home: "/home/you", isJson: false, isStarting: true };

function read(text: string, isJson = false) {
  return readConnectorFile(text, { ...OPTIONS, isJson });
}

/** The rules of a file in which nothing is wrong. */
function rules(text: string, isJson = false): readonly IngressRule[] {
  const file = read(text, isJson);
  expect(file.problems).toEqual([]);
  return file.rules.map(({ rule }) => rule);
}

function origin(text: string): OriginRequestOptions {
  const [rule] = rules(`ingress:\n  - service: https://a\n    originRequest: ${text}\n`);
  return (rule as IngressRule).originRequest;
}

/** Flags that cloudflared (2026-08) reads from a file too, and its keys without a flag: found in its source. */
const KEYS_OF_CLOUDFLARED =
  "access-key-id api-ca-key api-email api-key api-url autoupdate-freq bastion bucket-name cacert compression-quality credentials-contents credentials-file dial-edge-timeout dns-resolver-addrs edge edge-bind-address edge-ip-version features grace-period ha-connections heartbeat-count heartbeat-interval hello-world host-key-path hostname http-host-header http2-origin icmpv4-src icmpv6-src id ingress is-autoupdated label lb-pool local-ssh-port log-directory logfile loglevel management-diagnostics management-hostname match-sni-to-host max-active-flows max-edge-addr-retries max-fetch-size metrics metrics-update-freq name no-autoupdate no-chunked-encoding no-prechecks no-tls-verify origin-ca-pool origin-server-name originRequest origincert output pidfile post-quantum protocol proxy-address proxy-connect-timeout proxy-connection-timeout proxy-expect-continue-timeout proxy-keepalive-connections proxy-keepalive-timeout proxy-no-happy-eyeballs proxy-port proxy-tcp-keepalive proxy-tls-timeout quic-connection-level-flow-control-limit quic-disable-pmtu-discovery quic-stream-level-flow-control-limit quick-service region region-name retries rpc-timeout s3-url-host secret-id service-op-ip session-token socks5 ssh-idle-timeout ssh-max-timeout ssh-server stdin-control tag token token-file trace-output transport-loglevel tunnel ui unix-socket url use-reconnect-token warp-routing write-stream-timeout";
const ORIGIN_KEYS_OF_CLOUDFLARED =
  "connectTimeout tlsTimeout tcpKeepAlive noHappyEyeballs keepAliveConnections keepAliveTimeout httpHostHeader originServerName matchSNItoHost caPool noTLSVerify disableChunkedEncoding bastionMode proxyAddress proxyPort proxyType ipRules http2Origin access";

describe("config.yml", () => {
  test("knows every key of cloudflared", () => {
    const known = new Set(TOP.rows.map(({ name }) => name));
    expect(KEYS_OF_CLOUDFLARED.split(" ").filter((name) => !known.has(name))).toEqual([]);
    const ofOrigin = new Set(ORIGIN_REQUEST.rows.map(({ name }) => name));
    expect(ORIGIN_KEYS_OF_CLOUDFLARED.split(" ").filter((name) => !ofOrigin.has(name))).toEqual([]);
  });

  test("a rule that says nothing has the defaults of product.md §3.4", () => {
    expect(rules("ingress: [{service: http://a}]")).toEqual([
      {
        hostname: "",
        path: undefined,
        service: {
          kind: "http",
          isTls: false,
          host: "a",
          port: 80,
          authority: "a",
          url: "http://a",
        },
        originRequest: ORIGIN_REQUEST_DEFAULTS,
        allowAmbiguousPaths: false,
      },
    ]);
    for (const { name, default: standard } of ORIGIN_REQUEST.rows)
      if (standard !== undefined && standard !== "[]")
        expect([name, origin(`{${name}: ${standard}}`)]).toEqual([name, ORIGIN_REQUEST_DEFAULTS]);
  });

  test("every key of originRequest arrives", () => {
    expect(
      origin(`
      connectTimeout: 1s
      tlsTimeout: 1m30s
      tcpKeepAlive: 500ms
      noHappyEyeballs: true
      keepAliveConnections: 7
      keepAliveTimeout: 1.5h
      httpHostHeader: app.internal:8080
      originServerName: App.Internal
      matchSNItoHost: yes
      noTLSVerify: On
      disableChunkedEncoding: "true"
      proxyAddress: 127.0.0.2
      proxyPort: 1080`),
    ).toEqual({
      ...ORIGIN_REQUEST_DEFAULTS,
      connectTimeoutMs: 1_000,
      tlsTimeoutMs: 90_000,
      tcpKeepAliveMs: 500,
      noHappyEyeballs: true,
      keepAliveConnections: 7,
      keepAliveTimeoutMs: 5_400_000,
      hostHeader: { kind: "value", value: "app.internal:8080" },
      originServerName: "app.internal",
      matchSniToHost: true,
      noTlsVerify: true,
      disableChunkedEncoding: true,
      proxyAddress: "127.0.0.2",
      proxyPort: 1_080,
    });
    const judged = readConnectorFile(
      `ingress:
        - service: socks-proxy
          originRequest:
            bastionMode: true
            proxyType: socks
            http2Origin: true
            caPool: ./ca.pem
            ipRules: [{prefix: 10.1.2.3/8, ports: [22, 80], allow: true}, {prefix: "FD00::/8"}]
            access: {required: true, teamName: t, audTag: [a, b], environment: e}`,
      { ...OPTIONS, isStarting: false },
    );
    expect(judged.rules[0]?.origin).toMatchObject({
      caFile: { path: "/etc/tunl/ca.pem" },
      options: {
        bastionMode: true,
        proxyType: "socks",
        http2Origin: true,
        ipRules: [
          { prefix: "10.0.0.0/8", ports: [22, 80], allow: true },
          { prefix: "fd00::/8", ports: [], allow: false },
        ],
        access: { required: true, teamName: "t", audTag: ["a", "b"], environment: "e" },
      },
    });
  });

  test("a rule's keys replace those of the top level one by one, lists and maps as a whole", () => {
    const judged = readConnectorFile(
      `originRequest:
        connectTimeout: 1s
        noTLSVerify: true
        httpHostHeader: a
        originServerName: b
        access: {required: true, teamName: t, audTag: [a]}
ingress:
  - hostname: a.com
    service: https://a
    originRequest: {connectTimeout: 2s, noTLSVerify: no, httpHostHeader: "", originServerName: "", access: {required: false}}
  - service: https://b`,
      { ...OPTIONS, isStarting: false },
    );
    const [own, inherited] = judged.rules.map(({ rule }) => rule.originRequest);
    expect(own).toEqual({ ...ORIGIN_REQUEST_DEFAULTS, connectTimeoutMs: 2_000 });
    expect(inherited).toEqual({
      ...ORIGIN_REQUEST_DEFAULTS,
      connectTimeoutMs: 1_000,
      noTlsVerify: true,
      hostHeader: { kind: "value", value: "a" },
      originServerName: "b",
      access: { required: true, teamName: "t", audTag: ["a"], environment: "" },
    });
  });

  test.each([
    ["http://localhost", "http://localhost", { kind: "http", isTls: false, port: 80 }],
    [
      "HTTPS://LocalHost:8443/",
      "https://localhost:8443",
      { kind: "http", isTls: true, port: 8_443 },
    ],
    ["ws://a:1", "http://a:1", { kind: "http", isTls: false }],
    ["wss://a", "https://a", { kind: "http", isTls: true, port: 443 }],
    ["http://[::1]:80", "http://[::1]", { host: "::1" }],
    ["http://photo_prism:2342", "http://photo_prism:2342", { host: "photo_prism" }],
    ["unix:/run/app.sock", "unix:/run/app.sock", { kind: "unix", isTls: false }],
    ["unix:///run/app.sock", "unix:/run/app.sock", { kind: "unix" }],
    ["unix:~/app.sock", "unix:/home/you/app.sock", { kind: "unix" }],
    ["unix+tls:app.sock", "unix+tls:/etc/tunl/app.sock", { kind: "unix", isTls: true }],
    ["http_status:404", "http_status:404", { kind: "static", status: 404 }],
    ["http_status:999", "http_status:999", { kind: "static", status: 999 }],
    ["hello_world", "hello_world", { kind: "static", status: undefined }],
    ["hello-world", "hello_world", { kind: "static" }],
    ["ssh://h", "ssh://h:22", { kind: "tcp", scheme: "ssh", port: 22 }],
    ["rdp://h", "rdp://h:3389", { kind: "tcp", port: 3_389 }],
    ["smb://h", "smb://h:445", { kind: "tcp", port: 445 }],
    ["tcp://h", "tcp://h:7864", { kind: "tcp", port: 7_864 }],
    ["ftp://[fd00::1]:21", "ftp://[fd00::1]:21", { kind: "tcp", scheme: "ftp", host: "fd00::1" }],
    ["bastion", "bastion", { kind: "bastion" }],
    ["socks-proxy", "socks-proxy", { kind: "socks" }],
  ])("service %s is %s", (text, url, service) => {
    const judged = readConnectorFile(`ingress: [{service: "${text}"}]`, {
      ...OPTIONS,
      isStarting: false,
    });
    expect(judged.problems.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(judged.rules[0]?.rule.service).toMatchObject({ ...service, url });
  });

  test.each([
    ["App.Example.COM.", "app.example.com"],
    ["'*.Example.com'", "*.example.com"],
    ["bücher.example.com", "xn--bcher-kva.example.com"],
    ["'*.bücher.example'", "*.xn--bcher-kva.example"],
    ["localhost", "localhost"],
    ["'*'", ""],
    ["''", ""],
    ["", ""],
    ["~", ""],
  ])("hostname %s is %j", (text, hostname) => {
    const path = hostname === "" ? "    path: /x\n" : "";
    const [rule] = rules(
      `ingress:\n  - hostname: ${text}\n${path}    service: http://a\n  - service: http://b\n`,
    );
    expect(rule?.hostname).toBe(hostname);
  });

  test("a rule whose hostname is empty or * and whose path is empty catches all", () => {
    for (const keys of [
      "",
      "hostname: '*'",
      "hostname: ''",
      "path: ''",
      "hostname: '*', path: ''",
      "hostname: , path: ",
    ])
      expect(rules(`ingress: [{${keys === "" ? "" : `${keys}, `}service: http://a}]`)).toHaveLength(
        1,
      );
  });

  test("bastionMode makes a bastion of what is no other service, of none too", () => {
    const judged = readConnectorFile(
      `originRequest: {bastionMode: true}
ingress:
  - {hostname: a.com, service: http://a}
  - {hostname: b.com, service: hello_world}
  - {hostname: c.com}
  - {hostname: d.com, service: http://d, originRequest: {bastionMode: false}}
  - service: http_status:404`,
      { ...OPTIONS, isStarting: false },
    );
    expect(judged.problems.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(judged.rules.map(({ rule }) => rule.service.kind)).toEqual([
      "bastion",
      "static",
      "bastion",
      "http",
      "static",
    ]);
  });

  test("anchors and merge keys are those of cloudflared's parser", () => {
    const [first, second] = rules(`ingress:
  - hostname: a.com
    service: https://a
    originRequest: &shared {noTLSVerify: true, connectTimeout: 1s}
  - service: https://b
    originRequest:
      connectTimeout: 2s
      <<: [*shared, {connectTimeout: 3s, tlsTimeout: 4s}]
`);
    expect(first?.originRequest).toMatchObject({ noTlsVerify: true, connectTimeoutMs: 1_000 });
    expect(second?.originRequest).toMatchObject({
      noTlsVerify: true,
      connectTimeoutMs: 2_000,
      tlsTimeoutMs: 4_000,
    });
  });

  test.each([
    ["url: http://localhost:8000", "http://localhost:8000"],
    ["url: localhost:8000", "http://localhost:8000"],
    ["url: 8000", "http://localhost:8000"],
    ["url: unix:/run/a.sock", "unix:/run/a.sock"],
    ["unix-socket: a.sock", "unix:/etc/tunl/a.sock"],
    ["hello-world: true", "hello_world"],
    ["hello-world: false\nurl: http://a", "http://a"],
  ])("one service: %j is %s", (text, url) => {
    expect(rules(text)).toMatchObject([{ hostname: "", path: undefined, service: { url } }]);
  });

  test("one service has its own settings over those of originRequest; beside ingress nobody has them", () => {
    const keys =
      "no-tls-verify: true\nproxy-connect-timeout: 5s\norigin-server-name: n\noriginRequest: {connectTimeout: 1s, tlsTimeout: 2s}\n";
    const [one] = rules(`url: https://a\n${keys}`);
    expect(one?.originRequest).toMatchObject({
      noTlsVerify: true,
      connectTimeoutMs: 5_000,
      tlsTimeoutMs: 2_000,
      originServerName: "n",
    });
    const beside = read(`${keys}ingress: [{service: http://a}]`);
    expect(beside.rules[0]?.rule.originRequest).toMatchObject({
      noTlsVerify: false,
      connectTimeoutMs: 1_000,
    });
    expect(beside.problems.map(({ code }) => code)).toEqual([
      "NO_EFFECT",
      "NO_EFFECT",
      "NO_EFFECT",
    ]);
    expect([...ONE_SERVICE].filter((name) => !TOP.rows.some((row) => row.name === name))).toEqual(
      [],
    );
    expect(
      Object.values(TWINS).filter((name) => !ORIGIN_REQUEST.rows.some((row) => row.name === name)),
    ).toEqual([]);
  });

  test("a rule behind one that takes all of its host is told, whatever way that is written", () => {
    const rulesOf = (...heads: readonly string[]): string =>
      `ingress:\n${[...heads, "service: http_status:404"]
        .map((head) => `  - {${head}${head.includes("service") ? "" : ", service: http://a"}}\n`)
        .join("")}`;
    const dead = (...heads: readonly string[]): string[] =>
      read(rulesOf(...heads)).problems.map(({ code, severity, message }) =>
        [code, severity, /^Rule #\d+/.exec(message)?.[0], /rule #\d+/.exec(message)?.[0]].join(" "),
      );
    const app = "hostname: app.example.com";
    const told = "DEAD_RULE warning Rule #1 rule #0";
    expect(dead(app, "hostname: APP.example.com.")).toEqual([told]);
    expect(dead(app, `${app}, path: /x`)).toEqual([told]);
    expect(dead('hostname: "*.example.com"', app)).toEqual([told]);
    expect(dead('hostname: "*.com"', 'hostname: "*.example.com"')).toEqual([told]);
    expect(dead(`${app}, path: /x`, app)).toEqual([]);
    expect(dead(app, 'hostname: "*.example.com"', "hostname: example.com")).toEqual([]);
    expect(dead('hostname: "*.app.example.com"', app)).toEqual([]);
  });

  test("without rules and without a service every request is answered with 503", () => {
    for (const text of ["", "tunnel: a", "ingress:", "ingress: []"]) {
      const { rules: drafts, problems } = read(text);
      expect(problems.map(({ code, severity }) => [code, severity])).toEqual([
        ["NO_RULES", "warning"],
      ]);
      expect(drafts.map(({ rule }) => rule.service.url)).toEqual(["http_status:503"]);
    }
  });

  test("keys of the connection", () => {
    const file = read(`
tunnel: my-tunnel
grace-period: 1m
loglevel: fatal
log-directory: logs
output: default
label: nas
tag: [site=berlin, "note=a b=c"]
edge-ip-version: 4
ha-connections: 2
links: 5
accessLog: on
kernelTuning: off
fingerprint: ${"k".repeat(26)}
edge: example.com:8443
protocol: quic
credentials-contents: |
  {"version": 1,
   "kind": "tunnel"}
ingress: [{service: http://a}]
`);
    expect(file.problems).toEqual([]);
    expect(
      Object.fromEntries([...file.values].map(([name, [first]]) => [name, first?.text])),
    ).toEqual({
      tunnel: "my-tunnel",
      edge: "example.com:8443",
      "grace-period": "1m",
      loglevel: "error",
      logfile: "logs/tunl.log",
      output: "auto",
      label: "nas",
      "edge-ip-version": "4",
      accessLog: "on",
    });
    expect(file).toMatchObject({
      tags: [
        { name: "site", value: "berlin" },
        { name: "note", value: "a b=c" },
      ],
      mostLinks: 2,
      kernelTuning: false,
      fingerprint: "k".repeat(26),
      credentials: { contents: '{"version": 1,\n "kind": "tunnel"}\n' },
      notes: [expect.stringContaining("protocol has no effect")],
    });
  });

  test("JSON has durations in seconds", () => {
    const [rule] = rules(
      '{"ingress": [{"service": "http://a", "originRequest": {"connectTimeout": 30, "noTLSVerify": true}}]}',
      true,
    );
    expect(rule?.originRequest).toMatchObject({ connectTimeoutMs: 30_000, noTlsVerify: true });
    expect(
      read('{"originRequest": {"connectTimeout": "30s"}, "url": "a:1"}', true).problems.map(
        ({ message }) => message,
      ),
    ).toEqual(['connectTimeout is "30s", expected whole seconds such as 30']);
  });

  test("thousands of rules are read in time, one more than the bound is refused", () => {
    const rule = (index: number) => `- {hostname: h${index}.e.com, service: http://a:1}\n`;
    const many = (count: number) =>
      `ingress:\n${Array.from({ length: count - 1 }, (_, index) => rule(index)).join("")}- service: http_status:404\n`;
    const startedAt = performance.now();
    expect(rules(many(4_000))).toHaveLength(4_000);
    // 0.4 s on an idle core of 2020; the bound only tells a quadratic reader from a linear one on a busy machine.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    const short = `ingress:\n${"- {service: a}\n".repeat(MAX_LIST + 1)}`;
    expect(read(short).problems.map(({ message }) => message)).toEqual([
      `ingress has ${MAX_LIST + 1} rules, allowed ${MAX_LIST}`,
    ]);
    expect(
      read(`tag: [${"a=b,".repeat(MAX_LIST + 1)}]\nurl: a:1`).problems.map(({ code }) => code),
    ).toEqual(["LIST_TOO_LONG"]);
  });

  test("no key stands twice in a table", () => {
    for (const { name, rows } of [TOP, RULE, ORIGIN_REQUEST]) {
      const names = rows.map((row) => row.name);
      expect([name, names.length]).toEqual([name, new Set(names).size]);
    }
  });
});
