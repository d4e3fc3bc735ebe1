// Sessions end with their key: revoked, its time over, its tunnel deleted, and between the look of the gate and the session. A-07.
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { Deadlines } from "../../src/deadlines.ts";
import { Registry, LiveSession } from "../../src/edge/route/index.ts";
import { Revocation } from "../../src/edge/revocation.ts";
import type { Store } from "../../src/edge/store/index.ts";
import { generateKey } from "../../src/identity/index.ts";
import { Session, SESSION_CODES } from "../../src/session/index.ts";
import { within } from "../within.ts";
import { Account } from "./store/account.ts";
import { type Clock, Directory, makeClock, makeLog, open } from "./store/fixture.ts";

/** A session that says when it is closed, and how. */
interface Watched {
  readonly live: LiveSession;
  readonly closed: Promise<{ readonly code: number; readonly message: string }>;
  readonly isClosed: () => boolean;
}

/** The state of an edge and its live sessions, without links. */
class Rig implements AsyncDisposable {
  readonly #directory = new Directory();
  readonly clock: Clock = makeClock();
  readonly registry = new Registry();
  readonly made: string[] = [];
  readonly records = makeLog();
  readonly deadlines = new Deadlines((error) => {
    throw error;
  });
  store!: Store;
  revocation!: Revocation;

  static async start(): Promise<Rig> {
    const rig = new Rig();
    rig.store = await open(rig.#directory.path, rig.clock);
    rig.revocation = new Revocation({
      ...{ snapshot: rig.store.snapshot, registry: rig.registry, deadlines: rig.deadlines },
      ...{ log: rig.records.log, now: () => rig.store.now() },
      onTunnelMade: (name) => rig.made.push(name),
    });
    rig.store.snapshot.events = rig.revocation;
    return rig;
  }

  /** A session of a key, as the edge attaches it. */
  attach(id: string, key: Uint8Array, kind: "tunnel" | "account" = "tunnel"): Watched {
    const closed = Promise.withResolvers<{ code: number; message: string }>();
    let isClosed = false;
    const session: Partial<Session> = {
      close: (code = 0, message = "") => {
        isClosed = true;
        this.registry.remove(live);
        this.revocation.detached(live);
        closed.resolve({ code, message });
      },
    };
    const live = new LiveSession(
      session as Session,
      { kind, id, name: "mine", keyId: "k", application: new Uint8Array() },
      { id: randomBytes(16), key, instance: randomBytes(16), label: "" },
      0,
    );
    this.registry.add(live);
    this.revocation.attached(live);
    return {
      live,
      // A deadline begins with whoever waits: most sessions here never end, and nobody waits for them.
      get closed() {
        return within(closed.promise, "the end of a session");
      },
      isClosed: () => isClosed,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    this.deadlines[Symbol.dispose]();
    this.#directory[Symbol.dispose]();
  }
}

const REVOKED = SESSION_CODES.REVOKED.code;

describe("revocation of live sessions", () => {
  test("ends those of the key, at once, and no others; when the change is done they are over", async () => {
    await using rig = await Rig.start();
    const you = await Account.login(rig.store);
    const { tunnel, key } = await you.create("mine");
    const nas = await you.addKey(tunnel.id, "nas");
    const of = [rig.attach(tunnel.id, key.publicKey), rig.attach(tunnel.id, key.publicKey)];
    const other = rig.attach(tunnel.id, nas.publicKey);
    await rig.store.tunnels.revokeKeys(you.key.publicKey, [key]);
    expect(of.map(({ isClosed }) => isClosed())).toEqual([true, true]);
    expect(await of[0]?.closed).toEqual({ code: REVOKED, message: "The key was revoked" });
    expect(other.isClosed()).toBe(false);
    expect(rig.records.records.map(({ event, fields }) => [event, fields["keyId"]])).toEqual([
      ["revoked", "k"],
      ["revoked", "k"],
    ]);
    // The tunnel itself.
    await rig.store.tunnels.shut(tunnel.id);
    expect(other.isClosed()).toBe(true);
  });

  test("ends those of a deleted tunnel, and those of an account, whose tunnels go on", async () => {
    await using rig = await Rig.start();
    const you = await Account.login(rig.store);
    const [one, two] = [await you.create("one"), await you.create("two")];
    expect(rig.made).toEqual(["one", "two"]);
    const [first, second] = [one, two].map(({ tunnel, key }) =>
      rig.attach(tunnel.id, key.publicKey),
    ) as [Watched, Watched];
    const account = rig.attach(you.id, you.key.publicKey, "account");
    await rig.store.tunnels.remove(you.key.publicKey, one.tunnel.id);
    expect([first.isClosed(), second.isClosed(), account.isClosed()]).toEqual([true, false, false]);
    await rig.store.revokeKey({ kind: "account", id: you.id }, "laptop");
    expect([second.isClosed(), account.isClosed()]).toEqual([false, true]);
  });

  test("ends a session that was attached behind the revocation of its key", async () => {
    await using rig = await Rig.start();
    const you = await Account.login(rig.store);
    const { tunnel, key } = await you.create("mine");
    await rig.store.tunnels.revokeKeys(undefined, [key]);
    expect(await rig.attach(tunnel.id, key.publicKey).closed).toMatchObject({ code: REVOKED });
    // One that nobody ever knew is no better.
    expect(rig.attach(tunnel.id, generateKey().publicKey).isClosed()).toBe(true);
  });

  test("ends those of a token when its time is over, by the wall's clock, and looks at nothing else meanwhile", async () => {
    await using rig = await Rig.start();
    const you = await Account.login(rig.store);
    const { tunnel, key } = await you.create("mine");
    const token = await you.addKey(tunnel.id, "nas", 60_000);
    const lasting = rig.attach(tunnel.id, key.publicKey);
    expect(rig.revocation.timed).toBe(0);
    expect(rig.deadlines.pending).toBe(0);
    const short = rig.attach(tunnel.id, token.publicKey);
    expect(rig.revocation.timed).toBe(1);
    rig.clock.now += 59_999;
    await Bun.sleep(300);
    expect(short.isClosed()).toBe(false);
    rig.clock.now += 1;
    const startedAt = performance.now();
    expect(await short.closed).toEqual({ code: REVOKED, message: "The key has ended" });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect([lasting.isClosed(), rig.revocation.timed]).toEqual([false, 0]);
  });

  test("ends those of a rotated key after its overlap, at once without one, and never those of the new one", async () => {
    await using rig = await Rig.start();
    const you = await Account.login(rig.store);
    const { tunnel, key } = await you.create("mine");
    const old = rig.attach(tunnel.id, key.publicKey);
    const by = you.key.publicKey;
    const { key: next } = await rig.store.tunnels.rotateKey(
      by,
      key,
      generateKey().publicKey,
      60_000,
    );
    const fresh = rig.attach(tunnel.id, next.publicKey);
    expect([old.isClosed(), rig.revocation.timed]).toEqual([false, 1]);
    rig.clock.now += 60_000;
    expect(await old.closed).toMatchObject({ code: REVOKED });
    await rig.store.tunnels.rotateKey(by, next, generateKey().publicKey, 0);
    expect(fresh.isClosed()).toBe(true);
  });

  test("forgets a session of a token that went by itself", async () => {
    await using rig = await Rig.start();
    const you = await Account.login(rig.store);
    const { tunnel } = await you.create("mine");
    const { publicKey } = await you.addKey(tunnel.id, "nas", 60_000);
    const { live } = rig.attach(tunnel.id, publicKey);
    rig.registry.remove(live);
    rig.revocation.detached(live);
    expect(rig.revocation.timed).toBe(0);
  });
});
