// This file is `tunl route dns` with the executable and a real name server: covered, made, waited for, given up and gone on; what an edge says of its domains. product.md §1.1, §1.2, §6.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../binary/program.ts";
import { Home, IS_SLOW, Running, tunl } from "../binary/tunl.ts";
import { FakeCloudflare } from "../edge/dns/fake-cloudflare.ts";
import { HAS_NAMED, Named } from "../edge/dns/named.ts";
import { answered, CAN_RUN, curl, DOMAIN, startConnector, TestEdge } from "./rig.ts";

const FOREIGN = "customer.test";

/** What a command wrote for people, without what differs from run to run. */
function lines(stderr: string): string[] {
  return stderr
    .trimEnd()
    .split("\n")
    .map((line) =>
      line.replace(/ after [\d.]+ m?s$| in [\d.]+ m?s$/, "").replace(/127\.0\.0\.1:\d+/, "NS"),
    );
}

describe.skipIf(!CAN_RUN || !HAS_NAMED)("route dns", () => {
  let named: Named;
  let edge: TestEdge;
  const home = new Home();
  let id: string;

  beforeAll(async () => {
    named = await Named.start({
      zones: {
        [DOMAIN]: "@ A 127.0.0.1\n* A 127.0.0.1\ntaken A 127.0.0.66\n",
        [FOREIGN]: "old A 127.0.0.66\n",
      },
    });
    const rfc2136 = `{server: "${named.address}", keyFile: ${named.directory}/tunl-256.key}`;
    edge = await TestEdge.start({
      settings: `dns: {provider: rfc2136, ttl: 60, rfc2136: ${rfc2136}}\n`,
      environment: { TUNL_DNS_SERVERS: named.address },
      flags: ["--public-address", "127.0.0.1"],
    });
    const scope = [`*.${FOREIGN}`, `*.${DOMAIN}`].flatMap((each) => ["--scope", each]);
    const line = await edge.invite(["--account", ...scope]);
    await route("login", line);
    ({ id } = JSON.parse((await route("tunnel", "create", "my-tunnel", "--json")).stdout));
  });
  afterAll(async () => {
    await edge?.[Symbol.asyncDispose]();
    await named?.[Symbol.asyncDispose]();
    home[Symbol.dispose]();
  });

  async function tries(...words: string[]) {
    return await tunl([...words, "--log-format", "pretty"], { home: home.path });
  }

  async function route(...words: string[]) {
    const ended = await tries(...words);
    if (ended.code !== 0) throw new Error(`tunl ${words.join(" ")}: ${ended.stderr}`);
    return ended;
  }

  const dns = (host: string, ...flags: string[]) =>
    route("route", "dns", "my-tunnel", host, ...flags);

  async function visit(host: string) {
    return answered(await curl(edge, ["-i", `https://${host}/`]));
  }

  test("a name that the wildcard covers needs no record: granted, covered, certificate, live", async () => {
    const host = `myapp.${DOMAIN}`;
    const { stderr } = await dns(host);
    expect(lines(stderr)).toEqual([
      `✔ granted      ${host} to my-tunnel`,
      `✔ dns          *.${DOMAIN} already leads to the edge, no record needed`,
      `✔ certificate  ${host}, ready`,
    ]);
    await using connector = startConnector(
      "http_status:204",
      ["--tunnel", "my-tunnel", "--host", host],
      {
        home: home.path,
      },
    );
    await connector.event("connected");
    expect((await visit(host)).status).toBe(204);
    const { stdout } = await dns(host, "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ host, tunnel: "my-tunnel", url: `https://${host}:${edge.port}`, dns: "covered" },
    });
  });

  test("a record in the way is exit 7 and shown; --overwrite replaces it; list and delete know it", async () => {
    const host = `taken.${DOMAIN}`;
    const refused = await tries("route", "dns", "my-tunnel", host);
    expect([refused.code, lines(refused.stderr).slice(1)]).toEqual([
      7,
      [
        `✖ in the way   ${host} already has A 127.0.0.66`,
        "               Repeat with --overwrite to put the new record in its place",
      ],
    ]);
    expect(lines((await dns(host, "--overwrite")).stderr)).toEqual([
      `✔ granted      ${host} to my-tunnel`,
      `✔ dns          added ${host} A 127.0.0.1 by rfc2136`,
      "✔ dns          seen at NS",
      `✔ certificate  ${host}, ready`,
    ]);
    expect(await named.dig(host, "A")).toEqual(["127.0.0.1"]);
    const { stdout } = await route("route", "list", "--json");
    expect(JSON.parse(stdout).routes).toContainEqual({
      ...{ host, tunnel: "my-tunnel", how: "claimed", connectors: 0, dns: "leads here" },
      certificate: { state: "ready", days: 6 },
    });
    expect((await route("route", "delete", host)).stderr).toContain("its DNS record is removed");
    // The wildcard's again.
    expect(await named.dig(host, "A")).toEqual(["127.0.0.1"]);
    await named.update(`add ${host} 60 A 127.0.0.66`);
  });

  test("a custom domain is offline until its proof is seen, and served from then on", async () => {
    const host = `shop.${FOREIGN}`;
    await using connector = startConnector(
      "http_status:204",
      ["--tunnel", "my-tunnel", "--host", host],
      {
        home: home.path,
      },
    );
    const refused = await connector.find(
      (line) => (line.includes("has no proof") ? (JSON.parse(line) as { msg: string }) : undefined),
      "the name without proof",
    );
    expect(refused.msg).toContain(
      `add the record ${host} CNAME ${id}.${DOMAIN}, or where no CNAME can stand _tunl.${host} TXT ${id}`,
    );
    // Nobody may order a certificate for it yet, so a visitor is refused before a request is read.
    expect((await curl(edge, [`https://${host}/`])).code).not.toBe(0);
    expect(lines((await dns(host)).stderr)).toEqual([
      `✔ granted      ${host} to my-tunnel`,
      `✔ dns          added ${host} CNAME ${id}.${DOMAIN} by rfc2136`,
      "✔ dns          seen at NS",
      `✔ certificate  ${host}, ready`,
    ]);
    await connector.event("route");
    expect((await visit(host)).status).toBe(204);
    await route("route", "delete", host);
    expect(await named.dig(host, "CNAME")).toEqual([]);
  });

  test("a name server that is away costs no live name a request, and what is asked fails with its reason", async () => {
    const host = `calm.${DOMAIN}`;
    await dns(host);
    await using connector = startConnector(
      "http_status:204",
      ["--tunnel", "my-tunnel", "--host", host],
      {
        home: home.path,
      },
    );
    await connector.event("connected");
    await named.stop();
    try {
      expect((await visit(host)).status).toBe(204);
      const late = await tries("route", "dns", "my-tunnel", `other.${DOMAIN}`, "--timeout", "1s");
      expect(late.code).toBe(8);
      expect(late.stderr).toContain("nobody listens");
      expect((await visit(host)).status).toBe(204);
    } finally {
      await named.restart();
    }
  });

  test("without a provider the record is shown and waited for; Ctrl-C keeps the name, the same command goes on", async () => {
    await using bare = await TestEdge.start({ environment: { TUNL_DNS_SERVERS: named.address } });
    using elsewhere = new Home();
    const place = { home: elsewhere.path };
    const line = await bare.invite(["--account", "--scope", `*.${FOREIGN}`]);
    expect((await tunl(["login", line], place)).code).toBe(0);
    const made = await tunl(["tunnel", "create", "bare", "--json"], place);
    const tunnel = JSON.parse(made.stdout).id;
    const host = `wait.${FOREIGN}`;
    const words = ["route", "dns", "bare", host, "--log-format", "pretty", "--timeout", "30s"];
    await using first = new Running(words, place);
    await first.line(/CNAME/);
    first.signal("SIGINT");
    const { code, stderr } = await first.ended;
    expect([code, lines(stderr)]).toEqual([
      130,
      [
        `✔ granted      ${host} to bare`,
        `? dns          Add this record at the DNS provider of ${FOREIGN}; tunl waits for it (30 s, Ctrl-C is safe):`,
        `                 ${host}  CNAME  ${tunnel}.${DOMAIN}`,
        `✔ stopped      ${host} stays a name of bare; run the same command to go on`,
      ],
    ]);
    const add = (): Promise<void> => named.update(`add ${host} 60 CNAME ${tunnel}.${DOMAIN}.`);
    // Seen while it waits in the long form: it asks every five seconds.
    if (!IS_SLOW) await add();
    await using second = new Running(words, place);
    if (IS_SLOW) await second.line(/CNAME/).then(add);
    const ended = await second.ended;
    expect([ended.code, lines(ended.stderr).slice(IS_SLOW ? 3 : 1)]).toEqual([
      0,
      ["✔ dns          seen at NS", `✔ certificate  ${host}, ready`],
    ]);
    const late = await tunl(
      [...words.slice(0, 3), `late.${FOREIGN}`, "--timeout", "200ms", "--log-format", "pretty"],
      place,
    );
    expect(late.code).toBe(8);
    expect(late.stderr).toContain(`✖ check failed late.${FOREIGN} does not lead here after`);
    expect(late.stderr).toContain("run the same command again: the name stays yours");
  });

  test("records are made by Cloudflare's API where that holds the zone, and removed by it", async () => {
    await using api = new FakeCloudflare([FOREIGN]);
    api.onChange = (change, { name, type, content }) =>
      named.update(`${change} ${name} ${change === "add" ? "60 " : ""}${type} ${content}.`);
    using place = new Home();
    const token = join(place.path, "cloudflare.token");
    writeFileSync(token, `${api.token}\n`, { mode: 0o600 });
    await using bare = await TestEdge.start({
      settings: `dns: {provider: cloudflare, cloudflare: {tokenFile: ${token}}}\n`,
      environment: { TUNL_DNS_SERVERS: named.address, TUNL_CLOUDFLARE_API: api.url },
    });
    const line = await bare.invite(["--account", "--scope", `*.${FOREIGN}`]);
    expect((await tunl(["login", line], { home: place.path })).code).toBe(0);
    const made = await tunl(["tunnel", "create", "cloudy", "--json"], { home: place.path });
    const host = `cloud.${FOREIGN}`;
    const target = `${JSON.parse(made.stdout).id}.${DOMAIN}`;
    const words = ["route", "dns", "cloudy", host, "--log-format", "pretty"];
    const { code, stderr } = await tunl(words, { home: place.path });
    expect([code, lines(stderr)]).toEqual([
      0,
      [
        `✔ granted      ${host} to cloudy`,
        `✔ dns          added ${host} CNAME ${target} by cloudflare`,
        "✔ dns          seen at NS",
        `✔ certificate  ${host}, ready`,
      ],
    ]);
    expect(await named.dig(host, "CNAME")).toEqual([`${target}.`]);
    // One that cannot be removed now is told of, and goes later: the name is free all the same.
    const other = `other.${FOREIGN}`;
    expect((await tunl(["route", "dns", "cloudy", other], { home: place.path })).code).toBe(0);
    api.broken = () => new Response("bad gateway", { status: 502 });
    const pretty = ["--log-format", "pretty"];
    const freed = await tunl(["route", "delete", other, ...pretty], { home: place.path });
    api.broken = undefined;
    expect([freed.code, lines(freed.stderr)]).toEqual([
      0,
      [
        `✔ released     ${other}, it was a name of cloudy`,
        `⚠ dns          The record of ${other} is still there: The API of Cloudflare answered with status 502`,
        "               The edge removes it as soon as it can; or remove it at the DNS provider yourself",
      ],
    ]);
    // The record goes with the tunnel.
    const away = ["tunnel", "delete", "cloudy", "--yes"];
    expect((await tunl(away, { home: place.path })).code).toBe(0);
    // One after the other, the one that was left behind too.
    await eventually(() => api.records.get(FOREIGN)?.length === 0 || undefined, "the last record");
    await eventually(
      async () => ((await named.dig(host, "CNAME")).length === 0 ? true : undefined),
      "the end of the record at the name server",
    );
    expect(bare.process.output).not.toContain(api.token);
  });

  test("an edge says where it is and what the DNS says of its domains, and starts whatever that is", async () => {
    const files = [
      "--tls",
      "files",
      "--cert",
      `${home.path}/site.pem`,
      "--key",
      `${home.path}/site.key`,
    ];
    const made = Bun.spawnSync(
      `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=x -addext subjectAltName=DNS:${DOMAIN},DNS:*.${DOMAIN} -keyout ${home.path}/site.key -out ${home.path}/site.pem`.split(
        " ",
      ),
    );
    expect(made.exitCode).toBe(0);
    const start = (servers: string, domain: string, where: Home) =>
      new Running(
        [
          ...["edge", "--domain", domain, ...files, "--listen", "127.0.0.1:0", "--http", "off"],
          ...["--public-address", "127.0.0.1", "--log-format", "pretty"],
        ],
        { home: where.path, environment: { TUNL_DNS_SERVERS: servers } },
      );
    using one = new Home();
    using two = new Home();
    await using right = start(named.address, DOMAIN, one);
    expect(await right.line(/^✔ address/)).toBe("✔ address      127.0.0.1");
    expect(await right.line(/^✔ dns/)).toBe(`✔ dns          ${DOMAIN}, *.${DOMAIN} -> 127.0.0.1`);
    await using wrong = start(named.address, `new.${FOREIGN}`, two);
    expect(await wrong.line(/^✖ dns/)).toBe(
      `✖ dns          new.${FOREIGN} has no address; *.new.${FOREIGN} has no address`,
    );
    expect(await wrong.line(/^ +Add new/)).toContain(
      `Add new.${FOREIGN} A 127.0.0.1, *.new.${FOREIGN} A 127.0.0.1 at the DNS provider`,
    );
    await wrong.line(/^✔ ready/);
    // In the order in which a person reads it.
    const marks = right.output.split("\n").flatMap((line) => /^[✔✖⚠] (\S+)/.exec(line)?.[1] ?? []);
    expect(marks.slice(0, 6)).toEqual([
      ...["state", "listening", "address", "dns", "certificate", "ready"],
    ]);
  });
});
