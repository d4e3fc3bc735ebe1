import { describe, expect, test } from "bun:test";
import { eventually } from "../../binary/program.ts";
import { HAS_NAMED, Named } from "./named.ts";
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
});
