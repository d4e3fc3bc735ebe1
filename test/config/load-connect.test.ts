// This file is the search order of config.yml, what wins over what, and the files that a file names. product.md §2, §4, §5.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  ConfigError,
  formatProblems,
  loadConnect,
  type LoadInput,
} from "../../src/config/index.ts";
import { findConnectorFile } from "../../src/config/ingress/place.ts";
import { connectorDirectories, type Surroundings } from "../../src/config/paths.ts";
import { TunlError } from "../../src/errors.ts";

let root: string;
beforeAll(() => void (root = mkdtempSync(join(tmpdir(), "tunl-load-connect-"))));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Given {
  readonly flags?: Readonly<Record<string, readonly string[]>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Path below the home to text. */
  readonly files?: Readonly<Record<string, string>>;
}

let homes = 0;

/** A user whose home has some files; nothing of this machine but /etc is looked at, so TUNL_HOME is where most tests look. */
function given({ flags = {}, environment = {}, files = {} }: Given): LoadInput & { home: string } {
  const home = join(root, `home-${(homes += 1)}`);
  mkdirSync(home, { mode: 0o700 });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), text, { mode: 0o600 });
  }
  return {
    flags: new Map(Object.entries(flags)),
    surroundings: {
      environment: { TUNL_HOME: home, ...environment },
      isRoot: false,
      platform: "linux",
      home,
    },
    directory: home,
    isTerminal: false,
    home,
  };
}

function load(input: LoadInput, target?: string) {
  return loadConnect(input, target, 1);
}

/** What people read, and the code. */
function refusal(input: LoadInput & { home: string }, target?: string): string {
  try {
    load(input, target);
  } catch (error) {
    if (!(error instanceof TunlError)) throw error;
    const text =
      error instanceof ConfigError
        ? formatProblems(error.source, error.problems)
        : `${error.message}\n${error.hint}`;
    return `[${error.code}] ${text.replaceAll(input.home, "~")}`;
  }
  throw new Error("Nothing was refused");
}

const RULES =
  "ingress:\n  - hostname: a.com\n    service: http://a\n  - service: http_status:404\n";

describe("the search order of config.yml", () => {
  const surroundings = (over: Partial<Surroundings>): Surroundings => ({
    environment: {},
    isRoot: false,
    platform: "linux",
    home: "/home/you",
    ...over,
  });

  test("user, system, cloudflared; TUNL_HOME alone; never the working directory (S-76)", () => {
    expect(connectorDirectories(surroundings({}))).toEqual([
      "/home/you/.config/tunl",
      "/etc/tunl",
      "/home/you/.cloudflared",
      "/etc/cloudflared",
      "/usr/local/etc/cloudflared",
    ]);
    expect(connectorDirectories(surroundings({ isRoot: true, home: "/root" }))).toEqual([
      "/etc/tunl",
      "/root/.cloudflared",
      "/etc/cloudflared",
      "/usr/local/etc/cloudflared",
    ]);
    expect(connectorDirectories(surroundings({ platform: "darwin" }))[1]).toBe(
      "/usr/local/etc/tunl",
    );
    expect(connectorDirectories(surroundings({ environment: { XDG_CONFIG_HOME: "/x" } }))[0]).toBe(
      "/x/tunl",
    );
    expect(connectorDirectories(surroundings({ environment: { TUNL_HOME: "/t" } }))).toEqual([
      "/t",
    ]);
  });

  test("config.yml before config.yaml, the user's before cloudflared's", () => {
    const input = given({
      files: { ".config/tunl/config.yaml": "", ".cloudflared/config.yml": "" },
    });
    const found = (): string | undefined =>
      findConnectorFile({ ...input.surroundings, environment: {} });
    // A machine with a file in /etc/tunl has it between the two.
    expect(found()).toBe(join(input.home, ".config/tunl/config.yaml"));
    writeFileSync(join(input.home, ".config/tunl/config.yml"), "");
    expect(found()).toBe(join(input.home, ".config/tunl/config.yml"));
  });

  test("a config.yml where the command is typed is not looked at (S-76)", () => {
    const input = given({ files: { "work/config.yml": RULES } });
    const typed = { ...input, directory: join(input.home, "work") };
    expect(refusal(typed)).toBe(
      "[USAGE] tunl connect has no TARGET, and there is no config.yml in ~\nSay what to serve, such as tunl connect 8000, or write ~/config.yml",
    );
    expect(
      load({ ...typed, flags: new Map([["config", ["config.yml"]]]) }).options.ingress.rules,
    ).toHaveLength(2);
  });
});

describe("what a connector runs with", () => {
  test("the file of the search order, whose name is told", () => {
    const input = given({ files: { "config.yml": RULES } });
    const { options, configName } = load(input);
    expect(configName).toBe("~/config.yml");
    expect(options.ingress).toMatchObject({
      file: join(input.home, "config.yml"),
      rules: [
        { hostname: "a.com", service: { url: "http://a" } },
        { hostname: "", service: { url: "http_status:404" } },
      ],
    });
  });

  test("TARGET alone needs no file; with --config it has what the file says of the connection and of services", () => {
    const files = { "config.yml": `label: nas\noriginRequest: {connectTimeout: 5s}\n${RULES}` };
    const alone = load(given({ files }), "8000");
    expect(alone).toMatchObject({
      configName: undefined,
      options: { ingress: { file: undefined, rules: [{ hostname: "" }] } },
    });
    const both = load(given({ files, flags: { config: ["config.yml"] } }), "8000");
    expect(both.options).toMatchObject({
      label: "nas",
      ingress: {
        file: undefined,
        rules: [
          { service: { url: "http://localhost:8000" }, originRequest: { connectTimeoutMs: 5_000 } },
        ],
      },
    });
    expect(both.warnings?.problems.map(({ message }) => message)).toEqual([
      'The rules of this file have no effect beside TARGET "8000"',
    ]);
    expect(
      load(given({ files, environment: { TUNL_CONFIG: "config.yml" } }), "8000").configName,
    ).toBe("~/config.yml");
  });

  test("flag, variable, file, default", () => {
    const file = `label: file\ngrace-period: 5s\nloglevel: debug\nlogfile: log/tunl.log\nedge-ip-version: "6"\ntunnel: t\naccessLog: on\noutput: json\n${RULES}`;
    const files = { "config.yml": file };
    const inFile = load(given({ files }));
    expect(inFile.options).toMatchObject({
      label: "file",
      graceMs: 5_000,
      edgeFamily: 6,
      tunnel: "t",
      accessLog: true,
    });
    expect(inFile.log).toMatchObject({
      level: "debug",
      format: "json",
      file: expect.stringMatching(/\/log\/tunl\.log$/),
    });
    const environment = { TUNL_LABEL: "variable", TUNL_GRACE: "6s" };
    expect(load(given({ files, environment })).options).toMatchObject({
      label: "variable",
      graceMs: 6_000,
    });
    const flags = { label: ["flag"], "log-level": ["warn"] };
    const typed = load(given({ files, environment, flags }));
    expect(typed.options).toMatchObject({ label: "flag", graceMs: 6_000 });
    expect(typed.log.level).toBe("warn");
    expect(load(given({ files: { "config.yml": RULES } })).options).toMatchObject({
      graceMs: 30_000,
      edgeFamily: "auto",
      kernelTuning: true,
      mostLinks: undefined,
    });
  });

  test("flags of one service win over the one-service form, and are refused beside rules", () => {
    const one = { "config.yml": "url: https://a\nno-tls-verify: true\nhttp-host-header: h\n" };
    const flags = { "tls-verify": ["true"], "host-header": ["keep"] };
    expect(load(given({ files: one })).options.ingress.rules[0]?.originRequest).toMatchObject({
      noTlsVerify: true,
      hostHeader: { value: "h" },
    });
    expect(
      load(given({ files: one, flags })).options.ingress.rules[0]?.originRequest,
    ).toMatchObject({ noTlsVerify: false, hostHeader: { kind: "keep" } });
    const files = { "config.yml": RULES };
    expect(refusal(given({ files, flags: { "tls-verify": ["false"] } }))).toBe(
      "[USAGE] --no-tls-verify is for one TARGET, and ~/config.yml has rules\nWrite noTLSVerify in originRequest of a rule, or of the top level for every rule",
    );
    expect(refusal(given({ files, environment: { TUNL_HOST_HEADER: "origin" } }))).toStartWith(
      "[USAGE] --host-header is for one TARGET",
    );
  });

  test("all that is wrong is told at once, warnings too, and nothing is used", () => {
    const files = {
      "config.yml": `grace-period: 90m\nlable: x\n${RULES.replace("http://a", "a")}`,
    };
    expect(refusal(given({ files }))).toBe(
      [
        '[CONFIG_INVALID] ✖ ~/config.yml:1:15 grace-period is "90m", expected 0 to 1h',
        "    1 | grace-period: 90m",
        "      |               ^^^",
        '⚠ ~/config.yml:2:1 Unknown key "lable", nearest is "label"',
        "    2 | lable: x",
        "      | ^^^^^",
        '✖ ~/config.yml:5:14 Service "a" has no scheme, expected http://, https://, tcp://, unix: or http_status:',
        "    5 |     service: a",
        "      |              ^",
        "    Write http://a",
      ].join("\n"),
    );
  });

  test("warnings let it start", () => {
    const loaded = load(given({ files: { "config.yml": `lable: x\nprotocol: quic\n${RULES}` } }));
    expect(loaded.warnings?.problems.map(({ code }) => code)).toEqual(["UNKNOWN_KEY"]);
    expect(loaded.notes).toEqual([expect.stringContaining("protocol has no effect")]);
  });

  test("what a later version does is refused here", () => {
    const files = { "config.yml": "ingress: [{service: ssh://localhost}]" };
    expect(refusal(given({ files }))).toContain(
      'Service "ssh://localhost:22", a TCP service, is not in this version yet',
    );
  });

  test("a file that every user may write is refused (S-65)", () => {
    const input = given({ files: { "config.yml": RULES } });
    chmodSync(join(input.home, "config.yml"), 0o666);
    expect(refusal(input)).toBe(
      "[CONFIG_INVALID] ✖ ~/config.yml This file can be changed by every user (mode 0666), expected 0644\n    Run chmod o-w ~/config.yml",
    );
  });

  test("a file that is missing, a directory, too long, no text", () => {
    const refused = (files: Given["files"], name: string) =>
      refusal(given({ ...(files && { files }), flags: { config: [name] } }));
    expect(refused({}, "x.yml")).toStartWith(
      '[CONFIG_INVALID] "~/x.yml" cannot be read: no such file',
    );
    expect(refused({ "d/x": "" }, "d")).toStartWith(
      '[CONFIG_INVALID] "~/d" is a directory, expected a file',
    );
    expect(refused({ "x.yml": `# ${"x".repeat(262_144)}` }, "x.yml")).toContain("allowed 262144");
    const input = given({ flags: { config: ["x.yml"] } });
    writeFileSync(join(input.home, "x.yml"), Buffer.from([0xff, 0xfe, 0x00]));
    expect(refusal(input)).toStartWith('[CONFIG_INVALID] "~/x.yml" is not UTF-8');
    const fifo = given({ flags: { config: ["loop.yml"] } });
    symlinkSync("loop.yml", join(fifo.home, "loop.yml"));
    expect(refusal(fifo)).toStartWith('[CONFIG_INVALID] "~/loop.yml" cannot be read');
  });
});

describe("files that config.yml names", () => {
  const withCredentials = `tunnel: my-tunnel\ncredentials-file: my-tunnel.json\n${RULES}`;

  test("credentials: path from the file's directory, text wins over path, a flag over both", () => {
    const files = { "config.yml": withCredentials, "my-tunnel.json": "{}" };
    const input = given({ files });
    expect(load(input).options).toMatchObject({
      credentialsPath: join(input.home, "my-tunnel.json"),
      credentialsText: undefined,
    });
    const contents = {
      ...files,
      "config.yml": `credentials-contents: '{"kind": "tunnel"}'\n${withCredentials}`,
    };
    expect(load(given({ files: contents })).options.credentialsText).toBe('{"kind": "tunnel"}');
    const typed = given({ files: contents, flags: { credentials: ["other.json"] } });
    expect(load(typed).options).toMatchObject({
      credentialsPath: join(typed.home, "other.json"),
      credentialsText: undefined,
    });
  });

  test("Cloudflare's credentials are named for what they are", () => {
    const secret =
      '{"AccountTag":"a","TunnelSecret":"geheim","TunnelID":"6ff42ae2-765d-4adf-8112-31c55c1551ef"}';
    const files = { "config.yml": withCredentials, "my-tunnel.json": secret };
    expect(refusal(given({ files }))).toBe(
      [
        '[CONFIG_INVALID] ✖ ~/config.yml:2:19 "~/my-tunnel.json" holds Cloudflare credentials (key TunnelSecret), expected tunl ones',
        "    2 | credentials-file: my-tunnel.json",
        "      |                   ^^^^^^^^^^^^^^",
        "    Run tunl tunnel create my-tunnel and remove this line",
      ].join("\n"),
    );
    const contents = { "config.yml": `credentials-contents: '${secret}'\n${RULES}` };
    const text = refusal(given({ files: contents }));
    expect(text).toContain("credentials-contents are Cloudflare credentials (key TunnelSecret)");
    expect(text).not.toContain("geheim");
    // Whoever joins with a line, or names other credentials, is not asked about these.
    const line = `tunl://example.com/${"k".repeat(26)}/${"q".repeat(26)}`;
    expect(() => load(given({ files, flags: { join: [line] } }))).not.toThrow();
  });

  test("credentials that others may read, or that are not there, are refused at their line (S-65)", () => {
    const open = given({ files: { "config.yml": withCredentials, "my-tunnel.json": "{}" } });
    chmodSync(join(open.home, "my-tunnel.json"), 0o644);
    expect(refusal(open)).toContain(
      "~/config.yml:2:19 The file of credentials-file can be read by every user (mode 0644), expected 0600",
    );
    expect(refusal(given({ files: { "config.yml": withCredentials } }))).toContain(
      '~/config.yml:2:19 The file of credentials-file "~/my-tunnel.json" cannot be read: no such file',
    );
  });

  test("roots: read once, refused at their line", () => {
    const rule = (name: string) => `    originRequest: {caPool: ${name}}\n`;
    const two = (name: string) =>
      `ingress:\n  - hostname: a.com\n    service: https://a\n${rule(name)}  - service: https://b\n${rule(name)}`;
    const pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    const { options } = load(given({ files: { "config.yml": two("ca.pem"), "ca.pem": pem } }));
    expect(options.ingress.rules.map(({ originRequest }) => originRequest.caPool)).toEqual([
      pem,
      pem,
    ]);
    expect(
      refusal(given({ files: { "config.yml": two("ca.pem"), "ca.pem": "nothing" } })),
    ).toContain('~/config.yml:4:29 caPool "~/ca.pem" holds no certificate in PEM form');
    expect(refusal(given({ files: { "config.yml": two("ca.pem") } }))).toContain(
      '~/config.yml:4:29 caPool "~/ca.pem" cannot be read: no such file',
    );
  });
});
