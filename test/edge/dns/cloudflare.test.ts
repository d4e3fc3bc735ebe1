import { describe, expect, test } from "bun:test";
import { Cloudflare } from "../../../src/edge/dns/cloudflare.ts";
import { FakeCloudflare } from "./fake-cloudflare.ts";

function providerAt(api: FakeCloudflare, changes: { token?: string; waits?: number[] } = {}) {
  return new Cloudflare({
    ...{ token: changes.token ?? api.token, ttl: 300, api: api.url },
    wait: async (ms) => void changes.waits?.push(ms),
  });
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => "done",
    (error: unknown) => error,
  );
}

describe("cloudflare", () => {
  test("finds the nearest zone of the account, over all pages of the list", async () => {
    const many = Array.from({ length: 120 }, (_, index) => `zone${index}.net`);
    await using api = new FakeCloudflare([...many, "example.com", "sub.example.com"]);
    const provider = providerAt(api);
    expect(await provider.zoneOf("a.b.sub.example.com")).toBe("sub.example.com");
    expect(await provider.zoneOf("*.example.com")).toBe("example.com");
    expect(await provider.zoneOf("example.com")).toBe("example.com");
    expect(await provider.zoneOf("notexample.com")).toBeUndefined();
    expect(api.requests.map(({ path }) => path)).toEqual(
      [1, 2, 3].map((page) => `/client/v4/zones?status=active&per_page=50&page=${page}`),
    );
  });

  test("adds, shows and removes exactly one record, never proxied, and again is as good as once", async () => {
    await using api = new FakeCloudflare(["example.com"]);
    const provider = providerAt(api);
    const alias = { name: "app.example.com", type: "CNAME", value: "x.edge.net" } as const;
    const one = { name: "_acme-challenge.example.com", type: "TXT", value: "one" } as const;
    const two = { ...one, value: 'two "quoted" \\' };
    for (const record of [alias, one, two, two]) await provider.add(record);
    expect(api.records.get("example.com")?.map(({ content }) => content)).toEqual([
      ...["x.edge.net", '"one"', '"two \\"quoted\\" \\\\"'],
    ]);
    expect(
      api.records.get("example.com")?.every(({ proxied, ttl }) => !proxied && ttl === 300),
    ).toBe(true);
    expect(await provider.find(one.name)).toEqual([one, two]);
    await provider.remove(one);
    await provider.remove(one);
    expect(await provider.find(one.name)).toEqual([two]);
    expect(await provider.find("nobody.example.com")).toEqual([]);
    expect(await provider.find("app.example.org")).toEqual([]);
  });

  test("reads every page of a name's records, with texts in either form", async () => {
    await using api = new FakeCloudflare(["example.com"]);
    const name = "many.example.com";
    for (let index = 0; index < 250; index += 1)
      api.records.get("example.com")?.push({
        ...{ id: `old${index}`, name, type: "TXT", ttl: 1, proxied: false },
        content: index % 2 === 0 ? `text ${index}` : `"text ${index}"`,
      });
    const values = (await providerAt(api).find(name)).map(({ value }) => value);
    expect(values).toEqual(Array.from({ length: 250 }, (_, index) => `text ${index}`));
  });

  test("says what the API refuses, by its codes", async () => {
    await using api = new FakeCloudflare(["example.com"]);
    const record = { name: "app.example.com", type: "A", value: "192.0.2.1" } as const;
    expect(await failureOf(providerAt(api, { token: "wrong" }).add(record))).toMatchObject({
      code: "DNS_REFUSED",
      message: "Listing zones was refused by Cloudflare: Authentication error (10000)",
      hint: expect.stringContaining("dns.cloudflare.tokenFile must hold an API token"),
    });
    const provider = providerAt(api);
    expect(await failureOf(provider.add({ ...record, name: "app.example.org" }))).toMatchObject({
      code: "DNS_REFUSED",
      message: "No zone of this Cloudflare token holds app.example.org",
    });
    await provider.add(record);
    const alias = { ...record, type: "CNAME", value: "x.edge.net" } as const;
    expect(await failureOf(provider.add(alias))).toMatchObject({
      code: "RECORD_IN_THE_WAY",
      message: expect.stringContaining("already exists. (81053)"),
    });
  });

  test("waits as long as it is told to, and gives up after three times", async () => {
    await using api = new FakeCloudflare(["example.com"]);
    const waits: number[] = [];
    const provider = providerAt(api, { waits });
    api.busyFor = 2;
    expect(await provider.zoneOf("app.example.com")).toBe("example.com");
    expect(waits).toEqual([7_000, 7_000]);
    api.busyFor = 3;
    expect(await failureOf(provider.find("app.example.com"))).toMatchObject({
      code: "DNS_FAILED",
      retryable: true,
      message: expect.stringContaining("too many requests"),
    });
  });

  test("an API that is broken, away or endless fails for now, and its token is in no text", async () => {
    await using api = new FakeCloudflare(["example.com"]);
    const provider = providerAt(api);
    api.broken = () => new Response("<html>bad gateway</html>", { status: 502 });
    const failures = [await failureOf(provider.zoneOf("a.example.com"))];
    api.broken = () => new Response("x".repeat(1_100_000));
    failures.push(await failureOf(provider.zoneOf("a.example.com")));
    api.broken = () => Response.redirect("http://127.0.0.1:1/");
    failures.push(await failureOf(provider.zoneOf("a.example.com")));
    await api[Symbol.asyncDispose]();
    failures.push(await failureOf(provider.zoneOf("a.example.com")));
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: "DNS_FAILED", retryable: true });
      expect(Bun.inspect(failure)).not.toContain(api.token);
    }
  });
});
