// This file is the life of accounts and tunnels with the executable: login, create, list, info, connect, token, rotate, delete; several owners on one edge. product.md §1.2, §2.3.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Home, IS_BUILT, Running, tunl } from "../binary/tunl.ts";
import { DOMAIN, TestEdge } from "./rig.ts";

type Answer = Readonly<Record<string, unknown>>;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A machine with a home of its own, and what it types. */
class Machine implements Disposable {
  readonly #home = new Home();

  get home(): string {
    return this.#home.path;
  }

  async tries(
    ...words: string[]
  ): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return await tunl([...words, "--log-format", "pretty"], { home: this.home });
  }

  /** What stdout has of a command that must succeed. */
  async does(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.tries(...words);
    if (code !== 0) throw new Error(`tunl ${words.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  }

  async asks(...words: string[]): Promise<Answer> {
    return JSON.parse(await this.does(...words, "--json")) as Answer;
  }

  /** The exit code and the first line of a command that must fail. */
  async fails(...words: string[]): Promise<string> {
    const { code, stderr } = await this.tries(...words);
    return `${code} ${stderr.split("\n")[0]?.replace(/^✖ [a-z ]+? {2,}/, "")}`;
  }

  /** Files of its one edge. */
  files(): string[] {
    const edges = join(this.home, "edges");
    return readdirSync(edges)
      .flatMap((edge) => readdirSync(join(edges, edge)))
      .toSorted();
  }

  /** The key file of a tunnel. */
  credentials(id: string): Answer {
    const edges = join(this.home, "edges");
    const [edge = ""] = readdirSync(edges);
    return JSON.parse(readFileSync(join(edges, edge, `${id}.json`), "utf8")) as Answer;
  }

  [Symbol.dispose](): void {
    this.#home[Symbol.dispose]();
  }
}

function list(answer: Answer, name: string): Answer[] {
  return answer[name] as Answer[];
}

describe.skipIf(!IS_BUILT)("accounts", () => {
  let edge: TestEdge;
  beforeAll(async () => {
    edge = await TestEdge.start();
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  const login = async (machine: Machine, ...flags: string[]): Promise<string> => {
    const line = await edge.invite(["--account", ...flags]);
    await machine.does("login", line);
    return line;
  };

  test("login, create, list, info, connect, rotate, delete", async () => {
    using home = new Machine();
    const seen = edge.process.lineCount;
    const line = await login(home);
    // It hangs up with CLOSE: nothing was lost.
    const left = await edge.process.event("disconnected", { after: seen });
    expect(left["msg"]).toContain("The login is over");
    const said = edge.process.output.split("\n").slice(seen).join("\n");
    expect(said).not.toContain("link.lost");
    expect(home.files()).toEqual(["account.json", "edge.json"]);
    // The same line again means the same key.
    await home.does("login", line);

    const host = `life.${DOMAIN}`;
    const created = await home.asks("tunnel", "create", "life", "--host", host);
    expect(created).toMatchObject({ name: "life", hosts: [host] });
    const id = String(created["id"]);
    expect(id).toMatch(UUID);
    const path = String(created["credentials"]);
    expect([path.endsWith(`/${id}.json`), statSync(path).mode & 0o777]).toEqual([true, 0o600]);
    const before = home.credentials(id);
    // Again: the same tunnel, the same key, nothing new on the disk.
    expect((await home.asks("tunnel", "create", "life"))["id"]).toBe(id);
    const { stderr: again } = await home.tries("tunnel", "create", "life");
    expect(again).toContain(`exists       life ${id} already, its key is in ~/`);
    expect(again).not.toContain("created");
    expect(home.credentials(id)).toEqual(before);
    expect(home.files()).toEqual([`${id}.json`, "account.json", "edge.json"].toSorted());

    const { tunnels } = await home.asks("tunnel", "list");
    expect(tunnels).toMatchObject([{ id, name: "life", connectors: 0, keys: 1, hosts: 1 }]);

    await using connector = new Running(
      ["connect", "http_status:204", "--tunnel", "life", "--host", host, "--log-format", "json"],
      home,
    );
    await connector.event("connected");
    const info = await home.asks("tunnel", "info", "life");
    expect(list(info, "connectors")).toHaveLength(1);
    expect(list(info, "connectors")[0]).toMatchObject({ keyId: before["keyId"], links: 1 });
    expect(list(info, "hosts")).toMatchObject([{ host, state: "served" }]);
    const shown = await home.does("tunnel", "info", "life");
    for (const word of ["life", id, "this machine", host, "1 link"]) expect(shown).toContain(word);

    await home.does("tunnel", "rotate", "life");
    const after = home.credentials(id);
    expect([after["tunnel"], after["privateKey"] === before["privateKey"]]).toEqual([id, false]);
    const keys = list(await home.asks("tunnel", "info", id), "keys");
    expect(keys.map(({ keyId }) => keyId)).toEqual([before["keyId"], after["keyId"]]);
    // The old one ends by itself, and not at once: the connector that has it is still there.
    expect(Date.parse(String(keys[0]?.["expiresAt"]))).toBeGreaterThan(Date.now() + 300_000);
    expect(keys[1]?.["expiresAt"]).toBeUndefined();

    expect(await home.fails("tunnel", "delete", "life", "--yes")).toBe(
      '7 Tunnel "life" is in use: 1 connector is connected',
    );
    expect(await home.fails("tunnel", "delete", "life", "--force")).toStartWith(
      "2 tunl tunnel delete asks first",
    );
    await home.does("tunnel", "delete", "life", "--force", "--yes");
    expect((await connector.ended).code).toBe(4);
    expect(await home.asks("tunnel", "list")).toMatchObject({ tunnels: [] });
    expect(home.files()).toEqual(["account.json", "edge.json"]);
    expect(await home.fails("tunnel", "info", "life")).toBe('7 There is no tunnel "life" of yours');
  }, 30_000);

  test("several owners: nobody sees, changes or takes what is another one's", async () => {
    using alice = new Machine();
    using bob = new Machine();
    await login(alice);
    const shared = `shared.${DOMAIN}`;
    await login(bob, "--scope", `*.bob.${DOMAIN}`, "--scope", shared);
    const { id } = await alice.asks("tunnel", "create", "alice-app");
    expect(await bob.asks("tunnel", "list")).toMatchObject({ tunnels: [] });
    const foreign = (name: string): string => `7 There is no tunnel "${name}" of yours`;
    const attempts = [
      ["no-such", "tunnel", "info"],
      ["alice-app", "tunnel", "info"],
      [String(id), "tunnel", "token"],
      ["alice-app", "tunnel", "delete", "--yes", "--force"],
      ["alice-app", "tunnel", "rotate", "--key", "token"],
    ].map(async ([name = "", ...words]) =>
      expect([words, await bob.fails(...words, name)]).toEqual([words, foreign(name)]),
    );
    await Promise.all(attempts);
    // A name that is taken leaves nothing behind, and its owner's key as it was.
    const before = bob.files();
    expect(await bob.fails("tunnel", "create", "alice-app")).toBe(
      '7 A tunnel named "alice-app" exists already',
    );
    const outside = `app.${DOMAIN}`;
    expect(await bob.fails("tunnel", "create", "bob-app", "--host", outside)).toStartWith(
      `4 ${outside} is outside of what this key may claim`,
    );
    expect(bob.files()).toEqual(before);
    expect(await bob.asks("tunnel", "list")).toMatchObject({ tunnels: [] });
    await bob.does("tunnel", "create", "bob-app", "--host", shared, "--host", `app.bob.${DOMAIN}`);
    expect(await alice.fails("tunnel", "create", "alice-two", "--host", shared)).toBe(
      `7 ${shared} belongs to another tunnel`,
    );
    // Names: each sees its own, and gives back its own alone; then it is free.
    const { routes } = await bob.asks("route", "list");
    expect(routes).toMatchObject([
      { host: `app.bob.${DOMAIN}`, tunnel: "bob-app", connectors: 0 },
      { host: shared, tunnel: "bob-app", how: "claimed" },
    ]);
    expect(await bob.does("route", "list", "bob-app")).toMatch(
      new RegExp(`^HOST +TUNNEL .*\n.*\n${shared} +bob-app +claimed +0 `),
    );
    expect(await alice.fails("route", "delete", shared)).toStartWith("7 ");
    await bob.does("route", "delete", shared);
    await alice.does("tunnel", "create", "alice-two", "--host", shared);
    expect(list(await alice.asks("tunnel", "list"), "tunnels")).toMatchObject([
      { name: "alice-app", hosts: 0 },
      { name: "alice-two", hosts: 1 },
    ]);
  }, 30_000);

  test("keys are ended by name, all others at once, and by the tunnel's own key where it was joined", async () => {
    using home = new Machine();
    await login(home);
    const { id } = await home.asks("tunnel", "create", "keys");
    for (const label of ["nas", "pi"]) await home.does("tunnel", "token", "keys", "--label", label);
    const inForce = async (): Promise<unknown[]> =>
      list(await home.asks("tunnel", "info", "keys"), "keys")
        .filter(({ revokedAt }) => revokedAt === undefined)
        .map(({ keyId }) => keyId);
    const own = String(home.credentials(String(id))["keyId"]);
    expect((await inForce()).toSorted()).toEqual([own, "nas", "pi"].toSorted());
    await home.does("tunnel", "rotate", "keys", "--key", "nas");
    expect((await inForce()).toSorted()).toEqual([own, "pi"].toSorted());
    expect(await home.fails("tunnel", "rotate", "keys", "--key", "nobody")).toBe(
      '7 Tunnel "keys" has no key "nobody"',
    );
    expect(await home.fails("tunnel", "rotate", "keys", "--key", "pi", "--all")).toStartWith("2 ");
    await home.does("tunnel", "rotate", "keys", "--all", "--overlap", "0");
    expect(await inForce()).toEqual([home.credentials(String(id))["keyId"]]);

    // A tunnel that was joined belongs to no account: its key renews itself.
    using other = new Machine();
    const line = await edge.invite(["--name", "joined"]);
    const flags = ["--log-format", "json"];
    {
      await using connector = new Running(
        ["connect", "http_status:204", "--join", line, ...flags],
        other,
      );
      await connector.event("connected");
    }
    const [file = ""] = other.files().filter((name) => UUID.test(name.slice(0, 36)));
    const before = other.credentials(file.slice(0, 36));
    await other.does("tunnel", "rotate", "joined", "--overlap", "0");
    const after = other.credentials(file.slice(0, 36));
    expect(after["privateKey"]).not.toBe(before["privateKey"]);
    // The new key opens, and the old one is over.
    await other.does("tunnel", "rotate", "joined");
    expect(await other.fails("tunnel", "rotate", "joined", "--all")).toStartWith(
      `2 This machine has no account of`,
    );
  }, 30_000);
});
