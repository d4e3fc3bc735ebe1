import { describe, expect, test } from "bun:test";
import { Cloudflare } from "../../../src/edge/dns/cloudflare.ts";
import { checkZones } from "../../../src/edge/dns/zone-check.ts";
import { makeLog } from "../store/fixture.ts";
import { FakeCloudflare } from "./fake-cloudflare.ts";
import { HAS_NAMED, Named } from "./named.ts";
import { providerAt } from "./rig.ts";

/** What is told, each with what to do. */
async function told(...[provider, domains]: [Parameters<typeof checkZones>[0], string[]]) {
  const { log, records } = makeLog();
  await checkZones(provider, domains, log);
  return records.map(({ level, message, fields }) => [level, message, fields["hint"]]);
}

describe("zones of the edge's domains", () => {
  test("a token for other zones, or without the right to list them, is told; one that fits is not", async () => {
    await using api = new FakeCloudflare(["example.com"]);
    const provider = (token: string): Cloudflare =>
      new Cloudflare({ token, ttl: 300, api: api.url, wait: async () => undefined });
    expect(await told(provider(api.token), ["example.com", "lab.example.com"])).toEqual([]);
    expect(await told(provider(api.token), ["example.org"])).toEqual([
      [
        "warn",
        "dns.provider cloudflare edits no zone that holds example.org: records of names below it are added by hand",
        "Give the token Zone Read and DNS Edit for that zone, or leave dns.provider out",
      ],
    ]);
    expect(await told(provider("wrong"), ["example.com"])).toEqual([
      [
        "warn",
        "dns.provider cloudflare cannot be asked for the zone of example.com: Listing zones was refused by Cloudflare: Authentication error (10000)",
        expect.stringContaining("dns.cloudflare.tokenFile must hold an API token"),
      ],
    ]);
  });

  test.skipIf(!HAS_NAMED)("a name server that is in charge of other zones is told", async () => {
    await using named = await Named.start({ zones: { "example.com": "" } });
    expect(await told(providerAt(named), ["example.com"])).toEqual([]);
    expect(await told(providerAt(named), ["example.org"])).toEqual([
      [
        "warn",
        expect.stringContaining("rfc2136 edits no zone that holds example.org"),
        expect.any(String),
      ],
    ]);
  });
});
