import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Cloudflare } from "../../../src/edge/dns/cloudflare.ts";
import type { DnsProvider, DnsRecord, RecordType } from "../../../src/edge/dns/provider.ts";
import { Rfc2136 } from "../../../src/edge/dns/rfc2136.ts";
import { FakeCloudflare } from "./fake-cloudflare.ts";
import { LosingExchanges } from "./losing.ts";
import { HAS_NAMED, KEYS, Named } from "./named.ts";

const TARGET = "tunnel.edge.net";

function at(name: string) {
  const of = (type: RecordType) => (value: string) => ({ name, type, value });
  return { a: of("A"), aaaa: of("AAAA"), alias: of("CNAME"), text: of("TXT") };
}

/** Replaces all that stands there. */
async function replaceAll(provider: DnsProvider, name: string, ...added: readonly DnsRecord[]) {
  await provider.replace({ name, gone: await provider.find(name), added });
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => "done",
    (error: unknown) => error,
  );
}

function refused(text: string): unknown {
  return expect.objectContaining({ code: "DNS_REFUSED", message: expect.stringContaining(text) });
}

function inTheWay(text: string): unknown {
  const message = expect.stringContaining(text);
  return expect.objectContaining({ code: "RECORD_IN_THE_WAY", message });
}

const LONG = "x".repeat(255);
const OLD = "A 192.0.2.9\n AAAA 2001:db8::9\n";

describe.skipIf(!HAS_NAMED)("replace by rfc2136, against bind9", () => {
  let named: Named;

  beforeAll(async () => {
    const texts = ` TXT "one" "two"\n TXT "${LONG}" "${LONG}"\n`;
    const same = ["kept", "met", "lost", "once"].map((name) => `${name} ${OLD}`).join("");
    const zone = `many ${OLD}${texts}loud CNAME WWW.Example.COM.\nmail ${OLD} MX 10 mx\n${same}_tunl.kept CNAME www\n`;
    named = await Named.start({ zones: { "example.com": zone } });
  });
  afterAll(async () => {
    await named[Symbol.asyncDispose]();
  });

  function provider(changes: { port?: number; exchanges?: LosingExchanges } = {}): Rfc2136 {
    const { port = named.port, exchanges = new LosingExchanges() } = changes;
    const { algorithm, secret } = KEYS["tunl-256"];
    return new Rfc2136({
      server: { host: "127.0.0.1", port },
      key: { name: "tunl-256", algorithm, secret: Buffer.from(secret, "base64") },
      ...{ ttl: 60, exchanges },
    });
  }

  async function stands(name: string, server = named): Promise<readonly string[]> {
    return [...(await server.dig(name, "A")), ...(await server.dig(name, "AAAA"))];
  }

  test("addresses and texts of any length give way to an alias in one update, an alias to addresses and a text", async () => {
    const exchanges = new LosingExchanges();
    const many = at("many.example.com");
    await replaceAll(provider({ exchanges }), "many.example.com", many.alias(TARGET));
    expect(exchanges.updates).toBe(1);
    expect(await provider().find("many.example.com")).toEqual([many.alias(TARGET)]);
    const added = [
      ...[at("loud.example.com").a("192.0.2.1"), at("loud.example.com").aaaa("2001:db8::1")],
      at("_tunl.loud.example.com").text("proof"),
    ];
    await replaceAll(provider({ exchanges }), "loud.example.com", ...added);
    expect(exchanges.updates).toBe(2);
    expect(await stands("loud.example.com")).toEqual(["192.0.2.1", "2001:db8::1"]);
    expect(await named.dig("_tunl.loud.example.com", "TXT")).toEqual(['"proof"']);
  });

  test("what the policy of the zone refuses leaves what stood there", async () => {
    await using strict = await Named.start({
      zones: { "example.net": `app ${OLD}www CNAME app\n` },
      policy: "update-policy { grant tunl-256 zonesub A AAAA CNAME; };",
    });
    const { port } = strict;
    const app = at("app.example.net");
    const policy = "refuses updates of example.net";
    // Refused is the last of four changes.
    const added = [app.a("192.0.2.1"), at("_tunl.app.example.net").text("proof")];
    expect(await failureOf(replaceAll(provider({ port }), "app.example.net", ...added))).toEqual(
      refused(policy),
    );
    expect(await stands("app.example.net", strict)).toEqual(["192.0.2.9", "2001:db8::9"]);
    const apex = [at("www.example.net").a("192.0.2.1"), at("_tunl.www.example.net").text("proof")];
    expect(await failureOf(replaceAll(provider({ port }), "www.example.net", ...apex))).toEqual(
      refused(policy),
    );
    expect(await strict.dig("www.example.net", "CNAME")).toEqual(["app.example.net."]);
    await replaceAll(provider({ port }), "app.example.net", app.alias(TARGET));
    expect(await strict.dig("app.example.net", "CNAME")).toEqual([`${TARGET}.`]);
  });

  test("what the server would drop without a word ends it before anything is changed", async () => {
    const mail = at("mail.example.com");
    expect(await failureOf(replaceAll(provider(), "mail.example.com", mail.alias(TARGET)))).toEqual(
      inTheWay("mail.example.com has a record of another type, such as MX"),
    );
    expect(await stands("mail.example.com")).toEqual(["192.0.2.9", "2001:db8::9"]);
    // A text beside an alias would be dropped, and the addresses be replaced.
    const kept = [at("kept.example.com").a("192.0.2.1"), at("_tunl.kept.example.com").text("x")];
    expect(await failureOf(replaceAll(provider(), "kept.example.com", ...kept))).toEqual(
      inTheWay("kept.example.com"),
    );
    expect(await stands("kept.example.com")).toEqual(["192.0.2.9", "2001:db8::9"]);
  });

  test("it replaces what was seen and nothing else: a change in between ends it", async () => {
    const exchanges = new LosingExchanges();
    const met = at("met.example.com");
    exchanges.before = () => named.update("add met.example.com 60 A 192.0.2.10");
    const work = replaceAll(provider({ exchanges }), "met.example.com", met.alias(TARGET));
    expect(await failureOf(work)).toEqual(inTheWay("met.example.com were changed meanwhile"));
    expect((await stands("met.example.com")).toSorted()).toEqual([
      ...["192.0.2.10", "192.0.2.9", "2001:db8::9"],
    ]);
    // Seen, and not what the caller wants gone.
    const gone = [met.a("192.0.2.9")];
    const partly = provider().replace({
      ...{ name: "met.example.com", gone, added: [met.alias(TARGET)] },
    });
    expect(await failureOf(partly)).toEqual(inTheWay("met.example.com"));
    expect(await stands("met.example.com")).toHaveLength(3);
  });

  test("an answer that is lost once is found out by sending again; one that is lost for good fails for now", async () => {
    const exchanges = new LosingExchanges();
    exchanges.losesAnswers = 1;
    const once = at("once.example.com").alias(TARGET);
    await replaceAll(provider({ exchanges }), once.name, once);
    expect(exchanges.updates).toBe(2);
    expect(await named.dig(once.name, "CNAME")).toEqual([`${TARGET}.`]);
    exchanges.losesAnswers = 3;
    const lost = at("lost.example.com").alias(TARGET);
    expect(await failureOf(replaceAll(provider({ exchanges }), lost.name, lost))).toMatchObject({
      code: "DNS_FAILED",
      retryable: true,
    });
    expect(await named.dig(lost.name, "CNAME")).toEqual([`${TARGET}.`]);
  });
});

describe("replace by cloudflare", () => {
  const name = "app.example.com";
  const app = at(name);
  const old = [app.a("192.0.2.9"), app.aaaa("2001:db8::9")];

  async function started(...records: readonly DnsRecord[]) {
    const api = new FakeCloudflare(["example.com"]);
    const provider = new Cloudflare({ token: api.token, ttl: 300, api: api.url });
    for (const record of records) await provider.add(record);
    api.requests.length = 0;
    const writes = (): string[] =>
      api.requests
        .filter(({ method }) => method !== "GET")
        .map(({ method, path }) => `${method} ${path.replace(/zones\/\w+/, "zones/Z")}`);
    return { api, provider, writes, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
  }

  test("addresses give way to an alias in one request, an alias to addresses and a text", async () => {
    await using it = await started(...old);
    await replaceAll(it.provider, name, app.alias(TARGET));
    expect(it.writes()).toEqual(["POST /client/v4/zones/Z/dns_records/batch"]);
    expect(await it.provider.find(name)).toEqual([app.alias(TARGET)]);
    const proof = at(`_tunl.${name}`).text("proof");
    await replaceAll(it.provider, name, app.a("192.0.2.1"), proof);
    expect(it.writes()).toHaveLength(2);
    expect(await it.provider.find(name)).toEqual([app.a("192.0.2.1")]);
    expect(await it.provider.find(proof.name)).toEqual([proof]);
    expect(it.api.records.get("example.com")?.every(({ proxied }) => !proxied)).toBe(true);
  });

  test("a refusal in the middle leaves what stood there", async () => {
    await using it = await started(app.alias("old.edge.net"));
    it.api.quota = 1;
    // The alias is deleted and one address added when the other one is refused.
    expect(await failureOf(replaceAll(it.provider, name, ...old))).toEqual(
      refused(`Changing the records of ${name} was refused by Cloudflare: The record quota`),
    );
    expect(await it.provider.find(name)).toEqual([app.alias("old.edge.net")]);
  });

  test("what was not seen is not replaced, and what went meanwhile is told", async () => {
    await using it = await started(...old);
    const added = [app.alias(TARGET)];
    const gone = [app.a("192.0.2.9")];
    expect(await failureOf(it.provider.replace({ name, gone, added }))).toEqual(
      inTheWay("already exists. (81053)"),
    );
    expect(await it.provider.find(name)).toEqual(old);
    const twice = it.provider.replace({ name, gone, added: [app.aaaa("2001:db8::9")] });
    expect(await failureOf(twice)).toEqual(inTheWay("were changed meanwhile"));
    expect(await it.provider.find(name)).toEqual(old);
  });

  test("an API without such a call is told of, and nothing is changed one by one", async () => {
    await using it = await started(...old);
    it.api.hasBatch = false;
    expect(await failureOf(replaceAll(it.provider, name, app.alias(TARGET)))).toEqual(
      refused("changes no records in one step (dns_records/batch): No route for that URI (7000)"),
    );
    expect(await it.provider.find(name)).toEqual(old);
    expect(it.writes()).toEqual(["POST /client/v4/zones/Z/dns_records/batch"]);
    // A single record that stands in nobody's way is one step by itself.
    const other = at("other.example.com");
    await replaceAll(it.provider, "other.example.com", other.alias(TARGET));
    expect(await it.provider.find("other.example.com")).toEqual([other.alias(TARGET)]);
  });

  test("a lost answer fails for now, whatever was done", async () => {
    await using it = await started(...old);
    it.api.losesAnswers = 1;
    const lost = replaceAll(it.provider, name, app.alias(TARGET));
    expect(await failureOf(lost)).toMatchObject({ code: "DNS_FAILED", retryable: true });
    expect(await it.provider.find(name)).toEqual([app.alias(TARGET)]);
  });
});
