// This file is what somebody sees who does it wrong with accounts, tunnels and tokens: made with the executable, kept as a golden file. product.md §1.2, §8.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DOMAIN, TestEdge } from "../e2e/rig.ts";
import { expectGolden } from "../golden.ts";
import { steady } from "./steady.ts";
import { Home, IS_BUILT, tunl } from "./tunl.ts";

describe.skipIf(!IS_BUILT)("mistakes with accounts", () => {
  let edge: TestEdge;
  let me: Home;
  let stranger: Home;

  beforeAll(async () => {
    edge = await TestEdge.start();
    me = new Home();
    stranger = new Home();
  });
  afterAll(async () => {
    me?.[Symbol.dispose]();
    stranger?.[Symbol.dispose]();
    await edge?.[Symbol.asyncDispose]();
  });

  /** One attempt as people see it: what they typed, what they read, how it ended. */
  async function attempt(
    title: string,
    words: readonly string[],
    options: { readonly home?: Home; readonly environment?: Record<string, string> } = {},
  ): Promise<string> {
    const { home = me, environment = {} } = options;
    const { code, stdout, stderr } = await tunl([...words, "--log-format", "pretty"], {
      home: home.path,
      environment,
    });
    const shown = words.map((word) => (word.startsWith("tunl://") ? "LINE" : word)).join(" ");
    const variables = Object.keys(environment).map((name) => `${name}=… `);
    return steady(
      `# ${title}\n$ ${variables.join("")}tunl ${shown}\n${stdout}${stderr}[exit ${code}]\n`,
      [me.path, stranger.path],
      { PORT: edge.port },
    ).replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UUID");
  }

  test("as in the golden file", async () => {
    const login = await edge.invite(["--account"]);
    const join_ = await edge.invite();
    const other = await edge.invite(["--account"]);
    const told: string[] = [
      await attempt("no account yet", ["tunnel", "create", "app"]),
      await attempt("the edge's name in place of a line", ["login", DOMAIN]),
      await attempt("a join line", ["login", join_]),
      await attempt("a login line given to connect", ["connect", "8000", "--join", login]),
      await attempt("the line at last, which is still unused", ["login", login]),
      await attempt("a line that was used, on another machine", ["login", login], {
        home: stranger,
      }),
      await attempt("a second account", ["login", other]),
      await attempt("a name of nobody", ["tunnel", "create", "app", "--host", `www.${DOMAIN}`]),
      await attempt("no tunnel yet", ["connect", "8000"]),
      await attempt("at last", ["tunnel", "create", "app"]),
    ];
    const keys = join(me.path, "keys");
    mkdirSync(keys);
    const file = join(keys, "app.json");
    // Beside it lie account.json and edge.json, in no certain order.
    const files = readdirSync(join(me.path, "edges", `${DOMAIN}_${edge.port}`));
    const own = files.find((name) => /^[0-9a-f]{8}-.*\.json$/.test(name)) ?? "";
    const text = readFileSync(join(me.path, "edges", `${DOMAIN}_${edge.port}`, own), "utf8");
    writeFileSync(file, text, { mode: 0o600 });
    const config = join(keys, "config.yml");
    writeFileSync(config, "tunnel: app\nurl: http://localhost:8000\n", { mode: 0o600 });
    const cloudflare = join(keys, "cloudflare.token");
    const secret = Buffer.from('{"a":"1","t":"2","s":"3"}').toString("base64");
    writeFileSync(cloudflare, `${secret}\n`, { mode: 0o600 });
    const open = join(keys, "open.token");
    writeFileSync(open, "tunl_t1_AAAA", { mode: 0o644 });
    // None of these changes anything, so they need not wait for each other.
    told.push(
      ...(await Promise.all([
        attempt("a key file that is there", ["tunnel", "create", "web", "--credentials", file]),
        attempt("a directory that is not there", [
          ...["tunnel", "create", "web", "--credentials", join(keys, "none", "web.json")],
        ]),
        attempt("a name in front of its tunnel", ["route", "dns", `app.${DOMAIN}`, "app"]),
        attempt("a tunnel that nobody made", ["tunnel", "info", "ap"]),
        attempt("delete, without a terminal", ["tunnel", "delete", "app"]),
        attempt("a key that is none", ["tunnel", "rotate", "app", "--key", "nas"]),
        attempt("a token over another", ["tunnel", "token", "app", "--output", file]),
        attempt("a token for names of others", [
          ...["tunnel", "token", "app", "--host", "app.example.com"],
        ]),
        attempt("half a token", ["connect", "8000"], {
          environment: { TUNL_TOKEN: "tunl_t1_AAAA" },
        }),
        attempt("Cloudflare's token", ["connect", "8000", "--token-file", cloudflare]),
        attempt("a token that others may read", ["connect", "8000", "--token-file", open]),
        attempt("no token file", ["connect", "8000"], {
          environment: { TUNL_TOKEN_FILE: join(keys, "none") },
        }),
        attempt("a name that is nobody's", ["route", "delete", `nobody.${DOMAIN}`]),
        attempt("a tunnel that this machine has no key of", [
          ...["tunnel", "run", "web", "--config", config],
        ]),
      ])),
    );
    // The edge is away; and then another one is in its place.
    const { port } = edge;
    edge.process.signal("SIGTERM");
    await edge.process.ended;
    told.push(await attempt("the edge is away", ["tunnel", "list", "--wait", "0"]));
    using place = new Home();
    await using imposter = await TestEdge.start({ home: place.path, port });
    expect(imposter.port).toBe(port);
    told.push(await attempt("another edge in its place", ["tunnel", "list"]));
    expectGolden("errors/account.txt", told.join("\n"));
  }, 60_000);
});
