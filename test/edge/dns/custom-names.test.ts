import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { TunlError } from "../../../src/errors.ts";
import { Deadlines } from "../../../src/deadlines.ts";
import { CustomNames, SUSPEND_AFTER_MS } from "../../../src/edge/dns/custom-names.ts";
import { Lookup } from "../../../src/edge/dns/lookup.ts";
import { openStore, type Store } from "../../../src/edge/store/index.ts";
import { type Clock, Directory, makeClock, makeLog, optionsFor } from "../store/fixture.ts";
import { HAS_NAMED, Named, PATIENT_MS } from "./named.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ACCOUNT = Buffer.alloc(32, 1);

/** A store with one tunnel of an account that may have names of customer.net, and what looks after them. */
class Rig implements AsyncDisposable {
  readonly clock: Clock = makeClock();
  readonly directory = new Directory();
  readonly log = makeLog();
  readonly deadlines = new Deadlines((error) => {
    throw error;
  });
  readonly granted: string[] = [];
  /** A server on a busy machine may take its time; a test whose server is silent waits less. */
  readonly udpWaitsMs = [PATIENT_MS];
  store!: Store;
  names!: CustomNames;
  tunnel!: string;

  static async start(named: Named): Promise<Rig> {
    const rig = new Rig();
    rig.store = await openStore({ ...optionsFor(rig.directory.path, rig.clock), log: rig.log.log });
    const { store } = rig;
    const makes = { kind: "account", name: undefined } as const;
    const order = {
      makes,
      scope: ["*.customer.net", "customer.net", "*.example.com"],
      ttlMs: DAY_MS,
      uses: 1,
    };
    const { code } = await store.createCode(order);
    await store.enrol({ publicKey: ACCOUNT, code, kind: "account", name: "me", label: "laptop" });
    const first = { name: "home", publicKey: Buffer.alloc(32, 2), label: "home", hosts: [] };
    rig.tunnel = (await store.tunnels.create(ACCOUNT, first)).tunnel.id;
    rig.names = new CustomNames({
      client: new Lookup({
        servers: { resolvers: [{ host: "127.0.0.1", port: named.port }], areWholeDns: true },
        udpWaitsMs: rig.udpWaitsMs,
      }),
      ...{ store, domains: ["example.com"], deadlines: rig.deadlines, log: rig.log.log },
    });
    rig.names.provable(store).watchHosts({
      granted: (host) => rig.granted.push(host),
      released: () => undefined,
    });
    return rig;
  }

  /** The lines about proofs. */
  get said(): string[] {
    return this.log.records
      .filter(({ event, level }) => event === "proof" && level !== "debug")
      .map(({ level, message }) => `${level}: ${message}`);
  }

  async passes(ms: number): Promise<void> {
    this.clock.now += ms;
    await this.names.look();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.names[Symbol.dispose]();
    this.deadlines[Symbol.dispose]();
    await this.store[Symbol.asyncDispose]();
    this.directory[Symbol.dispose]();
  }
}

describe.skipIf(!HAS_NAMED)("custom names, against bind9", () => {
  let named: Named;

  beforeAll(async () => {
    named = await Named.start({ zones: { "customer.net": "", "example.com": "* A 192.0.2.1\n" } });
  });
  afterAll(async () => {
    await named[Symbol.asyncDispose]();
  });

  test("are served once their alias to the tunnel is seen, and a certificate is wanted only then", async () => {
    await using rig = await Rig.start(named);
    const { names, store, tunnel } = rig;
    await store.routes.claim(ACCOUNT, tunnel, "shop.customer.net");
    await store.routes.claim(ACCOUNT, tunnel, "app.example.com");
    expect(names.stateOf("app.example.com")).toBe("own");
    expect(names.stateOf("shop.customer.net")).toBe("unproven");
    expect(names.isServed("shop.customer.net")).toBe(false);
    expect(rig.granted).toEqual(["app.example.com"]);
    const states: string[] = [];
    names.watch("shop.customer.net", (state) => states.push(state));
    await names.look();
    // An alias to another tunnel, or an address of the edge, is none of this one's.
    const other = "00000000-0000-4000-8000-000000000000";
    await named.update(`add shop.customer.net 60 CNAME ${other}.example.com.`);
    await rig.passes(15_000);
    expect(states).toEqual([]);
    await named.update(`delete shop.customer.net`);
    await named.update(`add shop.customer.net 60 CNAME ${tunnel}.example.com.`);
    await rig.passes(15_000);
    expect(states).toEqual(["proven"]);
    expect(names.isServed("shop.customer.net")).toBe(true);
    expect(rig.granted).toEqual(["app.example.com", "shop.customer.net"]);
    expect(rig.said).toEqual([expect.stringContaining("shop.customer.net is proven, seen at")]);
  });

  test("are proven by a text where no alias can stand; an address alone proves nothing", async () => {
    await using rig = await Rig.start(named);
    const { names, store, tunnel } = rig;
    await store.routes.claim(ACCOUNT, tunnel, "customer.net");
    await named.update("add customer.net 60 A 192.0.2.1");
    expect(await names.check("customer.net")).toMatchObject({ state: "missing" });
    await named.update(`add _tunl.customer.net 60 TXT "${tunnel}"`);
    expect(await names.check("customer.net")).toMatchObject({ state: "proven", by: "txt" });
    expect(names.stateOf("customer.net")).toBe("proven");
    await named.update("delete customer.net A", "delete _tunl.customer.net TXT");
  });

  test("below a wildcard of the tunnel are proven with it", async () => {
    await using rig = await Rig.start(named);
    const { names, store, tunnel } = rig;
    await store.routes.claim(ACCOUNT, tunnel, "*.w.customer.net");
    await store.routes.claim(ACCOUNT, tunnel, "a.w.customer.net");
    const states: string[] = [];
    names.watch("b.w.customer.net", (state) => states.push(state));
    await named.update(`add *.w.customer.net 60 CNAME ${tunnel}.example.com.`);
    await names.check("*.w.customer.net");
    expect(["a.w.customer.net", "b.w.customer.net"].map((name) => names.stateOf(name))).toEqual([
      ...(["proven", "proven"] as const),
    ]);
    expect(states).toEqual(["proven"]);
  });

  test("without proof for seven days are suspended, told of, and back with it", async () => {
    await using rig = await Rig.start(named);
    const { names, store, tunnel } = rig;
    const host = "lost.customer.net";
    await named.update(`add ${host} 60 CNAME ${tunnel}.example.com.`);
    await store.routes.claim(ACCOUNT, tunnel, host);
    await names.look();
    await named.update(`delete ${host}`);
    // Looked at daily: half a day later nothing is known yet.
    await rig.passes(DAY_MS / 2);
    expect(names.failedSince(host)).toBeUndefined();
    await rig.passes(DAY_MS / 2);
    const since = rig.clock.now;
    expect(names.failedSince(host)).toBe(since);
    expect(names.isServed(host)).toBe(true);
    await rig.passes(SUSPEND_AFTER_MS - HOUR_MS);
    expect(names.stateOf(host)).toBe("proven");
    await rig.passes(HOUR_MS);
    expect(names.stateOf(host)).toBe("suspended");
    expect(names.isServed(host)).toBe(false);
    expect(store.snapshot.host(host)?.proof).toMatchObject({ failedSince: since });
    await named.update(`add ${host} 60 CNAME ${tunnel}.example.com.`);
    await rig.passes(HOUR_MS);
    expect(names.stateOf(host)).toBe("proven");
    expect(rig.said.map((line) => line.replace(/, seen.*/, ""))).toEqual([
      `info: ${host} is proven`,
      `warn: ${host} lost its proof and is suspended in a week`,
      `warn: ${host} is suspended: its proof is gone since a week`,
      `info: ${host} is proven`,
    ]);
  });

  test("are looked at daily again after the clock was years ahead", async () => {
    await using rig = await Rig.start(named);
    const { names, store, tunnel } = rig;
    const host = "late.customer.net";
    await named.update(`add ${host} 60 CNAME ${tunnel}.example.com.`);
    await store.routes.claim(ACCOUNT, tunnel, host);
    await rig.passes(3_650 * DAY_MS);
    expect(names.stateOf(host)).toBe("proven");
    await named.update(`delete ${host}`);
    await rig.passes(-3_650 * DAY_MS);
    expect(names.failedSince(host)).toBe(rig.clock.now);
  });

  test("are looked at again after a while where the state cannot be written, told of once", async () => {
    await using rig = await Rig.start(named);
    const { names, store, tunnel } = rig;
    await store.routes.claim(ACCOUNT, tunnel, "full.customer.net");
    await named.update(`add full.customer.net 60 CNAME ${tunnel}.example.com.`);
    const { routes } = store;
    const setProof = routes.setProof.bind(routes);
    let tries = 0;
    routes.setProof = async () => {
      tries += 1;
      throw new TunlError("STORE_FULL", "Change was not saved: no space left for the state");
    };
    await rig.passes(0);
    await rig.passes(5_000);
    await rig.passes(10_000);
    expect(tries).toBe(2);
    expect(rig.said).toEqual([expect.stringContaining("warn: Proofs were not looked at:")]);
    routes.setProof = setProof;
    await rig.passes(15_000);
    expect(names.stateOf("full.customer.net")).toBe("proven");
  });

  test("lose nothing while the name servers are silent, refuse or are gone (R-20)", async () => {
    await using own = await Named.start({ zones: { "customer.net": "" } });
    await using rig = await Rig.start(own);
    const { names, store, tunnel } = rig;
    const host = "calm.customer.net";
    await own.update(`add ${host} 60 CNAME ${tunnel}.example.com.`);
    await store.routes.claim(ACCOUNT, tunnel, host);
    await names.look();
    await own.freeze();
    rig.udpWaitsMs[0] = 150;
    await rig.passes(2 * DAY_MS);
    expect(await names.check(host)).toMatchObject({ state: "unknown" });
    rig.udpWaitsMs[0] = PATIENT_MS;
    own.thaw();
    await own.stop();
    for (let day = 0; day < 30; day += 10) await rig.passes(10 * DAY_MS);
    expect(names.stateOf(host)).toBe("proven");
    expect(names.failedSince(host)).toBeUndefined();
    await own.restart();
    await rig.passes(HOUR_MS);
    expect(names.stateOf(host)).toBe("proven");
    expect(rig.said).toHaveLength(1);
  });
});
