// This file is whom a connector is by what it was given: which key wins over which, and what is said where none is found. product.md §5; A-10.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConnect } from "../../src/config/index.ts";
import { findIdentity } from "../../src/connector/who.ts";
import { TunlError } from "../../src/errors.ts";
import {
  EdgeDirectory,
  fingerprintOf,
  formatToken,
  formatTunnel,
  generateKey,
  makeCode,
  formatJoinLine,
  type TunnelCredentials,
} from "../../src/identity/index.ts";

const EDGE = { host: "example.com", port: 443, fingerprint: "k".repeat(26) };
const OTHER = { host: "example.org", port: 8443, fingerprint: "m".repeat(26) };
const id = (digit: number): string => `${String(digit).repeat(8)}-0000-4000-8000-000000000000`;

const home = mkdtempSync(join(tmpdir(), "tunl-who-"));
const edges = join(home, "edges");
afterAll(() => rmSync(home, { recursive: true, force: true }));

function credentials(edge: typeof EDGE, tunnel: string, name: string): TunnelCredentials {
  const key = generateKey();
  return {
    ...edge,
    kind: "tunnel",
    ...{ key, tunnel, name, keyId: "k", codeHash: undefined, createdAt: "2026-11-22" },
  };
}

/** Where each key lies: the name is the place. */
const KEYS = {
  token: credentials(EDGE, id(1), "of-token"),
  file: credentials(EDGE, id(2), "of-file"),
  text: credentials(EDGE, id(3), "of-text"),
  home: credentials(EDGE, id(4), "home"),
  spare: credentials(EDGE, id(5), "spare"),
  away: credentials(OTHER, id(6), "away"),
};
const TOKEN = formatToken(KEYS.token);
const FILE = join(home, "file.json");
const TOKEN_FILE = join(home, "token");
const LINE = formatJoinLine({ ...EDGE, code: makeCode() });

/** Which of the keys above a connector would be, by its flags, variables and file. */
async function who(
  line: string,
  environment: Readonly<Record<string, string>> = {},
  config?: string,
): Promise<string> {
  const flags = new Map<string, string[]>();
  const words = line.split(" ").filter((word) => word !== "");
  for (let index = 0; index < words.length; index += 2)
    flags.set((words[index] as string).slice(2), [words[index + 1] as string]);
  const file = join(home, "config.yml");
  if (config !== undefined) {
    writeFileSync(file, `${config}\nurl: http://localhost:8000\n`, { mode: 0o600 });
    flags.set("config", [file]);
  }
  const { options } = loadConnect(
    {
      flags,
      surroundings: {
        environment: { TUNL_HOME: home, ...environment },
        isRoot: false,
        platform: "linux",
        home,
      },
      directory: home,
      isTerminal: false,
    },
    config === undefined ? "8000" : undefined,
    1,
  );
  try {
    const { key, enrolment } = await findIdentity(options, 0);
    if (enrolment !== undefined) return "line";
    const is = fingerprintOf(key.publicKey);
    const found = Object.entries(KEYS).find(([, own]) => fingerprintOf(own.key.publicKey) === is);
    return found?.[0] ?? "nobody";
  } catch (error) {
    if (error instanceof TunlError) return `${error.code} ${error.message} / ${error.hint}`;
    throw error;
  }
}

describe("who", () => {
  beforeAll(async () => {
    writeFileSync(FILE, formatTunnel(KEYS.file), { mode: 0o600 });
    writeFileSync(TOKEN_FILE, `${TOKEN}\n`, { mode: 0o600 });
    for (const [edge, own] of [
      [OTHER, [KEYS.away]],
      [EDGE, [KEYS.home, KEYS.spare]],
    ] as const) {
      const directory = new EdgeDirectory(edges, edge.host, edge.port);
      for (const each of own) await directory.writeCredentials(each);
      const [first] = own;
      const joinedAt = edge === EDGE ? "2026-11-22" : "2026-11-21";
      await directory.writeEdge({ ...edge, addresses: [], tunnel: first.tunnel, joinedAt });
    }
  });

  test("token before credentials before the named tunnel before the default one", async () => {
    const file = `credentials-contents: '${formatTunnel(KEYS.text).replaceAll("\n", " ")}'`;
    const fileKeys = `credentials-file: ${FILE}`;
    expect(await who("")).toBe("home");
    expect(await who("--tunnel spare")).toBe("spare");
    expect(await who(`--tunnel ${id(5)}`)).toBe("spare");
    expect(await who("", {}, fileKeys)).toBe("file");
    expect(await who("", {}, `${file}\n${fileKeys}`)).toBe("text");
    expect(await who(`--credentials ${FILE}`, {}, file)).toBe("file");
    expect(await who("", {}, `${fileKeys}\ntoken-file: ${TOKEN_FILE}`)).toBe("token");
    expect(await who("", {}, `${file}\ntoken: ${TOKEN}`)).toBe("token");
    expect(await who(`--token-file ${TOKEN_FILE}`)).toBe("token");
    expect(await who("", { TUNL_TOKEN: TOKEN }, file)).toBe("token");
    expect(await who("", { TUNL_TOKEN_FILE: TOKEN_FILE })).toBe("token");
    expect(await who(`--credentials ${FILE}`, { TUNL_TOKEN: TOKEN })).toBe("token");
  });

  test("a token and a join line: the nearer one, a flag before a variable before the file", async () => {
    expect(await who(`--join ${LINE}`, { TUNL_TOKEN: TOKEN })).toBe("line");
    expect(await who(`--token-file ${TOKEN_FILE}`, { TUNL_JOIN: LINE })).toBe("token");
    expect(await who("", { TUNL_JOIN: LINE }, `token-file: ${TOKEN_FILE}`)).toBe("line");
  });

  test("the value of a token before its file, the flag before both", async () => {
    const wrong = { TUNL_TOKEN: "tunl_t1_AAAA" };
    expect(await who(`--token-file ${TOKEN_FILE}`, wrong)).toBe("token");
    expect(await who("", { ...wrong, TUNL_TOKEN_FILE: TOKEN_FILE })).toStartWith(
      "BAD_TOKEN TUNL_TOKEN holds a token that was mistyped or cut",
    );
  });

  test("a tunnel of any edge is found by its name; one of another edge than was named is not", async () => {
    expect(await who("--tunnel away")).toBe("away");
    expect(await who("--edge example.org:8443")).toBe("away");
    expect(await who("--edge example.com --tunnel away")).toStartWith(
      'NOT_JOINED This machine has no key of tunnel "away" of example.com / Name one of "home", "spare"',
    );
    expect(await who("--edge example.net")).toStartWith(
      "NOT_JOINED This machine has not joined example.net / ",
    );
    expect(await who("--edge example.org")).toBe(
      "NOT_JOINED This machine has not joined example.org:443 / It has joined example.org:8443: write --edge example.org:8443",
    );
  });

  test("a tunnel that was typed is the one that runs; a file may name one and hold the key of another", async () => {
    expect(await who("", {}, `tunnel: ${id(9)}\ncredentials-file: ${FILE}`)).toBe("file");
    expect(await who("--tunnel of-file", {}, `tunnel: x\ncredentials-file: ${FILE}`)).toBe("file");
    expect(await who("--tunnel spare", {}, `credentials-file: ${FILE}`)).toStartWith(
      `BAD_CREDENTIALS "${FILE}" is a key of tunnel "of-file", and the one to run is "spare"`,
    );
    expect(await who(`--tunnel ${id(1)}`, { TUNL_TOKEN: TOKEN })).toBe("token");
    expect(await who(`--tunnel ${id(2)}`, { TUNL_TOKEN: TOKEN })).toStartWith(
      `BAD_CREDENTIALS The token is a key of tunnel "${id(1)}"`,
    );
  });

  test("credentials of another edge, or of an edge with another key, than the file says are refused", async () => {
    const fileKeys = `credentials-file: ${FILE}`;
    const { host, port, fingerprint } = KEYS.file;
    expect(
      await who("", {}, `edge: ${host}:${port}\nfingerprint: ${fingerprint}\n${fileKeys}`),
    ).toBe("file");
    expect(await who("", {}, `edge: other.example.net\n${fileKeys}`)).toBe(
      `BAD_CREDENTIALS "${FILE}" is a key for edge ${host}:${port}, and edge is other.example.net:443 / Leave edge out, or name the credentials of that edge`,
    );
    const wrong = "z".repeat(26);
    expect(await who("", {}, `fingerprint: ${wrong}\n${fileKeys}`)).toBe(
      `EDGE_KEY_MISMATCH The credentials are for the edge with key ${fingerprint}, and fingerprint is ${wrong} / Leave fingerprint out, or name the credentials of that edge`,
    );
  });

  test("a machine with an account is told to make the tunnel", async () => {
    const own = join(home, "account");
    const directory = new EdgeDirectory(join(own, "edges"), EDGE.host, EDGE.port);
    const account = { ...EDGE, kind: "account", key: generateKey(), keyId: "k" } as const;
    await directory.writeCredentials({ ...account, codeHash: undefined, createdAt: "2026" });
    const joinedAt = "2026-11-22";
    await directory.writeEdge({ ...EDGE, addresses: [], tunnel: undefined, joinedAt });
    expect(await who("--tunnel shop", { TUNL_HOME: own })).toBe(
      'NOT_JOINED This machine has no key of tunnel "shop" / Run tunl tunnel create shop; if it exists already (tunl tunnel list), copy its key file here and name it with --credentials',
    );
    expect(await who("", { TUNL_HOME: own })).toBe(
      "NOT_JOINED This machine has no tunnel of example.com / Run tunl tunnel create NAME",
    );
  });

  test("a token for another edge than was named is refused, and its file is judged like every secret", async () => {
    expect(await who(`--token-file ${TOKEN_FILE} --edge example.org`)).toStartWith(
      "BAD_TOKEN The token is for edge example.com:443, and edge is example.org:443",
    );
    expect(await who(`--token-file ${join(home, "none")}`)).toStartWith(
      `BAD_TOKEN There is no token file "${join(home, "none")}"`,
    );
    const open = join(home, "open");
    writeFileSync(open, TOKEN, { mode: 0o644 });
    expect(await who(`--token-file ${open}`)).toStartWith(
      'INSECURE_FILE "open" can be read by other users (mode 0644), expected 0600',
    );
    const cloudflared = join(home, "cloudflared.json");
    writeFileSync(cloudflared, '{"AccountTag": "a", "TunnelSecret": "s"}', { mode: 0o600 });
    expect(await who(`--credentials ${cloudflared}`)).toBe(
      `BAD_CREDENTIALS "${cloudflared}" holds Cloudflare credentials (key TunnelSecret), expected tunl ones / Run tunl tunnel create NAME, which writes those of your own edge`,
    );
  });

  test("a token makes no file", async () => {
    const before = readdirSync(home, { recursive: true });
    expect(await who("", { TUNL_TOKEN: TOKEN })).toBe("token");
    expect(readdirSync(home, { recursive: true })).toEqual(before);
  });
});
