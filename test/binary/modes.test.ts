// This file is the matrix of files and who may touch them: each is refused with the command that mends it, and is taken once that was run. S-65; product.md §5.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { TestEdge } from "../e2e/rig.ts";
import { connectedOnce, EDGE, Home, IS_BUILT, IS_SLOW, Running, tunl } from "./tunl.ts";

/** One file that a process reads. */
interface Row {
  /** Below the home; `*` stands for the one file of that ending. */
  readonly file: string;
  /** What the file is made of where the edge did not make it. */
  readonly content?: string;
  /** Modes that are refused. */
  readonly modes: readonly number[];
  readonly words: readonly string[];
  /** Lines of `edge.yml` that name the file. */
  readonly settings?: string;
  readonly exit: number;
}

/** Nobody listens at this port of an edge, and none of these commands would stay. */
const NOWHERE = ["connect", "8000", "--wait", "1s", "--for", "1s"];
const ACME = "certificates: {mode: acme, agreeToTerms: true,";
const SECRET = [0o644, 0o604];
const WRITABLE = [0o666, 0o646];

const ROWS: Readonly<Record<string, Row>> = {
  "the edge's key": {
    file: "state/edge.key",
    modes: [...SECRET, 0o640, 0o620],
    words: EDGE,
    exit: 6,
  },
  "the database": { file: "state/state.db", modes: [0o640, 0o602], words: EDGE, exit: 6 },
  "the key of the edge's CA": { file: "state/ca/root.key", modes: [0o644], words: EDGE, exit: 6 },
  "the key of links": { file: "state/link-cert.key", modes: [0o644], words: EDGE, exit: 6 },
  "the state directory": { file: "state", modes: [0o777, 0o770], words: EDGE, exit: 6 },
  "a backup": { file: "state/backup/*.db", modes: [0o644], words: ["edge", "repair"], exit: 6 },
  "edge.yml": { file: "edge.yml", modes: WRITABLE, words: EDGE, exit: 3 },
  "a certificate's key": {
    ...{ file: "key.pem", content: "x", modes: SECRET, exit: 3 },
    words: [
      "edge",
      "--domain",
      "x.example",
      "--tls",
      "files",
      "--cert",
      "edge.yml",
      "--key",
      "key.pem",
    ],
  },
  "a token of Cloudflare": {
    ...{ file: "cf", content: "token", modes: SECRET, words: ["edge", "check"], exit: 3 },
    settings: "dns: {provider: cloudflare, cloudflare: {tokenFile: cf}}",
  },
  "a TSIG key": {
    ...{ file: "tsig", content: "c2VjcmV0c2VjcmV0c2VjcmV0", modes: SECRET, exit: 3 },
    words: ["edge", "check"],
    settings: "dns: {provider: rfc2136, rfc2136: {server: 127.0.0.1, keyName: k, keyFile: tsig}}",
  },
  "the key of a CA's account": {
    ...{ file: "eab", content: "a2V5", modes: SECRET, words: ["edge", "check"], exit: 3 },
    settings: `${ACME} eab: {keyId: x, keyFile: eab}}`,
  },
  "the key of a tunnel": {
    file: "edges/*/*-*.json",
    modes: [...SECRET, 0o640],
    words: NOWHERE,
    exit: 6,
  },
  "the key of an account": {
    ...{ file: "edges/*/account.json", modes: SECRET, exit: 6 },
    words: ["tunnel", "list", "--wait", "1s"],
  },
  "a static token": {
    ...{ file: "token", content: "tunl_t1_x", modes: SECRET, exit: 6 },
    words: [...NOWHERE, "--token-file", "token"],
  },
  "what is known of an edge": {
    file: "edges/*/edge.json",
    modes: [0o602],
    words: NOWHERE,
    exit: 6,
  },
  "a connector's configuration": {
    ...{ file: "config.yml", content: "url: http://localhost:8000\n", modes: WRITABLE, exit: 3 },
    words: ["tunnel", "run", "--wait", "1s", "--for", "1s"],
  },
};

describe.skipIf(!IS_BUILT)("files that others may touch (S-65)", () => {
  const base = new Home();
  beforeAll(async () => {
    await using edge = await TestEdge.start({ home: base.path });
    const login = await tunl(["login", await edge.invite(["--account"])], { home: base.path });
    const joining = ["connect", "8000", "--join", await edge.invite()];
    for (const { code, stderr } of [login, await connectedOnce(joining, { home: base.path })])
      if (code !== 0) throw new Error(stderr);
    edge.process.signal("SIGTERM");
    await edge.process.ended;
  });
  afterAll(() => base[Symbol.dispose]());

  function found(home: string, pattern: string): string {
    const glob = new Bun.Glob(pattern);
    const path = pattern.includes("*")
      ? [...glob.scanSync({ cwd: home, dot: true })].find((name) => !name.includes("pending"))
      : pattern;
    if (path === undefined) throw new Error(`No ${pattern} in ${readdirSync(home).join(" ")}`);
    return join(home, path);
  }

  function copied(row: Row): { home: Home; path: string } {
    const home = new Home();
    cpSync(base.path, home.path, { recursive: true });
    if (row.settings !== undefined)
      writeFileSync(join(home.path, "edge.yml"), `domains: [x.example]\n${row.settings}\n`, {
        mode: 0o600,
      });
    if (row.content !== undefined)
      writeFileSync(join(home.path, row.file), row.content, { mode: 0o600 });
    return { home, path: found(home.path, row.file) };
  }

  /** Exit code and text; an edge that starts after all is stopped. */
  async function outcome(words: readonly string[], home: string): Promise<[number, string]> {
    await using process = new Running(words, { home });
    if (words === EDGE) {
      await process.event("ready").catch(() => undefined);
      process.signal("SIGTERM");
    }
    const { code, stderr } = await process.ended;
    return [code, stderr];
  }

  test.each(Object.keys(ROWS))("%s", async (what) => {
    const row = ROWS[what] as Row;
    const { home, path } = copied(row);
    using _ = home;
    for (const mode of IS_SLOW ? row.modes : row.modes.slice(0, 1)) {
      chmodSync(path, mode);
      const [code, text] = await outcome(row.words, home.path);
      const command = /Run (chmod [0-7a-z-]+ [^\s"]+)/.exec(text)?.[1] ?? `no chmod in: ${text}`;
      expect([mode.toString(8), code, command]).toEqual([
        mode.toString(8),
        row.exit,
        expect.stringMatching(/^chmod (?:[67]00|o-w) /),
      ]);
      // The command as it was printed, in the words of a shell; `~` is the home of the test.
      const words = ["/bin/sh", "-c", command.replace("~", home.path)];
      expect(Bun.spawnSync(words, { stderr: "inherit", cwd: home.path }).exitCode).toBe(0);
    }
    const wide = row.modes === WRITABLE ? 0o002 : 0o077;
    expect(statSync(path).mode & wide).toBe(0);
    // That the file is taken then is asked of the edge's key here, of all in the long form.
    if (row.file !== "state/edge.key" && !IS_SLOW) return;
    const [, text] = await outcome(row.words, home.path);
    expect(text).not.toContain("chmod");
  });

  const isRoot = process.getuid?.() === 0;
  test.skipIf(!isRoot)(
    isRoot ? "and files of other users" : "and files of other users: skipped, needs root",
    async () => {
      const files = ["state/edge.key", "edges/*/*-*.json", "state/state.db", "state"];
      for (const file of IS_SLOW ? files : files.slice(0, 2)) {
        const words = file.startsWith("state") ? EDGE : NOWHERE;
        const { home, path } = copied({ file, modes: [], words, exit: 6 });
        using _ = home;
        chownSync(path, 12_345, 12_345);
        expect([file, ...(await outcome(words, home.path))]).toEqual([
          file,
          6,
          expect.stringMatching(/belongs to the user with id 12345.*chown 0 /s),
        ]);
      }
    },
  );
});

const NOBODY = 65_534;
const canBeNobody = IS_BUILT && process.getuid?.() === 0 && Bun.which("setpriv") !== null;
describe.skipIf(!canBeNobody)(
  `files of a user who is not root${canBeNobody ? "" : ": skipped, needs root and setpriv"}`,
  () => {
    test.each([
      ["in ~", {}, ".config/tunl", ".local/state/tunl", ".local/state/tunl/edge.sock"],
      [
        "where XDG says",
        { XDG_CONFIG_HOME: "c", XDG_STATE_HOME: "s", XDG_RUNTIME_DIR: "r" },
        "c/tunl",
        "s/tunl",
        "r/tunl/edge.sock",
      ],
    ] as const)(
      "are %s, and nobody else's (S-65; product.md §5)",
      async (_, variables, config, state, socket) => {
        using home = new Home();
        const at = (path: string): string => join(home.path, path);
        mkdirSync(at(config), { recursive: true });
        writeFileSync(at(`${config}/edge.yml`), "domains: [user.example]\n");
        // The second name counts only where the first is not there.
        writeFileSync(at(`${config}/edge.yaml`), "domains: [other.example]\n");
        for (const path of [".", ...readdirSync(home.path, { recursive: true, encoding: "utf8" })])
          chownSync(at(path), NOBODY, NOBODY);
        const environment = Object.fromEntries(
          Object.entries(variables).map(([name, path]) => [name, at(path)]),
        );
        await using edge = new Running(
          EDGE.filter((word) => word !== "--domain" && word !== "tunl.localhost"),
          {
            home: home.path,
            environment: { TUNL_HOME: "", ...environment },
            through: [
              Bun.which("setpriv") as string,
              ...[`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"],
            ],
          },
        );
        expect(await edge.event("config")).toMatchObject({ file: `~/${config}/edge.yml` });
        await edge.event("ready");
        const modes = Object.fromEntries(
          [state, `${state}/edge.key`, `${state}/state.db`, `${state}/ca`, socket].map((path) => {
            const { mode, uid } = statSync(at(path));
            return [path, `${(mode & 0o777).toString(8)} ${uid}`];
          }),
        );
        expect(modes).toEqual({
          [state]: `700 ${NOBODY}`,
          [`${state}/edge.key`]: `600 ${NOBODY}`,
          [`${state}/state.db`]: `600 ${NOBODY}`,
          [`${state}/ca`]: `700 ${NOBODY}`,
          [socket]: `600 ${NOBODY}`,
        });
        edge.signal("SIGTERM");
        expect((await edge.ended).code).toBe(0);
      },
    );
  },
);
