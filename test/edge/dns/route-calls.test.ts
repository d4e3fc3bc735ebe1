import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { DNS_WAITS_MAX } from "../../../src/edge/admin/route-calls.ts";
import { reachedLimits } from "../../../src/limits.ts";
import { eventually } from "../../binary/program.ts";
import type { DnsProvider } from "../../../src/edge/dns/index.ts";
import { TunlError } from "../../../src/errors.ts";
import type { Answer } from "../account-desk.ts";
import { HAS_NAMED, Named } from "./named.ts";
import { DnsRig, EDGE_ADDRESS, providerAt } from "./rig.ts";

const FOREIGN = ["*.customer.net", "customer.net", "*.example.com"];

/** Names of events with their states. */
function steps({ events }: Answer): string[] {
  return events.map(({ event, state }) =>
    state === undefined ? event : `${event} ${String(state)}`,
  );
}

describe.skipIf(!HAS_NAMED)("route.dns, against bind9", () => {
  let named: Named;

  beforeAll(async () => {
    named = await Named.start({
      zones: {
        "example.com": `* A ${EDGE_ADDRESS}\nelsewhere A 127.0.0.66\nalias CNAME elsewhere\nhalf A ${EDGE_ADDRESS}\nhalf A 127.0.0.66\n`,
        "customer.net": "www A 127.0.0.66\nold CNAME www\n",
      },
    });
  });
  afterAll(async () => {
    await named[Symbol.asyncDispose]();
  });

  test("a name below the domains is covered where it leads here: granted, nothing to add, certificate", async () => {
    await using rig = await DnsRig.start({ servers: [named], provider: providerAt(named) });
    const answer = await rig.route("myapp.example.com");
    expect(answer).toMatchObject({ code: "", body: { url: "https://myapp.example.com:8443" } });
    expect(steps(answer)).toEqual(["granted", "dns covered", "certificate ready"]);
    expect(answer.events[0]).toMatchObject({ host: "myapp.example.com", tunnel: "my-tunnel" });
    expect(answer.events[1]).toMatchObject({
      record: { name: "*.example.com", type: "A", value: EDGE_ADDRESS },
    });
    expect(await rig.desk.store.routes.records()).toEqual([]);
    // Again is as good.
    expect((await rig.route("myapp.example.com")).code).toBe("");
  });

  test("a record in the way ends it with what stands there, and is replaced with overwrite", async () => {
    await using rig = await DnsRig.start({ servers: [named], provider: providerAt(named) });
    expect(await rig.route("elsewhere.example.com")).toMatchObject({
      code: "RECORD_IN_THE_WAY",
      body: {
        text: "elsewhere.example.com already has A 127.0.0.66",
        hint: expect.stringContaining("--overwrite"),
      },
    });
    expect((await rig.route("alias.example.com")).body["text"]).toContain(
      "CNAME elsewhere.example.com",
    );
    // One address of two that leads elsewhere is one too many.
    expect((await rig.route("half.example.com")).code).toBe("RECORD_IN_THE_WAY");
    const answer = await rig.route("alias.example.com", { overwrite: true });
    expect(answer.code).toBe("");
    expect(steps(answer)).toEqual(["granted", "dns made", "dns seen", "certificate ready"]);
    expect(await named.dig("alias.example.com", "A")).toEqual([EDGE_ADDRESS]);
    expect(await named.dig("alias.example.com", "CNAME")).toEqual([]);
    await named.update(
      "delete alias.example.com",
      "add alias.example.com 60 CNAME elsewhere.example.com.",
    );
  });

  test("a custom domain gets a CNAME to its tunnel, or at the top of a zone addresses and a text", async () => {
    await using rig = await DnsRig.start({
      ...{ servers: [named], provider: providerAt(named), scope: FOREIGN },
    });
    const target = `${rig.tunnel}.example.com`;
    const shop = await rig.route("shop.customer.net");
    expect(steps(shop)).toEqual(["granted", "dns made", "dns seen", "certificate ready"]);
    expect(shop.events[1]).toMatchObject({
      record: { name: "shop.customer.net", type: "CNAME", value: target },
      server: "rfc2136",
    });
    expect(await named.dig("shop.customer.net", "CNAME")).toEqual([`${target}.`]);
    expect(rig.dns.names.stateOf("shop.customer.net")).toBe("proven");
    expect(await rig.route("customer.net", { proof: "cname" })).toMatchObject({
      code: "USAGE",
      body: { text: "customer.net is the top of its zone, where no CNAME can stand" },
    });
    const apex = await rig.route("customer.net");
    expect(steps(apex)).toEqual([
      ...["granted", "dns made", "dns made", "dns seen", "certificate ready"],
    ]);
    expect(await named.dig("_tunl.customer.net", "TXT")).toEqual([`"${rig.tunnel}"`]);
    expect(await named.dig("customer.net", "A")).toEqual([EDGE_ADDRESS]);
    const again = await rig.route("shop.customer.net");
    expect(steps(again)).toEqual(["granted", "dns seen", "certificate ready"]);
    // Given back: our records go, the others stay.
    expect((await rig.account.call("route.delete", { host: "customer.net" })).body).toMatchObject({
      ...{ host: "customer.net", tunnel: "my-tunnel", record: "removed" },
    });
    expect(await named.dig("customer.net", "A")).toEqual([]);
    expect(await named.dig("customer.net", "NS")).toHaveLength(1);
    // Deleted with its tunnel: the record goes by itself.
    await rig.account.call("tunnel.delete", { tunnel: "my-tunnel", force: true });
    await rig.dns.records.sweep();
    expect(await named.dig("shop.customer.net", "CNAME")).toEqual([]);
    expect(await rig.desk.store.routes.records()).toEqual([]);
  });

  test("a record that somebody else made is used, and not taken away", async () => {
    await using rig = await DnsRig.start({
      ...{ servers: [named], provider: providerAt(named), scope: FOREIGN },
    });
    await named.update(`add own.customer.net 60 A ${EDGE_ADDRESS}`);
    const answer = await rig.route("own.customer.net", { proof: "txt" });
    expect(steps(answer)).toEqual(["granted", "dns made", "dns seen", "certificate ready"]);
    expect(answer.events[1]).toMatchObject({ record: { type: "TXT" } });
    await rig.account.call("route.delete", { host: "own.customer.net" });
    expect(await named.dig("own.customer.net", "A")).toEqual([EDGE_ADDRESS]);
    expect(await named.dig("_tunl.own.customer.net", "TXT")).toEqual([]);
  });

  test.each([
    ["DNS_REFUSED", 0],
    ["DNS_FAILED", 1],
  ])(
    "a record that the provider did not make is remembered only where it may be there all the same: %s",
    async (code, count) => {
      const real = providerAt(named);
      const provider: DnsProvider = {
        ...{ name: "rfc2136", zoneOf: real.zoneOf.bind(real), find: real.find.bind(real) },
        ...{ add: real.add.bind(real), remove: real.remove.bind(real) },
        replace: () => Promise.reject(new TunlError(code, "No")),
      };
      await using rig = await DnsRig.start({ servers: [named], provider, scope: FOREIGN });
      expect((await rig.route("never.customer.net")).code).toBe(code);
      expect(await rig.desk.store.routes.records()).toHaveLength(count);
      expect(rig.dns.records.of("never.customer.net")).toHaveLength(count);
    },
  );

  test("without a provider it shows the record, waits, and goes on when it is seen; a text proves as well", async () => {
    await using rig = await DnsRig.start({ servers: [named], scope: FOREIGN });
    const { stream, events } = rig.account.start("route.dns", {
      ...{ tunnel: "my-tunnel", host: "wait.customer.net", timeoutMs: 20_000 },
    });
    const told = (): string => stream.messages.map(({ record }) => textOf(record)).join("\n");
    await eventually(() => (told().includes('"wait"') ? true : undefined), "the record to add");
    expect(told()).toContain('"zone":"customer.net"');
    expect(told()).toContain(`"value":"${rig.tunnel}.example.com"`);
    // An address alone is not enough, nor a text for another tunnel.
    await named.update(
      `add wait.customer.net 60 A ${EDGE_ADDRESS}`,
      'add _tunl.wait.customer.net 60 TXT "00000000-0000-4000-8000-000000000000"',
    );
    await Bun.sleep(300);
    expect(stream.messages.some(({ name }) => name === "result")).toBe(false);
    await named.update(`add _tunl.wait.customer.net 60 TXT "${rig.tunnel}"`);
    await eventually(
      () => (stream.messages.some(({ name }) => name === "result") ? true : undefined),
      "the result",
    );
    events.closed();
    expect(told()).toContain('"seen"');
    expect(rig.dns.names.stateOf("wait.customer.net")).toBe("proven");
  });

  test("it gives up in time, keeps the name, and goes on from there the next time", async () => {
    await using rig = await DnsRig.start({ servers: [named], scope: FOREIGN });
    const late = await rig.route("late.customer.net", { timeoutMs: 300 });
    expect(late).toMatchObject({
      code: "DNS_TIMEOUT",
      body: { hint: expect.stringContaining("run the same command again") },
    });
    expect(rig.desk.store.snapshot.ownerOf("late.customer.net")).toBe(rig.tunnel);
    expect(rig.dns.names.isServed("late.customer.net")).toBe(false);
    expect(rig.source.wanted).toEqual([]);
    await named.update(`add late.customer.net 60 CNAME ${rig.tunnel}.example.com.`);
    expect((await rig.route("late.customer.net")).code).toBe("");
    expect(rig.source.wanted).toEqual(["late.customer.net"]);
  });

  test("a caller who leaves is waited for no longer, and only so many wait", async () => {
    await using rig = await DnsRig.start({ servers: [named], scope: FOREIGN });
    const before = reachedLimits().dnsWaits ?? 0;
    const started: { events: { closed(): void } }[] = [];
    // Calls of one account are bounded well below: several wait.
    for (let account = 0; account < DNS_WAITS_MAX / 16; account += 1) {
      const caller = await rig.desk.login(`a${account}`, FOREIGN);
      const key = Buffer.alloc(32, 100 + account).toString("base64url");
      await caller.call("tunnel.create", { name: `t${account}`, key, label: "x" });
      for (let index = 0; index < 16; index += 1)
        started.push(
          caller.start("route.dns", {
            ...{ tunnel: `t${account}`, host: `w${account}-${index}.customer.net` },
            timeoutMs: 60_000,
          }),
        );
    }
    await eventually(async () => {
      const { code } = await rig.route("more.customer.net", { timeoutMs: 0 });
      return code === "CALL_LIMIT" ? true : undefined;
    }, "the limit");
    expect(reachedLimits().dnsWaits).toBeGreaterThan(before);
    for (const { events } of started) events.closed();
    await eventually(async () => {
      const { code } = await rig.route("more.customer.net", { timeoutMs: 0 });
      return code === "DNS_TIMEOUT" ? true : undefined;
    }, "room again");
  });

  test("names of others, outside of the scope, and of tunnels that are not there are refused", async () => {
    await using rig = await DnsRig.start({ servers: [named] });
    const other = await rig.desk.login("other");
    const key = Buffer.alloc(32, 8).toString("base64url");
    await other.call("tunnel.create", {
      name: "theirs",
      key,
      label: "x",
      hosts: ["mine.example.com"],
    });
    expect((await rig.route("mine.example.com")).code).toBe("HOSTNAME_TAKEN");
    expect((await rig.route("shop.customer.net")).code).toBe("HOSTNAME_NOT_GRANTED");
    expect((await rig.route("www.example.com")).code).toBe("HOSTNAME_NOT_GRANTED");
    expect((await rig.route(`${rig.tunnel}.example.com`)).code).toBe("HOSTNAME_NOT_GRANTED");
    expect((await rig.route("x.example.com", { tunnel: "theirs" })).code).toBe("TUNNEL_NOT_FOUND");
    expect((await rig.route("x.example.com", { proof: "mx" })).code).toBe("USAGE");
    expect((await rig.route("x.example.com", { timeoutMs: -1 })).code).toBe("USAGE");
    expect(await rig.account.call("route.delete", { host: "mine.example.com" })).toMatchObject({
      code: "HOSTNAME_NOT_FOUND",
    });
    expect(rig.desk.store.snapshot.ownerOf("mine.example.com")).toBeDefined();
  });

  test("the list says who serves a name, what the DNS says of it, and how long its certificate lasts", async () => {
    await using rig = await DnsRig.start({ servers: [named], scope: FOREIGN });
    const { store } = rig.desk;
    await rig.route("listed.example.com");
    const names = ["elsewhere.example.com", "new.customer.net", "gone.customer.net"];
    for (const host of names) await store.routes.claim(rig.account.live.key, rig.tunnel, host);
    const now = store.now();
    await store.routes.setProof(
      { host: "gone.customer.net", tunnel: rig.tunnel },
      { state: "suspended", at: now, failedSince: Date.now() - 8.5 * 86_400_000 },
    );
    const { events } = await rig.account.call("route.list", {});
    const found = new Map(events.map((event) => [event["host"], event]));
    expect(found.get("listed.example.com")).toMatchObject({
      ...{ tunnel: "my-tunnel", how: "claimed", connectors: 0, dns: "leads here" },
      certificate: { state: "ready", days: 89 },
    });
    expect(found.get("elsewhere.example.com")).toMatchObject({
      dns: "elsewhere.example.com leads to 127.0.0.66, not to this edge",
      certificate: { state: "none" },
    });
    expect(found.get("new.customer.net")).toMatchObject({ dns: "no proof yet" });
    expect(found.get("gone.customer.net")).toMatchObject({
      dns: "suspended, no proof for 8 days",
    });
    expect((await rig.account.call("route.list", { tunnel: "none" })).code).toBe(
      "TUNNEL_NOT_FOUND",
    );
  });
});

function textOf(record: object): string {
  return "body" in record ? Buffer.from(record.body as Uint8Array).toString() : "";
}
