import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Rfc2136 } from "../../../src/edge/dns/rfc2136.ts";
import type { TsigKey } from "../../../src/edge/dns/tsig.ts";
import { HAS_NAMED, KEYS, Named } from "./named.ts";

describe.skipIf(!HAS_NAMED)("rfc2136, against bind9", () => {
  let named: Named;

  beforeAll(async () => {
    named = await Named.start({
      zones: {
        "example.com": "www A 192.0.2.1\nalias CNAME www\n_acme-challenge TXT one\n",
        "sub.example.com": "",
      },
    });
  });
  afterAll(async () => {
    await named[Symbol.asyncDispose]();
  });

  function provider(changes: Partial<TsigKey> & { clock?: () => number } = {}): Rfc2136 {
    const { clock, ...key } = changes;
    const { algorithm, secret } = KEYS["tunl-256"];
    return new Rfc2136({
      server: { host: "127.0.0.1", port: named.port },
      key: { name: "tunl-256", algorithm, secret: Buffer.from(secret, "base64"), ...key },
      ttl: 77,
      ...(clock !== undefined && { clock }),
    });
  }

  test("finds the zone that the server holds, the nearest one, and none for a name elsewhere", async () => {
    expect(await provider().zoneOf("app.example.com")).toBe("example.com");
    expect(await provider().zoneOf("a.b.sub.example.com")).toBe("sub.example.com");
    expect(await provider().zoneOf("*.example.com")).toBe("example.com");
    expect(await provider().zoneOf("alias.example.com")).toBe("example.com");
    expect(await provider().zoneOf("app.example.org")).toBeUndefined();
  });

  test("adds each type, shows it, and removes only what it is told", async () => {
    const records = [
      { name: "a.example.com", type: "A", value: "192.0.2.7" },
      { name: "a.example.com", type: "AAAA", value: "2001:db8::7" },
      { name: "*.w.example.com", type: "CNAME", value: "www.example.com" },
      { name: "_tunl.a.example.com", type: "TXT", value: 'some "text" \\ here' },
    ] as const;
    for (const record of records) {
      await provider().add(record);
      expect(await provider().find(record.name)).toContainEqual(record);
      // Twice is as good as once.
      await provider().add(record);
    }
    expect(await named.dig("a.example.com", "A")).toEqual(["192.0.2.7"]);
    expect(await named.dig("x.w.example.com", "CNAME")).toEqual(["www.example.com."]);
    expect(await named.dig("_tunl.a.example.com", "TXT")).toEqual(['"some \\"text\\" \\\\ here"']);
    await provider().remove(records[0]);
    await provider().remove(records[0]);
    expect(await provider().find("a.example.com")).toEqual([records[1]]);
  });

  test("adds a text beside others and takes only its own away", async () => {
    const two = { name: "_acme-challenge.example.com", type: "TXT", value: "two" } as const;
    await provider().add(two);
    expect((await named.dig(two.name, "TXT")).toSorted()).toEqual(['"one"', '"two"']);
    await provider().remove(two);
    expect(await named.dig(two.name, "TXT")).toEqual(['"one"']);
  });

  test("finds nothing at a name that only a wildcard answers for", async () => {
    await named.update("add *.wild.example.com 60 A 192.0.2.9");
    expect(await named.dig("any.wild.example.com", "A")).toEqual(["192.0.2.9"]);
    expect(await provider().find("any.wild.example.com")).toEqual([]);
    expect(await provider().find("*.wild.example.com")).toHaveLength(1);
    expect(await provider().find("x.example.org")).toEqual([]);
  });

  test("signs with SHA-512 too", async () => {
    const { algorithm, secret } = KEYS["tunl-512"];
    const record = { name: "long.example.com", type: "A", value: "192.0.2.8" } as const;
    const key = { name: "tunl-512", algorithm, secret: Buffer.from(secret, "base64") };
    await provider(key).add(record);
    expect(await named.dig(record.name, "A")).toEqual(["192.0.2.8"]);
  });

  test("names what is wrong with the key: BADKEY, BADSIG, BADTIME", async () => {
    const record = { name: "no.example.com", type: "A", value: "192.0.2.9" } as const;
    const failure = async (changes: Parameters<typeof provider>[0]): Promise<unknown> =>
      await provider(changes)
        .add(record)
        .catch((error: unknown) => error);
    expect(await failure({ name: "stranger" })).toMatchObject({
      code: "DNS_REFUSED",
      message: expect.stringContaining('"stranger" with hmac-sha256 (BADKEY)'),
    });
    expect(await failure({ secret: Buffer.from("wrong") })).toMatchObject({
      code: "DNS_REFUSED",
      message: expect.stringContaining("(BADSIG)"),
    });
    const behind = await failure({ clock: () => Date.now() - 3_600_000 });
    expect(behind).toMatchObject({
      code: "DNS_REFUSED",
      message: expect.stringMatching(
        /clocks .* differ by (?:3599|360\d) s, allowed 300 s \(BADTIME\)/,
      ),
      hint: expect.stringContaining("This machine is behind: run timedatectl set-ntp true"),
    });
    expect(await failure({ clock: () => Date.now() + 3_600_000 })).toMatchObject({
      hint: expect.stringContaining("This machine is ahead"),
    });
    expect(await named.dig(record.name, "A")).toEqual([]);
  });

  test("says so where the server drops a record beside an alias without a word", async () => {
    const error = await provider()
      .add({ name: "alias.example.com", type: "A", value: "192.0.2.9" })
      .catch((error: unknown) => error);
    expect(error).toMatchObject({
      code: "DNS_REFUSED",
      message: expect.stringContaining("there is CNAME www.example.com"),
    });
  });

  test("says so where the policy of the zone refuses the key, and where the zone is elsewhere", async () => {
    await using strict = await Named.start({
      zones: { "example.net": "" },
      policy: "update-policy { grant tunl-512 zonesub TXT; };",
    });
    const { algorithm, secret } = KEYS["tunl-256"];
    const refused = new Rfc2136({
      server: { host: "127.0.0.1", port: strict.port },
      key: { name: "tunl-256", algorithm, secret: Buffer.from(secret, "base64") },
      ttl: 60,
    });
    const a = { type: "A", value: "192.0.2.1" } as const;
    expect(
      await refused.add({ name: "x.example.net", ...a }).catch((e: unknown) => e),
    ).toMatchObject({
      code: "DNS_REFUSED",
      message: expect.stringContaining("refuses updates of example.net"),
    });
    expect(
      await refused.add({ name: "x.example.org", ...a }).catch((e: unknown) => e),
    ).toMatchObject({
      code: "DNS_REFUSED",
      message: expect.stringContaining("is not in charge of x.example.org"),
    });
  });
});
