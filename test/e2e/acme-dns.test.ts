// This file is DNS-01 by a name server that takes signed updates: bind9 has the zone, pebble looks into it. RFC 8555 §8.4.
import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ProviderAnswers } from "../../src/edge/certificates/acme/dns-answers.ts";
import { addressesBy, Lookup, Rfc2136 } from "../../src/edge/dns/index.ts";
import { Logger, type LogRecord } from "../../src/log.ts";
import { HAS_NAMED, KEYS, Named } from "../edge/dns/named.ts";
import { HAS_PEBBLE, Pebble } from "../pebble.ts";
import { within } from "../within.ts";
import { Bench, Doors, reach } from "./acme-rig.ts";

const ZONE = "example.com";

describe.skipIf(!HAS_PEBBLE || !HAS_NAMED)("DNS-01 with bind9", () => {
  let named: Named;
  let doors: Doors;
  let pebble: Pebble;
  const records: LogRecord[] = [];

  beforeAll(async () => {
    named = await Named.start({
      zones: { [ZONE]: "@ A 127.0.0.1\n* A 127.0.0.1\n_acme-challenge TXT other\n" },
    });
    doors = await Doors.open();
    pebble = await Pebble.start({
      ...{ httpPort: doors.httpPort, tlsPort: doors.tlsPort },
      dnsServer: named.address,
    });
  });
  afterAll(async () => {
    await pebble?.[Symbol.asyncDispose]();
    await doors?.[Symbol.asyncDispose]();
    await named?.[Symbol.asyncDispose]();
  });

  function dns(secret: string = KEYS["tunl-256"].secret): ProviderAnswers {
    const servers = { resolvers: [{ host: "127.0.0.1", port: named.port }], areWholeDns: true };
    return new ProviderAnswers({
      provider: new Rfc2136({
        server: { host: "127.0.0.1", port: named.port },
        key: {
          ...{ name: "tunl-256", algorithm: KEYS["tunl-256"].algorithm },
          secret: Buffer.from(secret, "base64"),
        },
        ttl: 60,
      }),
      client: new Lookup({ servers, lookAgainMs: 50 }),
      log: new Logger((record) => records.push(record), "debug"),
    });
  }

  test("one certificate for the domain and its wildcard; the records go, and what was there stays", async () => {
    await using bench = await Bench.start({
      ...reach(pebble),
      ...{ dns: dns(), domains: [ZONE], challenge: "dns-01" },
    });
    await within(bench.source.ready(ZONE), "the certificate");
    const { cert } = await bench.stored(`*.${ZONE}`);
    expect(new X509Certificate(cert).subjectAltName).toBe(`DNS:${ZONE}, DNS:*.${ZONE}`);
    expect(bench.table.covers(`any.${ZONE}`)).toBe(true);
    expect(await named.dig(`_acme-challenge.${ZONE}`, "TXT")).toEqual(['"other"']);
  });

  test("whether a name has an address is asked of the zone itself; of what nobody can say nothing is concluded", async () => {
    const servers = { resolvers: [{ host: "127.0.0.1", port: named.port }], areWholeDns: true };
    const hasAddress = addressesBy(new Lookup({ servers }));
    const { signal } = new AbortController();
    const found = await Promise.all(
      ["any.example.com", "ns1.example.com", "_acme-challenge.example.com"].map((name) =>
        hasAddress(name, signal),
      ),
    );
    expect(found).toEqual([true, true, false]);
    expect(await hasAddress("app.localhost", signal)).toBeUndefined();
    expect(await hasAddress("app.example.org", signal)).toBeUndefined();
  });

  test("a name server that refuses the key: the names are proven by other ways", async () => {
    await using bench = await Bench.start({
      ...reach(pebble),
      ...{ dns: dns("bm90IHRoZSBzZWNyZXQgb2YgdGhlIHNlcnZlcg=="), domains: [ZONE], doors },
    });
    bench.source.want(`app.${ZONE}`);
    await within(
      (async () => {
        while (!bench.table.covers(`app.${ZONE}`))
          await bench.source.ready(`app.${ZONE}`).catch(() => undefined);
      })(),
      "the certificate",
    );
    expect((await bench.stored(`app.${ZONE}`)).challenge).toBe("tls-alpn-01");
    expect(bench.messages.join("\n")).toContain("dns-01 of example.com cannot be answered");
    expect(await named.dig(`_acme-challenge.${ZONE}`, "TXT")).toEqual(['"other"']);
  });
});
