// This file is everything config.yml may be told to be: errors and warnings as people read them, one golden file. product.md §3.2 to §3.4, §4.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readConnectorFile } from "../../../src/config/ingress/file.ts";
import { formatProblems, inOrder } from "../../../src/config/report.ts";
import { expectGolden } from "../../golden.ts";

const SOURCES = fileURLToPath(new URL("../../../src/config/ingress/", import.meta.url));
/** Told where the files of a configuration are read: load-connect.test.ts. */
const ELSEWHERE = new Set(["CA_POOL_INVALID", "FOREIGN_CREDENTIALS", "FILE_MODE", "LIST_TOO_LONG"]);

function told(text: string, isStarting: boolean): string {
  const file = readConnectorFile(text, {
    directory: "/etc/tunl",
    home: "/home/you",
    isJson: false,
    isStarting,
  });
  const codes = inOrder(file.problems).map(({ code }) => code);
  const report = formatProblems({ name: "config.yml", text }, file.problems);
  return `${text.trimEnd().replace(/^/gm, "# ").replace(/ +$/gm, "")}\n${isStarting ? "(start)\n" : ""}${report}\n[${codes.join(" ")}]\n`;
}

const LAST = "  - service: http_status:404\n";

/** The service of one rule. */
function service(text: string): string {
  return `ingress:\n  - service: ${text}\n`;
}

function hostname(text: string): string {
  return `ingress:\n  - hostname: ${text}\n    service: http://a\n${LAST}`;
}

function origin(text: string): string {
  return `originRequest:\n  ${text.replaceAll("\n", "\n  ")}\n${service("http://localhost:8000")}`;
}

const TOPICS: Readonly<Record<string, readonly string[]>> = {
  yaml: [
    "ingress:\n\t- service: http_status:404\n",
    hostname("*.example.com"),
    hostname("*"),
    "tunnel: a\ntunnel: b\n",
    'tunnel: "a\n',
    "tunnel: a: b\n",
    "%YAML 1.1\n---\ntunnel: a\n",
    "tunnel: a\n---\ntunnel: b\n",
    "- a\n- b\n",
    "just a word\n",
    "? [a, b]\n: c\n",
  ],
  keys: [
    `tunel: a\n${service("http://a")}`,
    `noTLSVerify: true\n${service("http://a")}`,
    'domains: [example.com]\nlisten: ":443"\n',
    `listen: ":443"\ntunnel: a\n${service("http://a")}`,
    `ipRules: []\n${service("http://a")}`,
    `notlsverify: true\n${service("http://a")}`,
    `${Array.from({ length: 220 }, (_, index) => `k${index}: 1`).join("\n")}\nacess: {}\n${service("http://a")}`,
    `something: else\n${service("http://a")}`,
    `ingress:\n  - service: http://a\n    noTLSVerify: true\n`,
    `ingress:\n  - servce: http://a\n`,
    `ingress:\n  - service: http://a\n    tunnel: x\n`,
    `ingress:\n  - service: http://a\n    acess: {}\n`,
    origin("noTlsVerify: true"),
    origin("acess: {required: true}"),
    origin("iprule: []"),
    origin("access: {requierd: true}"),
    origin("access: {required: true, policy: staff}"),
    `hsots: {}\n${service("http://a")}`,
    `hosts: {a.com: {acess: staff}}\n${service("http://a")}`,
    `hosts: {a.com: {access: {ip: {alow: [10.0.0.0/8]}}}}\n${service("http://a")}`,
    `hosts: {a.com: {access: {any: [{logn: {provider: google}}]}}}\n${service("http://a")}`,
    `hosts: {"*foo.com": {hold: 1s}}\n${service("http://a")}`,
    `<<: 1\n${service("http://a")}`,
  ],
  values: [
    origin("connectTimeout: 30"),
    origin("connectTimeout: -1s"),
    origin("connectTimeout: 1d"),
    origin("keepAliveTimeout: 900h"),
    origin("noTLSVerify: maybe"),
    origin("noTLSVerify: []"),
    origin("keepAliveConnections: many"),
    origin("keepAliveConnections: -1"),
    origin("httpHostHeader: http://a.com"),
    origin("originServerName: '*.a.com'"),
    origin("proxyPort: 70000"),
    origin("proxyType: http"),
    origin("ipRules: 10.0.0.0/8"),
    "originRequest: true\nurl: http://a\n",
    `grace-period: 30\n${service("http://a")}`,
    `loglevel: verbose\n${service("http://a")}`,
    `edge-ip-version: "5"\n${service("http://a")}`,
    `ha-connections: 10\n${service("http://a")}`,
    `edge: http://example.com\n${service("http://a")}`,
    `fingerprint: ABC\n${service("http://a")}`,
    `tag: [site]\n${service("http://a")}`,
    `tag: {site: berlin}\n${service("http://a")}`,
    `links: 9\n${service("http://a")}`,
    `metrics: localhost\n${service("http://a")}`,
    `proxy: ftp://you:secret@proxy\n${service("http://a")}`,
    `hosts: {a.com: {http: maybe, limits: {bodyBytes: 1 meter}}}\n${service("http://a")}`,
    `ports: [{tcp: 0, service: tcp://a:1}]\n${service("http://a")}`,
  ],
  services: [
    "",
    '""',
    "localhost:8000",
    "8000",
    "localhost",
    "/run/app.sock",
    "http:/localhost:8000",
    "http://",
    "http://:8000",
    "http://localhost:8000/api",
    "http://localhost:8000?x=1",
    "http://localhost:8000#x",
    "http://you:secret@localhost:8000",
    "you:secret@localhost:8000",
    "http://localhost:80000",
    "http://localhost:http",
    "http://::1:8000",
    "http://[::1",
    "http://10.1",
    "http://a..b",
    "htp://localhost",
    "ftp://127.0.0.1",
    "ssh://localhost:0",
    "unix:",
    '"unix:/run/\\0app.sock"',
    "http_status",
    "http_status:",
    "http_status:4o4",
    "http_status:101",
    "http_status:1000",
    "http_statuss:404",
    "helo_world",
    "socks-prox",
    "[http://a, http://b]",
  ].map(service),
  hostnames: [
    "app.example.com:443",
    "'*.example.com:443'",
    "https://app.example.com/path",
    "app.example.com/path",
    "'*foo.example.com'",
    "'app.*.example.com'",
    "'*.*.example.com'",
    "'**'",
    "10.0.0.1",
    "'::1'",
    "my_app.example.com",
    "exa mple.com",
    "a..example.com",
    "-a.example.com",
    "'ａpp.example.com'",
    "'%61pp.example.com'",
    "[a.com, b.com]",
  ]
    .filter((text) => text !== "'ａpp.example.com'")
    .map(hostname),
  paths: ["'*.jpg'", "'('", "'a{1001}'", "'^/(?!admin)'", "'(a)\\1'", "[a]"].map(
    (text) => `ingress:\n  - hostname: a.com\n    path: ${text}\n    service: http://a\n${LAST}`,
  ),
  order: [
    "ingress: []\n",
    "ingress: {service: http://a}\n",
    "ingress: http://a\n",
    "ingress:\n  - http://a\n",
    "ingress:\n  - hostname: app.example.com\n    service: http://a\n",
    "ingress:\n  - path: ^/api\n    service: http://a\n",
    "ingress:\n  - hostname: app.example.com\n    path: ^/api\n    service: http://a\n",
    `ingress:\n  - service: http://a\n${LAST}`,
    `ingress:\n  - service: http://a\n${LAST}${LAST}`,
    `ingress:\n  - hostname: '*'\n    service: http://a\n  - hostname: a.com\n    service: http://a\n${LAST}${LAST}`,
    `ingress:\n  - hostname: '*.example.com'\n    service: http://a\n  - hostname: app.example.com\n    service: http://b\n${LAST}`,
  ],
  access: [
    "access: {required: true}",
    "access: {required: true, audTag: [a]}",
    "access: {required: true, teamName: t, audTag: [a]}",
    "access: {required: false, audTag: [a], environment: fed}",
    "access: {required: perhaps}",
    "access: {audTag: a}",
    "access: staff",
    "ipRules: [{prefix: 10.0.0.0/8}]",
    "ipRules: [{allow: true}]",
    "ipRules: [{prefix: 10.0.0.1}]",
    "ipRules: [{prefix: 10.0.0.0/33}]",
    "ipRules: [{prefix: 010.0.0.0/8}]",
    "ipRules: [{prefix: 10.0.0.1/8}]",
    "ipRules: [{prefix: 10.0.0.0/8, ports: [0]}]",
    "ipRules: [{prefix: 10.0.0.0/8, ports: 80}]",
    "ipRules: [{prefix: 10.0.0.0/8, alow: true}]",
    "ipRules: [10.0.0.0/8]",
  ].flatMap((text) => [
    origin(text),
    `ingress:\n  - service: socks-proxy\n    originRequest:\n      ${text}\n`,
  ]),
  effects: [
    `token: tunl_t1_secret\n${service("http://a")}`,
    `hostname: a.com\nname: a\nlb-pool: p\n${service("http://a")}`,
    `warp-routing: {enabled: true}\nicmpv4-src: 10.0.0.1\n${service("http://a")}`,
    `proxy-dns: true\nssh-server: true\nforwarders: []\nsecret-id: geheim\n${service("http://a")}`,
    `ingress:\n  - service: http://a\n    originRequest: {ipRules: [{prefix: 10.0.0.0/8}]}\n`,
    `ingress:\n  - service: socks-proxy\n`,
    `url: http://a\nno-tls-verify: true\n${service("http://a")}`,
    "url: http://a\nunix-socket: /run/app.sock\nhello-world: true\n",
    "url: localhost:8000/api\n",
    "url: http://you:secret@localhost\n",
    "url: nothing at all\n",
    "tunnel: a\n",
  ],
};

/** Valid, and of a later version: warned of where a file is judged, refused at a start. */
const LATER: readonly string[] = [
  service("tcp://localhost:5432"),
  service("ssh://localhost"),
  service("bastion"),
  "url: ssh://localhost\n",
  "bastion: true\n",
  "socks5: true\nurl: http://a\n",
  origin("bastionMode: true"),
  origin("http2Origin: true"),
  origin("proxyType: socks"),
  origin("access: {required: true}"),
  `ingress:\n  - origins: [{service: http://a}, {service: http://b, backup: true}]\n    stripPrefix: /x\n    h2c: true\n`,
  `metrics: 127.0.0.1:2000\nedge-bind-address: 10.0.0.1\ninspect: on\nha: true\nproxy: http://you:secret@proxy:3128\n${service("http://a")}`,
  `edge: [a.example.com, b.example.com:8443]\n${service("http://a")}`,
  `hosts: {a.com: {hold: 5s, access: staff}, "*.b.com": {access: {any: [{basic: {usersFile: users}}]}}}\nports: [{tcp: auto, service: "tcp://a:1"}]\n${service("http://a")}`,
];

/** What says nothing else than its absence, in either mode. */
const NEUTRAL: readonly string[] = [
  `metrics: off\ninspect: off\nha: false\nproxy: ""\nhosts: {}\nports: []\nlinks: auto\nedge-bind-address: ""\n${service("http://a")}`,
  origin(
    "bastionMode: false\nhttp2Origin: no\nproxyType: ''\naccess: {required: false}\nipRules: []",
  ),
];

describe("config.yml, what is told", () => {
  test.each(Object.keys(TOPICS))("%s", (name) => {
    const texts = (TOPICS[name] as readonly string[]).map((text) => told(text, false));
    expect(texts.filter((text) => text.endsWith("[]\n"))).toEqual([]);
    expectGolden(`errors/config-yml-${name}.txt`, texts.join("\n"));
  });

  test("later", () => {
    const texts = LATER.flatMap((text) => [told(text, false), told(text, true)]);
    for (const text of texts) expect(text).toContain("NOT_BUILT");
    expectGolden("errors/config-yml-later.txt", texts.join("\n"));
  });

  test("a value that says what its absence says is no matter", () => {
    for (const text of NEUTRAL)
      for (const isStarting of [false, true]) expect(told(text, isStarting)).toEndWith("\n[]\n");
  });

  test("every code of the sources is told by one of these", () => {
    const used = readdirSync(SOURCES)
      .map((name) => readFileSync(`${SOURCES}${name}`, "utf8"))
      .flatMap((text) => [
        ...text.matchAll(/(?:code: |code = |error\(\s*|warn\(\s*)"([A-Z][A-Z_]{4,})"/g),
      ])
      .map(([, code]) => code as string);
    const all = [
      ...Object.values(TOPICS)
        .flat()
        .map((text) => told(text, false)),
      ...LATER.map((text) => told(text, true)),
    ].join("");
    expect(new Set(used).size).toBeGreaterThan(15);
    const missing = [...new Set(used)].filter(
      (code) => !new RegExp(`\\[(?:.* )?${code}[ \\]]`).test(all),
    );
    expect(missing.filter((code) => !ELSEWHERE.has(code))).toEqual([]);
  });

  test("no secret is told", () => {
    const all = [...Object.values(TOPICS).flat(), ...LATER].map((text) =>
      told(text, true).replace(/^#.*$/gm, ""),
    );
    expect(all.filter((text) => /secret@|geheim|tunl_t1/.test(text))).toEqual([]);
  });
});
