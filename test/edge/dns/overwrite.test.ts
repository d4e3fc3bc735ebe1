import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Cloudflare } from "../../../src/edge/dns/cloudflare.ts";
import type { DnsProvider, DnsRecord, Replacement } from "../../../src/edge/dns/provider.ts";
import { Rfc2136 } from "../../../src/edge/dns/rfc2136.ts";
import { FakeCloudflare, type StoredRecord } from "./fake-cloudflare.ts";
import { LosingExchanges } from "./losing.ts";
import { HAS_NAMED, KEYS, Named } from "./named.ts";
import { DnsRig, EDGE_ADDRESS, providerAt } from "./rig.ts";

const FOREIGN = "customer.net";
const SCOPE = [`*.${FOREIGN}`, "*.example.com"];
const OLD = ["127.0.0.66", "127.0.0.67"];

/** A provider, and how it is made to fail. */
interface Way extends AsyncDisposable {
  readonly provider: DnsProvider;
  readonly loseAnswer: () => void;
}

const STRICT = "strict.net";

/** As a provider, but the removal of an address waits until it is let go. */
class Slow implements DnsProvider {
  readonly name = "rfc2136";
  asked = Promise.withResolvers<void>();
  readonly removing = Promise.withResolvers<void>();
  readonly go = Promise.withResolvers<void>();
  readonly #real: DnsProvider;

  constructor(real: DnsProvider) {
    this.#real = real;
  }

  async zoneOf(name: string): Promise<string | undefined> {
    const zone = await this.#real.zoneOf(name);
    this.asked.resolve();
    return zone;
  }

  find(name: string): Promise<readonly DnsRecord[]> {
    return this.#real.find(name);
  }

  add(record: DnsRecord): Promise<void> {
    return this.#real.add(record);
  }

  async remove(record: DnsRecord): Promise<void> {
    if (record.type === "A") {
      this.removing.resolve();
      await this.go.promise;
    }
    await this.#real.remove(record);
  }

  replace(change: Replacement): Promise<void> {
    return this.#real.replace(change);
  }
}

describe.skipIf(!HAS_NAMED)("route.dns with overwrite, against bind9", () => {
  let named: Named;

  beforeAll(async () => {
    const hosts = ["one", "two"].map((way) => OLD.map((old) => `${way} A ${old}\n`).join(""));
    const zones = { "example.com": `elsewhere A ${OLD[0]}\n`, [FOREIGN]: hosts.join("") };
    named = await Named.start({ zones });
  });
  afterAll(async () => {
    await named[Symbol.asyncDispose]();
  });

  async function byUpdates(): Promise<Way> {
    const exchanges = new LosingExchanges();
    const { algorithm, secret } = KEYS["tunl-256"];
    const key = { name: "tunl-256", algorithm, secret: Buffer.from(secret, "base64") };
    const server = { host: "127.0.0.1", port: named.port };
    return {
      provider: new Rfc2136({ server, key, ttl: 60, exchanges }),
      // Sent three times, and heard of never.
      loseAnswer: () => void (exchanges.losesAnswers = 3),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  /** Its records are brought to the name server, with what stands there at first. */
  async function byCloudflare(): Promise<Way> {
    const api = new FakeCloudflare([FOREIGN]);
    const provider = new Cloudflare({ token: api.token, ttl: 300, api: api.url });
    for (const value of OLD) await provider.add({ name: `two.${FOREIGN}`, type: "A", value });
    api.onChange = (change, { name, type, content }) => {
      const value = type === "CNAME" ? `${content}.` : content;
      return named.update(`${change} ${name} ${change === "add" ? "60 " : ""}${type} ${value}`);
    };
    return {
      provider,
      loseAnswer: () => void (api.losesAnswers = 1),
      [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
    };
  }

  /** What the edge remembers as its own, kept on disk: name and type, and whose it is. */
  async function memory(rig: DnsRig): Promise<readonly string[]> {
    const records = await rig.desk.store.routes.records();
    return records.map(({ name, type, value }) => `${name} ${type} ${value}`).toSorted();
  }

  async function newTunnel(rig: DnsRig, name: string, seed: number): Promise<string> {
    const key = Buffer.alloc(32, seed).toString("base64url");
    const made = await rig.account.call("tunnel.create", { name, key, label: "home" });
    return (made.body["tunnel"] as { id: string }).id;
  }

  test.each([
    ["rfc2136", "one", byUpdates],
    ["cloudflare", "two", byCloudflare],
  ])(
    "what is the edge's is remembered right after success, after a lost answer and its repeat: %s",
    async (_, label, start) => {
      await using way = await start();
      const { provider } = way;
      await using rig = await DnsRig.start({ servers: [named], provider, scope: SCOPE });
      const host = `${label}.${FOREIGN}`;
      const alias = `${host} CNAME ${rig.tunnel}.example.com`;
      const addresses = [`_tunl.${host} TXT ${rig.tunnel}`, `${host} A ${EDGE_ADDRESS}`];
      expect((await rig.route(host)).code).toBe("RECORD_IN_THE_WAY");
      expect(await memory(rig)).toEqual([]);
      // Nobody hears that the addresses of others gave way to an alias: it may be there, so it is the edge's.
      way.loseAnswer();
      expect((await rig.route(host, { overwrite: true })).code).toBe("DNS_FAILED");
      expect(await named.dig(host, "CNAME")).toEqual([`${rig.tunnel}.example.com.`]);
      expect(await memory(rig)).toEqual([alias]);
      expect((await rig.route(host)).code).toBe("");
      expect(await memory(rig)).toEqual([alias]);
      // The alias gives way to an address and a text: either may be there, until the repeat finds out.
      way.loseAnswer();
      const byText = { overwrite: true, proof: "txt" };
      expect((await rig.route(host, byText)).code).toBe("DNS_FAILED");
      expect(await memory(rig)).toEqual([...addresses, alias].toSorted());
      expect((await rig.route(host, byText)).code).toBe("");
      expect(await memory(rig)).toEqual(addresses);
      expect(await provider.find(host)).toEqual([{ name: host, type: "A", value: EDGE_ADDRESS }]);
      await rig.account.call("route.delete", { host });
      expect(await memory(rig)).toEqual([]);
      expect(await provider.find(host)).toEqual([]);
      // And where the answer arrives: what was replaced is the edge's no more.
      expect((await rig.route(host)).code).toBe("");
      expect((await rig.route(host, byText)).code).toBe("");
      expect(await memory(rig)).toEqual(addresses);
      await rig.account.call("route.delete", { host });
    },
  );

  test("what a name server refuses leaves the record and its memory as they were", async () => {
    await using strict = await Named.start({
      zones: { [STRICT]: `app A ${OLD[0]}\n` },
      policy: "update-policy { grant tunl-256 zonesub A AAAA CNAME; };",
    });
    const provider = providerAt(strict);
    const scope = [`*.${STRICT}`];
    await using rig = await DnsRig.start({ servers: [named, strict], provider, scope });
    const host = `app.${STRICT}`;
    const byText = { overwrite: true, proof: "txt" };
    const refused = await rig.route(host, byText);
    expect(refused).toMatchObject({
      ...{
        code: "DNS_REFUSED",
        body: { text: `The name server refuses updates of ${STRICT} by this key` },
      },
    });
    expect(await strict.dig(host, "A")).toEqual([OLD[0] as string]);
    expect(await memory(rig)).toEqual([]);
    expect((await rig.route(host, { overwrite: true })).code).toBe("");
    const alias = `${rig.tunnel}.example.com`;
    // One of its own, which stays its own.
    expect((await rig.route(host, byText)).code).toBe("DNS_REFUSED");
    expect(await strict.dig(host, "CNAME")).toEqual([`${alias}.`]);
    expect(await memory(rig)).toEqual([`${host} CNAME ${alias}`]);
  });

  test("what Cloudflare refuses in the middle leaves the record and its memory as they were", async () => {
    await using api = new FakeCloudflare([STRICT]);
    const provider = new Cloudflare({ token: api.token, ttl: 300, api: api.url });
    await using strict = await Named.start({ zones: { [STRICT]: "app CNAME other\n" } });
    const host = `app.${STRICT}`;
    await provider.add({ name: host, type: "CNAME", value: `other.${STRICT}` });
    const scope = [`*.${STRICT}`];
    await using rig = await DnsRig.start({ servers: [named, strict], provider, scope });
    const before = api.records.get(STRICT);
    const byText = { overwrite: true, proof: "txt" };
    api.quota = 1;
    const refused = await rig.route(host, byText);
    expect(refused.code).toBe("DNS_REFUSED");
    expect(refused.body["text"]).toContain("(81045)");
    expect(api.records.get(STRICT)).toEqual(before as StoredRecord[]);
    expect(await memory(rig)).toEqual([]);
    api.quota = Infinity;
    api.hasBatch = false;
    expect((await rig.route(host, byText)).body["text"]).toContain("dns_records/batch");
    expect(api.records.get(STRICT)).toEqual(before as StoredRecord[]);
    expect(await memory(rig)).toEqual([]);
  });

  test("records that a deleted tunnel left are those of the next one that makes the same, and not removed", async () => {
    const provider = providerAt(named);
    await using rig = await DnsRig.start({ servers: [named], provider, scope: SCOPE });
    const host = "elsewhere.example.com";
    expect((await rig.route(host, { overwrite: true })).code).toBe("");
    await rig.account.call("tunnel.delete", { tunnel: "my-tunnel", force: true });
    const tunnel = await newTunnel(rig, "next", 10);
    const answer = await rig.route(host, { tunnel: "next" });
    expect(answer.events.map(({ state }) => state)).toContain("covered");
    await rig.dns.records.sweep();
    expect(await named.dig(host, "A")).toEqual([EDGE_ADDRESS]);
    expect(rig.dns.records.of(host).map((record) => record.tunnel)).toEqual([tunnel]);
    await rig.account.call("route.delete", { host });
    expect(await named.dig(host, "A")).toEqual([]);
  });

  test("a record that is just being removed is made again for the tunnel that wants it now", async () => {
    const provider = new Slow(providerAt(named));
    await using rig = await DnsRig.start({ servers: [named], provider, scope: SCOPE });
    const host = `three.${FOREIGN}`;
    const byText = { proof: "txt" };
    expect((await rig.route(host, byText)).code).toBe("");
    await rig.account.call("tunnel.delete", { tunnel: "my-tunnel", force: true });
    const tunnel = await newTunnel(rig, "next", 10);
    const sweep = rig.dns.records.sweep();
    await provider.removing.promise;
    provider.asked = Promise.withResolvers();
    // The address waits to be removed; the new tunnel wants the same one.
    const route = rig.route(host, { tunnel: "next", ...byText });
    await provider.asked.promise;
    // It waits for its turn, of which nobody is told: so long it would have seen the old record and been content with it.
    await Bun.sleep(300);
    provider.go.resolve();
    await sweep;
    expect((await route).code).toBe("");
    expect(await named.dig(host, "A")).toEqual([EDGE_ADDRESS]);
    expect(await named.dig(`_tunl.${host}`, "TXT")).toEqual([`"${tunnel}"`]);
    await rig.dns.records.sweep();
    expect(await named.dig(host, "A")).toEqual([EDGE_ADDRESS]);
    expect(await memory(rig)).toEqual([
      ...[`_tunl.${host} TXT ${tunnel}`, `${host} A ${EDGE_ADDRESS}`],
    ]);
  });

  test.each([
    ["the name", "one", "*.pair"],
    ["the wildcard", "two", "pair"],
  ])(
    "the text that a name and the wildcard below it share stays for the other when %s is given back",
    async (_, label, kept) => {
      const provider = providerAt(named);
      await using rig = await DnsRig.start({ servers: [named], provider, scope: SCOPE });
      const [name, wildcard] = [`pair.${label}.${FOREIGN}`, `*.pair.${label}.${FOREIGN}`];
      const stays = `${kept}.${label}.${FOREIGN}`;
      const goes = stays === name ? wildcard : name;
      for (const host of [stays, goes])
        expect((await rig.route(host, { proof: "txt" })).code).toBe("");
      await rig.account.call("route.delete", { host: goes });
      const text = `_tunl.${name} TXT ${rig.tunnel}`;
      expect(await memory(rig)).toEqual([`${stays} A ${EDGE_ADDRESS}`, text].toSorted());
      expect(await named.dig(`_tunl.${name}`, "TXT")).toEqual([`"${rig.tunnel}"`]);
      await rig.account.call("route.delete", { host: stays });
      expect(await named.dig(`_tunl.${name}`, "TXT")).toEqual([]);
      expect(await memory(rig)).toEqual([]);
    },
  );

  test("what looks at a name and changes it has its turn, whatever became of the one before; other names do not wait", async () => {
    await using rig = await DnsRig.start({ servers: [named], scope: SCOPE });
    const { records } = rig.dns;
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = records.inTurn("x.customer.net", async () => {
      order.push("first");
      await gate.promise;
      throw new Error("failed");
    });
    const second = records.inTurn("*.x.customer.net", async () => order.push("second"));
    const third = records.inTurn("x.customer.net", async () => order.push("third"));
    await records.inTurn("y.customer.net", async () => order.push("other"));
    expect(order).toEqual(["first", "other"]);
    gate.resolve();
    await expect(first).rejects.toThrow("failed");
    await Promise.all([second, third]);
    expect(order).toEqual(["first", "other", "second", "third"]);
  });
});
