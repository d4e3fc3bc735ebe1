// Names over time: those that the configuration grants, those that were given for good, those that nobody uses any more.
import { describe, expect, test } from "bun:test";
import { NameKeeper } from "../../../src/edge/name-keeper.ts";
import { type FixedGrant, Registry } from "../../../src/edge/route/index.ts";
import { openStore, type Store } from "../../../src/edge/store/index.ts";
import { Deadlines } from "../../../src/deadlines.ts";
import { generateKey } from "../../../src/identity/index.ts";
import type { LogRecord } from "../../../src/log.ts";
import { Account } from "./account.ts";
import {
  type Clock,
  Directory,
  makeClock,
  makeLog,
  optionsFor,
  refusalOf,
  TUNNEL_CODE,
} from "./fixture.ts";

const DAY_MS = 86_400_000;

interface Setup {
  readonly fixed?: readonly FixedGrant[];
  readonly claim?: "invited" | "all" | "none";
  readonly style?: "three-words" | "hex" | undefined;
  readonly clock?: Clock;
}

function openWith(directory: string, setup: Setup = {}): Promise<Store> {
  const { fixed = [], claim = "invited", clock = makeClock() } = setup;
  const options = optionsFor(directory, clock);
  const style = "style" in setup ? setup.style : options.style;
  return openStore({ ...options, style, rules: { ...options.rules, fixed, claim } });
}

function keeperOf(
  store: Store,
  fixed: readonly FixedGrant[],
): NameKeeper & { readonly records: LogRecord[] } {
  const { log, records } = makeLog();
  const keeper = new NameKeeper({
    ...{ store, registry: new Registry(), log, keepMs: 30 * DAY_MS, fixed },
    deadlines: new Deadlines((error) => {
      throw error;
    }),
  });
  return Object.assign(keeper, { records });
}

const namesOf = (store: Store): string[] =>
  [...store.snapshot.hosts].map(({ host }) => host).sort();

describe("fixed grants", () => {
  const fixed = [
    { tunnel: "mine", hosts: ["www.example.com", "*.dev.example.com", "example.org"] },
  ];

  test("are the tunnel's from the start, reserved and bare ones too, and go when the configuration does", async () => {
    using directory = new Directory();
    {
      await using store = await openWith(directory.path);
      await (await Account.login(store)).create("mine", { hosts: ["own.example.com"] });
    }
    {
      await using store = await openWith(directory.path, { fixed });
      using keeper = keeperOf(store, fixed);
      await keeper.start();
      const id = store.snapshot.findTunnel("mine")?.id as string;
      for (const host of ["www.example.com", "a.b.dev.example.com", "example.org"])
        expect(store.snapshot.ownerOf(host)).toBe(id);
      expect(keeper.records).toEqual([]);
      // Written once: the next start changes nothing.
      const before = (await store.listAudit(100)).length;
      await keeper.start();
      expect((await store.listAudit(100)).length).toBe(before);
    }
    await using store = await openWith(directory.path);
    using keeper = keeperOf(store, []);
    await keeper.start();
    expect(namesOf(store)).toEqual(["own.example.com"]);
  });

  test("wait for their tunnel: nobody else claims them, and it has them as soon as it is made", async () => {
    using directory = new Directory();
    await using store = await openWith(directory.path, { fixed });
    using keeper = keeperOf(store, fixed);
    store.snapshot.events = {
      key: () => undefined,
      tunnelMade: ({ name }) => keeper.tunnelMade(name),
    };
    await keeper.start();
    const you = await Account.login(store);
    const other = { hosts: ["x.dev.example.com"] };
    expect(await refusalOf(you.create("other", other))).toMatchObject({
      code: "HOSTNAME_NOT_GRANTED",
    });
    const all = await Account.login(store, ["*.example.com"], "all");
    expect(await refusalOf(all.create("other", other))).toMatchObject({ code: "HOSTNAME_TAKEN" });
    const { tunnel } = await you.create("mine", { hosts: ["x.dev.example.com"] });
    // What the store does in order comes behind the grants.
    await store.listAudit(1);
    await store.listAudit(1);
    expect(store.snapshot.ownerOf("www.example.com")).toBe(tunnel.id);
    expect(store.snapshot.host("*.dev.example.com")).toMatchObject({
      how: "granted",
      isFixed: true,
    });
  });

  test("are not got by the name of a tunnel with a line for other names", async () => {
    using directory = new Directory();
    await using store = await openWith(directory.path, { fixed });
    const bob = await Account.login(store, ["bob.example.com"], "bob");
    expect(await refusalOf(bob.create("mine"))).toMatchObject({ code: "NAME_TAKEN" });
    const join = async (scope: readonly string[], name?: string): Promise<string> => {
      const { code } = await store.createCode({
        ...TUNNEL_CODE,
        ...{ scope, makes: { kind: "tunnel", name } },
      });
      const { publicKey } = generateKey();
      const wish = { kind: "tunnel", name: "Mine", label: "laptop" } as const;
      const outcome = await store.enrol({ publicKey, code, ...wish });
      return outcome.state === "enrolled" ? outcome.name : outcome.reason;
    };
    expect(await join(["bob.example.com"])).toBe("mine-2");
    await store.fixHosts();
    expect(namesOf(store)).toEqual([]);
    // Who gave the line its name has decided.
    expect(await join(["bob.example.com"], "mine")).toBe("mine");
    await store.fixHosts();
    expect(namesOf(store)).toEqual(["*.dev.example.com", "example.org", "www.example.com"]);
  });

  test("come with the name of a tunnel where the line of an account allows all of them", async () => {
    using directory = new Directory();
    const own = [{ tunnel: "bobs", hosts: ["bob.example.com", "*.b.example.com"] }];
    await using store = await openWith(directory.path, { fixed: own });
    const bob = await Account.login(store, ["bob.example.com", "*.b.example.com"], "bob");
    await bob.create("bobs");
    await store.fixHosts();
    expect(namesOf(store)).toEqual(["*.b.example.com", "bob.example.com"]);
  });

  test("take nothing from a tunnel that has the name: that is told, and stays", async () => {
    using directory = new Directory();
    const grants = [
      { tunnel: "mine", hosts: ["app.example.com", "*.x.example.com", "b.example.com"] },
    ];
    await using store = await openWith(directory.path, { fixed: grants, claim: "all" });
    const you = await Account.login(store, ["*.example.com"]);
    await store.grantHost((await you.create("hers")).tunnel.id, "app.example.com");
    await store.grantHost("hers", "a.x.example.com");
    const { tunnel } = await you.create("mine");
    using keeper = keeperOf(store, grants);
    await keeper.start();
    expect(store.snapshot.ownerOf("b.example.com")).toBe(tunnel.id);
    expect(store.snapshot.ownerOf("app.example.com")).not.toBe(tunnel.id);
    expect(keeper.records.map(({ level, message }) => `${level} ${message}`)).toEqual([
      'warn grants names app.example.com, which belongs to "hers" or overlaps with a name of it',
      'warn grants names *.x.example.com, which belongs to "another tunnel" or overlaps with a name of it',
    ]);
  });

  test("are made of a name that the tunnel claimed before", async () => {
    using directory = new Directory();
    const grants = [{ tunnel: "mine", hosts: ["app.example.com"] }];
    {
      await using store = await openWith(directory.path);
      await (await Account.login(store)).create("mine", { hosts: ["app.example.com"] });
    }
    await using store = await openWith(directory.path, { fixed: grants });
    await store.fixHosts();
    expect(store.snapshot.host("app.example.com")).toMatchObject({ how: "granted", isFixed: true });
  });
});

describe("names that nobody uses", () => {
  test("go after names.keep, except granted ones and those in use now", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await using store = await openWith(directory.path, { clock });
    const you = await Account.login(store);
    const { tunnel, key } = await you.create("mine", {
      hosts: ["old.example.com", "live.example.com"],
    });
    await store.grantHost("mine", "www.example.com");
    // Claimed first, given for good later.
    await store.claimHost({ tunnel: tunnel.id, keyId: key.keyId }, "given.example.com");
    expect((await store.grantHost("mine", "given.example.com")).how).toBe("granted");
    const { host: random } = await store.randomHost(
      { tunnel: tunnel.id, keyId: key.keyId },
      "8000",
    );
    clock.now += 29 * DAY_MS;
    await store.claimHost({ tunnel: tunnel.id, keyId: key.keyId }, "new.example.com");
    expect(await store.releaseUnused(30 * DAY_MS, [])).toEqual([]);
    clock.now += 2 * DAY_MS;
    const freed = await store.releaseUnused(30 * DAY_MS, ["live.example.com"]);
    expect([...freed].sort()).toEqual(["old.example.com", random].sort());
    const left = ["given.example.com", "live.example.com", "new.example.com", "www.example.com"];
    expect(namesOf(store)).toEqual(left);
    // Free means free, for the same key too.
    expect((await store.randomHost({ tunnel: tunnel.id, keyId: key.keyId }, "8000")).host).not.toBe(
      "",
    );
    expect(
      (await (await Account.login(store, [], "she")).create("hers", { hosts: ["old.example.com"] }))
        .hosts,
    ).toHaveLength(1);
  });

  test("are looked for, and told of", async () => {
    using directory = new Directory();
    const clock = makeClock();
    await using store = await openWith(directory.path, { clock });
    await (await Account.login(store)).create("mine", { hosts: ["old.example.com"] });
    using keeper = keeperOf(store, []);
    await keeper.sweep();
    expect(keeper.records).toEqual([]);
    clock.now += 31 * DAY_MS;
    await keeper.sweep();
    expect(namesOf(store)).toEqual([]);
    expect(keeper.records.map(({ event, message }) => `${event}: ${message}`)).toEqual([
      "domain: Nobody used old.example.com for so long that others may have it now",
    ]);
  });
});

describe("names.style, names.random and names.claim", () => {
  const drawn = async (setup: Setup): Promise<unknown> => {
    using directory = new Directory();
    await using store = await openWith(directory.path, setup);
    const { tunnel, key } = await (await Account.login(store)).create("mine");
    return await store.randomHost({ tunnel: tunnel.id, keyId: key.keyId }, "8000").then(
      ({ host }) => host,
      (error: unknown) => error,
    );
  };

  test("decide how a name looks, or that there is none", async () => {
    expect(await drawn({ style: "three-words" })).toMatch(/^[a-z]+-[a-z]+-[a-z]+\.example\.com$/);
    expect(await drawn({ style: "hex" })).toMatch(/^[0-9a-f]{10}\.example\.com$/);
    expect(await drawn({ style: undefined })).toMatchObject({
      code: "HOSTNAME_NOT_GRANTED",
      message: "This edge hands out no random names",
    });
  });

  test("a wildcard that waits for its tunnel leaves no random names to others", async () => {
    const fixed = [{ tunnel: "later", hosts: ["*.example.com"] }];
    expect(await drawn({ fixed })).toMatchObject({ code: "HOSTNAME_TAKEN" });
  });

  test("claim none leaves grants only", async () => {
    using directory = new Directory();
    await using store = await openWith(directory.path, { claim: "none" });
    const you = await Account.login(store);
    expect(await refusalOf(you.create("mine", { hosts: ["app.example.com"] }))).toMatchObject({
      code: "HOSTNAME_NOT_GRANTED",
    });
    const { tunnel, key } = await you.create("mine");
    await store.grantHost("mine", "app.example.com");
    const owner = { tunnel: tunnel.id, keyId: key.keyId };
    expect(await store.claimHost(owner, "app.example.com")).toMatchObject({ how: "granted" });
  });
});
