import { describe, expect, test } from "bun:test";
import { eventually } from "../../binary/program.ts";
import { HAS_NAMED, Named } from "./named.ts";
import { keyText } from "../account-desk.ts";
import { DnsRig } from "./rig.ts";

describe.skipIf(!HAS_NAMED)("an announced name outside of the domains", () => {
  test("is told of as suspended until its proof is seen, then as granted with its certificate, and again when it goes", async () => {
    await using named = await Named.start({ zones: { "customer.net": "", "example.com": "" } });
    await using rig = await DnsRig.start({ servers: [named], scope: ["*.customer.net"] });
    const { store } = rig.desk;
    const host = "shop.customer.net";
    const key = Buffer.alloc(32, 9);
    const session = rig.desk.session("tunnel", rig.tunnel, "my-tunnel", key, "home");
    const { stream, events } = session.start("announce", { hosts: [host, "x.other.net"] });
    const told = (): string[] =>
      stream.messages.map(({ record }) => {
        const body = JSON.parse(Buffer.from((record as { body: Uint8Array }).body).toString());
        return [body.host, body.state, body.code].filter(Boolean).join(" ");
      });
    await eventually(() => (told().length >= 2 ? true : undefined), "both answers");
    expect(told().toSorted()).toEqual([
      `${host} suspended HOSTNAME_NOT_PROVEN`,
      "x.other.net notGranted HOSTNAME_NOT_GRANTED",
    ]);
    expect(rig.dns.names.isServed(host)).toBe(false);
    expect(rig.source.wanted).toEqual([]);
    await named.update(`add ${host} 60 CNAME ${rig.tunnel}.example.com.`);
    await rig.dns.names.check(host);
    expect(told().slice(2)).toEqual([`${host} granted`]);
    expect(rig.source.wanted).toEqual([host]);
    const row = store.snapshot.host(host);
    await rig.dns.names.settle(
      { ...row!, proof: { state: "proven", at: 0, failedSince: 1 } },
      { state: "missing", server: "test", text: "" },
    );
    expect(told().slice(3)).toEqual([`${host} suspended HOSTNAME_NOT_PROVEN`]);
    // After the end nobody is told of anything.
    events.closed();
    await rig.dns.names.check(host);
    expect(told()).toHaveLength(4);
  });

  test("is looked at one by one for a tunnel, however many announcements bring names", async () => {
    await using named = await Named.start({ zones: { "customer.net": "", "example.com": "" } });
    await using rig = await DnsRig.start({ servers: [named], scope: ["*.customer.net"] });
    const { names } = rig.dns;
    let [running, most] = [0, 0];
    const check = names.check.bind(names);
    names.check = async (...asked) => {
      running += 1;
      most = Math.max(most, running);
      return await check(...asked).finally(() => (running -= 1));
    };
    const session = rig.desk.session(
      "tunnel",
      rig.tunnel,
      "my-tunnel",
      Buffer.alloc(32, 9),
      "home",
    );
    const calls = [0, 1, 2, 3].map((call) =>
      session.start("announce", {
        hosts: [0, 1, 2].map((number) => `n${number}.c${call}.customer.net`),
      }),
    );
    const told = (): number => calls.reduce((sum, { stream }) => sum + stream.messages.length, 0);
    await eventually(() => (told() >= 12 ? true : undefined), "all answers");
    expect(most).toBe(1);
    for (const { events } of calls) events.closed();
  });

  test("that went to another tunnel is no news for the one that announced it before", async () => {
    await using named = await Named.start({ zones: { "customer.net": "", "example.com": "" } });
    await using rig = await DnsRig.start({ servers: [named], scope: ["*.customer.net"] });
    const host = "shop.customer.net";
    const session = rig.desk.session(
      "tunnel",
      rig.tunnel,
      "my-tunnel",
      Buffer.alloc(32, 9),
      "home",
    );
    const { stream, events } = session.start("announce", { hosts: [host] });
    await eventually(() => (stream.messages.length > 0 ? true : undefined), "the answer");
    const key = keyText();
    const made = await rig.account.call("tunnel.create", { name: "other", key });
    const { id } = made.body["tunnel"] as { id: string };
    await rig.desk.store.releaseHost(host);
    await rig.desk.store.grantHost(id, host);
    await named.update(`add ${host} 60 CNAME ${id}.example.com.`);
    await rig.dns.names.check(host);
    expect(rig.dns.names.isServed(host)).toBe(true);
    expect(stream.messages).toHaveLength(1);
    events.closed();
  });
});
