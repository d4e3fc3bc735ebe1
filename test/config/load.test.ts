import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ConfigError,
  formatProblems,
  loadConnect,
  loadEdge,
  loadInvite,
  loadOwner,
} from "../../src/config/index.ts";
import type { LoadInput } from "../../src/config/index.ts";
import { TunlError } from "../../src/errors.ts";

let root: string;
beforeAll(() => void (root = mkdtempSync(join(tmpdir(), "tunl-load-"))));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Given {
  flags?: Record<string, string[]>;
  environment?: Record<string, string>;
  file?: string;
  isRoot?: boolean;
  isTerminal?: boolean;
}

let homes = 0;
function given({
  flags = {},
  environment = {},
  file,
  isRoot = false,
  isTerminal = false,
}: Given): LoadInput {
  const home = join(root, `home-${(homes += 1)}`);
  mkdirSync(home);
  if (file !== undefined) writeFileSync(join(home, "edge.yml"), file, { mode: 0o644 });
  const own =
    file === undefined && environment["TUNL_HOME"] === undefined && isRoot
      ? {}
      : { TUNL_HOME: home };
  return {
    flags: new Map(Object.entries(flags)),
    surroundings: { environment: { ...own, ...environment }, isRoot, platform: "linux", home },
    directory: root,
    isTerminal,
  };
}

const INTERNAL = { tls: ["internal"], domain: ["example.com"] };

function refusal(run: () => unknown): { code: string; message: string; hint: string | undefined } {
  try {
    run();
  } catch (error) {
    if (!(error instanceof TunlError)) throw error;
    const message =
      error instanceof ConfigError
        ? formatProblems({ ...error.source, name: "edge.yml" }, error.problems)
        : error.message;
    return { code: error.code, message, hint: error.hint };
  }
  throw new Error("Nothing was refused");
}

describe("load", () => {
  test("an edge runs with the defaults of product.md §3.1", () => {
    const { options, log } = loadEdge({
      ...given({ flags: INTERNAL }),
      surroundings: { environment: {}, isRoot: true, platform: "linux", home: "/root" },
    });
    expect(options).toEqual({
      version: "source",
      domains: ["example.com"],
      stateDirectory: "/var/lib/tunl",
      adminPath: "/run/tunl/edge.sock",
      listen: { host: undefined, port: 443 },
      http: { host: undefined, port: 80 },
      certificates: { mode: "internal" },
      minVersion: "TLSv1.2",
      holdMs: 10_000,
      graceMs: 60_000,
      kernelTuning: true,
      limits: {
        connectionsPerIp: 256,
        connectorsPerTunnel: 8,
        memory: undefined,
        acceptPerIp: { perSecond: 20, burst: 60 },
        concurrent: 1_000,
        bodyBytes: undefined,
        headerBytes: 32_768,
        headerFields: 128,
        targetBytes: 8_192,
      },
      timeouts: {
        clientHelloMs: 5_000,
        handshakeMs: 10_000,
        headMs: 10_000,
        idleMs: 60_000,
        bodyIdleMs: 60_000,
        firstByteMs: 100_000,
        writeStallMs: 30_000,
        upgradeIdleMs: 0,
      },
      names: {
        reserved: ["www", "mail", "ns1", "ns2", "autoconfig", "autodiscover", "_*"],
        claim: "invited",
        style: "two-words",
        keepMs: 30 * 86_400_000,
        fixed: [],
      },
      dns: {
        provider: undefined,
        publicAddresses: [],
        servers: undefined,
        cloudflareApi: undefined,
      },
      accessLog: false,
    });
    expect(log).toEqual({
      level: "info",
      format: "text",
      file: undefined,
      isColored: false,
      showsHosts: true,
    });
  });

  test("flag beats variable beats file beats default", () => {
    const file = "domains: [file.com]\ngrace: 1s\nlisten: ':1'\ncertificates: {mode: internal}\n";
    const environment = { TUNL_GRACE: "2s", TUNL_LISTEN: ":2" };
    const { options } = loadEdge(given({ file, environment, flags: { listen: [":3"] } }));
    expect([options.listen.port, options.graceMs, options.domains, options.http?.port]).toEqual([
      3,
      2_000,
      ["file.com"],
      80,
    ]);
  });

  test("a list in a variable is split at commas, an empty variable counts as none", () => {
    const { options } = loadEdge(
      given({
        flags: { tls: ["internal"] },
        environment: { TUNL_DOMAIN: "a.com, b.com,a.com", TUNL_GRACE: "" },
      }),
    );
    expect([options.domains, options.graceMs]).toEqual([["a.com", "b.com"], 60_000]);
  });

  test("a mistake in a file is told even where a flag overrides it", () => {
    const { code, message } = refusal(() =>
      loadEdge(given({ file: "grace: 30\n", flags: { ...INTERNAL, grace: ["30s"] } })),
    );
    expect(code).toBe("CONFIG_INVALID");
    expect(message).toBe(
      [
        "✖ edge.yml:1:8 grace is 30, expected a duration with a unit such as 30s",
        "    1 | grace: 30",
        "      |        ^^",
      ].join("\n"),
    );
  });

  test("acme is the default, with the CA, the key and the order of challenges of product.md §3.1", () => {
    const acme = {
      directory: "letsencrypt",
      email: undefined,
      agreesToTerms: false,
      eab: undefined,
      challenge: "auto",
      wildcard: "auto",
      keyType: "p256",
      caPath: undefined,
    } as const;
    expect(loadEdge(given({})).options.certificates).toEqual({ mode: "acme", acme });
    const flags = {
      email: ["me@example.com"],
      "agree-tos": ["true"],
      "acme-ca": ["https://CA.example.com:9000/acme/dir"],
    };
    expect(loadEdge(given({ flags })).options.certificates).toEqual({
      mode: "acme",
      acme: {
        ...acme,
        directory: "https://ca.example.com:9000/acme/dir",
        email: "me@example.com",
        agreesToTerms: true,
      },
    });
    const file = `certificates:
  directories: [zerossl]
  challenge: dns-01
  wildcard: never
  keyType: rsa2048
  minVersion: "1.3"
`;
    const { options } = loadEdge(given({ file }));
    expect(options.minVersion).toBe("TLSv1.3");
    expect(options.certificates).toEqual({
      mode: "acme",
      acme: {
        ...acme,
        directory: "zerossl",
        challenge: "dns-01",
        wildcard: "never",
        keyType: "rsa2048",
      },
    });
    const staging = loadEdge(given({ file, flags: { "acme-staging": ["true"] } })).options;
    expect(staging.certificates).toMatchObject({ acme: { directory: "letsencrypt-staging" } });
  });

  test("variables of flags that this build lacks are refused by name", () => {
    expect(
      refusal(() => loadEdge(given({ flags: INTERNAL, environment: { TUNL_RESUME: "1s" } }))),
    ).toEqual({
      code: "USAGE",
      message: "--resume is not in this build yet, but TUNL_RESUME is set",
      hint: "Unset TUNL_RESUME",
    });
    const { options } = loadConnect(given({ environment: { TUNL_TOKEN: "secret" } }), "8000", 1);
    expect(options.token).toEqual({ kind: "text", name: "TUNL_TOKEN", text: "secret" });
    expect(() =>
      loadEdge(given({ flags: INTERNAL, environment: { TUNL_TOKEN: "x" } })),
    ).not.toThrow();
  });

  test("certificates of your own: pairs, modes of files, and what goes together", () => {
    const [cert, key] = [join(root, "c.pem"), join(root, "k.pem")];
    writeFileSync(cert, "x", { mode: 0o644 });
    writeFileSync(key, "x", { mode: 0o600 });
    const flags = { tls: ["files"], cert: ["c.pem"], key: ["k.pem"] };
    expect(loadEdge(given({ flags })).options.certificates).toEqual({
      mode: "files",
      pairs: [{ certPath: cert, keyPath: key }],
    });
    const file = `certificates: {mode: files, files: [{cert: ${cert}, key: ${key}}]}`;
    expect(loadEdge(given({ file })).options.certificates).toEqual({
      mode: "files",
      pairs: [{ certPath: cert, keyPath: key }],
    });
    expect(
      refusal(() => loadEdge(given({ flags: { tls: ["files"], cert: ["c.pem"] } }))).message,
    ).toBe("--cert is given without --key");
    expect(refusal(() => loadEdge(given({ flags: { ...flags, tls: ["internal"] } }))).message).toBe(
      "--cert and --key are for --tls files, not for --tls internal",
    );
    expect(refusal(() => loadEdge(given({ flags: { tls: ["files"] } }))).message).toBe(
      "--tls files has no certificate",
    );
    expect(refusal(() => loadEdge(given({ flags: { ...flags, cert: ["nope.pem"] } }))).code).toBe(
      "CONFIG_INVALID",
    );
    chmodSync(key, 0o644);
    const inFile = refusal(() => loadEdge(given({ file })));
    expect(inFile.message).toContain(
      `edge.yml:1:${file.indexOf(key) + 1} This key can be read by every user (mode 0644), expected 0600`,
    );
    expect(inFile.message).toContain(`    Run chmod 600 ${key}`);
    expect(refusal(() => loadEdge(given({ flags })))).toEqual({
      code: "CONFIG_INVALID",
      message: "The file of --key can be read by every user (mode 0644), expected 0600",
      hint: `Run chmod 600 ${key}`,
    });
  });

  test("a directory in place of a certificate or a key is called one", () => {
    writeFileSync(join(root, "d.pem"), "x", { mode: 0o644 });
    for (const flag of ["cert", "key"]) {
      const flags = { tls: ["files"], cert: ["d.pem"], key: ["d.pem"], [flag]: ["."] };
      const { message, hint } = refusal(() => loadEdge(given({ flags })));
      expect([message.toLowerCase().includes(flag), message, hint]).toEqual([
        true,
        expect.stringMatching(/ is a directory, expected a file$/),
        expect.stringContaining("path of a file"),
      ]);
    }
    const { message } = refusal(() =>
      loadEdge(given({ file: `certificates: {mode: files, files: [{cert: ., key: .}]}` })),
    );
    expect(message.match(/is a directory, expected a file/g)?.length).toBe(2);
  });

  test("visitors and redirects on one port are refused, with both flags", () => {
    const both = (listen: string, http: string) =>
      given({ flags: { ...INTERNAL, listen: [listen], http: [http] } });
    for (const [listen, http] of [
      [":8443", ":8443"],
      ["127.0.0.1:8443", ":8443"],
      ["[::]:8443", "127.0.0.1:8443"],
      ["127.0.0.1:8443", "127.0.0.1:8443"],
      ["0.0.0.0:8443", "127.0.0.1:8443"],
      ["[::1]:8443", "[::]:8443"],
      ["[::1]:8443", "[0:0:0:0:0:0:0:1]:8443"],
      ["localhost:8443", "localhost:8443"],
    ] as const) {
      expect(refusal(() => loadEdge(both(listen, http)))).toEqual({
        code: "USAGE",
        message: `--listen is ${listen} and --http is ${http}, expected different ports`,
        hint: "Choose another port for one of them, or --http off",
      });
    }
    for (const [listen, http] of [
      [":0", ":0"],
      [":8443", ":8080"],
      ["127.0.0.1:8443", "127.0.0.2:8443"],
      ["0.0.0.0:8443", "[::1]:8443"],
      ["[::1]:8443", "0.0.0.0:8443"],
      ["[::1]:8443", "127.0.0.1:8443"],
      [":8443", "off"],
    ] as const)
      expect(() => loadEdge(both(listen, http))).not.toThrow();
  });

  test("what is no join line is told with the form of one, and not quoted", () => {
    for (const [text, what] of [
      ["https://example.com/secret", "is no join line"],
      ["secret", "is no join line"],
      ["tunl://", "is only a part of a join line"],
      ["tunl://example.com/secret", "is only a part of a join line"],
    ] as const) {
      const { code, message } = refusal(() =>
        loadConnect(given({ flags: { join: [text] } }), "8000", 1),
      );
      expect([code, message]).toEqual([
        "BAD_JOIN_LINE",
        `The value of --join ${what}, expected tunl://HOST[:PORT]/FINGERPRINT/CODE`,
      ]);
    }
  });

  test("a configuration that others may change is refused", () => {
    const start = given({ file: "grace: 1s", flags: INTERNAL });
    chmodSync(join(start.surroundings.home, "edge.yml"), 0o666);
    expect(refusal(() => loadEdge(start)).message).toBe(
      "✖ edge.yml This file can be changed by every user (mode 0666), expected 0644\n    Run chmod o-w ~/edge.yml",
    );
  });

  test("files that cannot be read have one sentence each", () => {
    expect(
      refusal(() => loadEdge(given({ flags: { ...INTERNAL, config: ["nope.yml"] } }))).message,
    ).toEndWith("cannot be read: no such file");
    expect(
      refusal(() => loadEdge(given({ flags: { ...INTERNAL, config: ["."] } }))).message,
    ).toEndWith("is a directory, expected a file");
    writeFileSync(join(root, "latin1.yml"), Buffer.from([0x23, 0xe9]));
    expect(
      refusal(() => loadEdge(given({ flags: { ...INTERNAL, config: ["latin1.yml"] } }))).message,
    ).toEndWith("is not UTF-8");
    writeFileSync(join(root, "big.yml"), "#".repeat(262_145));
    expect(
      refusal(() => loadEdge(given({ flags: { ...INTERNAL, config: ["big.yml"] } }))).message,
    ).toEndWith("has 262145 bytes, allowed 262144");
  });

  test("limits and addresses can be off", () => {
    const file =
      "http: off\nlimits: {connectionsPerIp: off, acceptPerIp: off}\ncertificates: {mode: internal}\n";
    const { options } = loadEdge(given({ file }));
    expect([options.http, options.limits.connectionsPerIp, options.limits.acceptPerIp]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const half = loadEdge(
      given({ file: "limits: {acceptPerIp: {burst: 5}}\ncertificates: {mode: internal}" }),
    );
    expect(half.options.limits.acceptPerIp).toEqual({ perSecond: 20, burst: 5 });
  });

  test("places follow root, XDG and TUNL_HOME", () => {
    const load = (environment: Record<string, string>, isRoot = false) =>
      loadEdge({
        ...given({ flags: INTERNAL }),
        surroundings: { environment, isRoot, platform: "linux", home: "/home/me" },
      }).options;
    const shown = ({ stateDirectory, adminPath }: ReturnType<typeof load>) => [
      stateDirectory,
      adminPath,
    ];
    expect(shown(load({}))).toEqual([
      "/home/me/.local/state/tunl",
      "/home/me/.local/state/tunl/edge.sock",
    ]);
    expect(shown(load({ XDG_RUNTIME_DIR: "/run/user/7", XDG_STATE_HOME: "/s" }))).toEqual([
      "/s/tunl",
      "/run/user/7/tunl/edge.sock",
    ]);
    expect(shown(load({ TUNL_HOME: "/h" }, true))).toEqual(["/h/state", "/h/run/edge.sock"]);
    expect(shown(load({ TUNL_STATE: "/elsewhere" }))).toEqual([
      "/elsewhere",
      "/elsewhere/edge.sock",
    ]);
    expect(refusal(() => load({ TUNL_HOME: "here" })).code).toBe("USAGE");
  });

  test("a control socket whose path is too long is refused and names --admin", () => {
    const { code, hint } = refusal(() =>
      loadEdge(given({ flags: { ...INTERNAL, admin: [`unix:/${"x".repeat(107)}`] } })),
    );
    expect([code, hint]).toEqual([
      "SOCKET_PATH_TOO_LONG",
      "Choose a shorter one with --admin unix:PATH",
    ]);
    expect(
      loadEdge(given({ flags: { ...INTERNAL, admin: [`unix:/${"x".repeat(106)}`] } })).options
        .adminPath.length,
    ).toBe(107);
  });

  test("a connector runs with what was typed", () => {
    const flags = {
      join: ["tunl://a/b/c"],
      host: ["A.com", "*.b.com"],
      "host-header": ["origin"],
      "tls-verify": ["false"],
      "edge-ip": ["6"],
      wait: ["5s"],
      for: ["1h"],
      edge: ["example.com"],
    };
    const start = given({ flags, environment: { TUNL_HOME: "/h" } });
    expect(loadConnect(start, "8000", 42).options).toMatchObject({
      join: "tunl://a/b/c",
      hosts: ["a.com", "*.b.com"],
      ingress: {
        rules: [
          {
            hostname: "",
            path: undefined,
            service: { url: "http://localhost:8000" },
            originRequest: { hostHeader: { kind: "origin" }, noTlsVerify: true, caPool: undefined },
          },
        ],
        file: undefined,
      },
      edge: { host: "example.com", port: 443 },
      edgeFamily: 6,
      waitMs: 5_000,
      forMs: 3_600_000,
      graceMs: 30_000,
      edgesDirectory: "/h/edges",
      controlPath: "/h/run/connect-42.sock",
      accessLog: false,
    });
    const origin = (start: Given) =>
      loadConnect(given(start), "8000", 1).options.ingress.rules[0]?.originRequest;
    expect(origin({ environment: { TUNL_TLS_VERIFY: "false" } })?.noTlsVerify).toBe(true);
    expect(origin({ flags: { "host-header": ["x.com"] } })?.hostHeader).toEqual({
      kind: "value",
      value: "x.com",
    });
    expect(refusal(() => loadConnect(given({}), undefined, 1)).code).toBe("USAGE");
  });

  test("names, fixed grants and connectors of a tunnel are what edge.yml says", () => {
    const file = `names: {random: no, style: hex, claim: none, keep: 7d, reserved: [root]}
grants: [{tunnel: mine, hosts: [www.example.com]}]
limits: {connectorsPerTunnel: 2}
`;
    const { options } = loadEdge(given({ file, flags: INTERNAL }));
    expect(options.names).toEqual({
      reserved: ["root"],
      claim: "none",
      // Random names are off, whatever they would look like.
      style: undefined,
      keepMs: 7 * 86_400_000,
      fixed: [{ tunnel: "mine", hosts: ["www.example.com"] }],
    });
    expect(options.limits.connectorsPerTunnel).toBe(2);
    for (const wrong of [
      "names: {style: one-word}",
      "names: {claim: anything}",
      "names: {keep: 59m}",
      "names: {random: maybe}",
      "limits: {connectorsPerTunnel: 0}",
      "limits: {connectorsPerTunnel: 65}",
      "grants: [{tunnel: mine, host: [www.example.com]}]",
    ])
      expect(() => loadEdge(given({ file: `${wrong}\n`, flags: INTERNAL }))).toThrow();
    expect.assertions(9);
  });

  test("a line per request is shown where a person watches, unless told otherwise", () => {
    const shown = (start: Given) => loadConnect(given(start), "1", 1).options.accessLog;
    expect([
      shown({}),
      shown({ isTerminal: true }),
      shown({ flags: { "access-log": ["on"] } }),
      shown({ isTerminal: true, flags: { "access-log": ["off"] } }),
    ]).toEqual([false, true, true, false]);
  });

  test("invite and status find the socket of the edge, also where the rest of its file is wrong", () => {
    const file = "admin: unix:/run/own.sock\nlistne: 1\n";
    expect(loadInvite(given({ file, flags: { host: ["*.x.com"], uses: ["3"] } }))).toEqual({
      adminPath: "/run/own.sock",
      isJson: false,
      name: undefined,
      hosts: ["*.x.com"],
      ttlMs: 900_000,
      uses: 3,
      isAccount: false,
    });
    expect(loadOwner("status", given({ file }))).toEqual({
      adminPath: "/run/own.sock",
      isJson: false,
      socketDirectory: undefined,
    });
    expect(loadOwner("status", given({ environment: { TUNL_HOME: "/h" } })).socketDirectory).toBe(
      "/h/run",
    );
  });

  test.each([
    [{}, false],
    [{ isTerminal: true }, true],
    [{ isTerminal: true, environment: { NO_COLOR: "1" } }, false],
    [{ environment: { FORCE_COLOR: "1" } }, true],
    [{ isTerminal: true, environment: { FORCE_COLOR: "0" } }, false],
    [
      { isTerminal: true, environment: { NO_COLOR: "1" }, flags: { ...INTERNAL, color: ["true"] } },
      true,
    ],
    [{ isTerminal: true, flags: { ...INTERNAL, color: ["false"] } }, false],
    [{ isTerminal: true, environment: { TUNL_COLOR: "false" } }, false],
    [{ isTerminal: true, flags: { ...INTERNAL, "log-file": ["x.log"] } }, false],
  ] as [Given, boolean][])("colour of %j is %j", (start, isColored) => {
    expect(loadEdge(given({ flags: INTERNAL, ...start })).log.isColored).toBe(isColored);
  });
});
