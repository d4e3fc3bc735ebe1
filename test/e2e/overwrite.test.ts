// This file is an edge that is killed while a DNS provider replaces a record for it: after its restart the same command finishes, and the edge knows what is its own. product.md §6 item 4; R-17.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, Running, tunl } from "../binary/tunl.ts";
import { FakeCloudflare } from "../edge/dns/fake-cloudflare.ts";
import { HAS_NAMED, Named } from "../edge/dns/named.ts";
import { CAN_RUN, DOMAIN, TestEdge } from "./rig.ts";

const FOREIGN = "customer.test";
const HOST = `shop.${FOREIGN}`;
const OLD = ["127.0.0.66", "127.0.0.67"];

describe.skipIf(!CAN_RUN || !HAS_NAMED)("route dns --overwrite", () => {
  test.each(["before", "after"] as const)(
    "an edge that is killed %s the provider did it leaves the old records or the new one, and the same command finishes",
    async (moment) => {
      const lines = OLD.map((value) => `shop A ${value}\n`).join("");
      await using named = await Named.start({ zones: { [FOREIGN]: lines } });
      await using api = new FakeCloudflare([FOREIGN]);
      const old = OLD.map((content, id) => ({
        ...{ id: `old${id}`, name: HOST, type: "A", content, ttl: 60, proxied: false },
      }));
      api.records.set(FOREIGN, old);
      const stands = (): string[] =>
        (api.records.get(FOREIGN) ?? []).map(({ type, content }) => `${type} ${content}`);
      const bring: typeof api.onChange = (change, { name, type, content }) => {
        const value = type === "CNAME" ? `${content}.` : content;
        return named.update(`${change} ${name} ${change === "add" ? "60 " : ""}${type} ${value}`);
      };
      const arrived = Promise.withResolvers<void>();
      const hold = (): Promise<never> => {
        arrived.resolve();
        return new Promise(() => undefined);
      };
      if (moment === "before") api.beforeChange = hold;
      api.onChange = async (change, record) => {
        await bring(change, record);
        if (change === "add" && moment === "after") await hold();
      };

      using place = new Home();
      using edgeHome = new Home();
      const token = join(place.path, "cloudflare.token");
      writeFileSync(token, `${api.token}\n`, { mode: 0o600 });
      const setup = {
        settings: `dns: {provider: cloudflare, cloudflare: {tokenFile: ${token}}}\n`,
        environment: { TUNL_DNS_SERVERS: named.address, TUNL_CLOUDFLARE_API: api.url },
        home: edgeHome.path,
      };
      await using first = await TestEdge.start(setup);
      const invited = await first.invite(["--account", "--scope", `*.${FOREIGN}`]);
      expect((await tunl(["login", invited], { home: place.path })).code).toBe(0);
      const made = await tunl(["tunnel", "create", "cloudy", "--json"], { home: place.path });
      const alias = `CNAME ${JSON.parse(made.stdout).id}.${DOMAIN}`;
      const words = ["route", "dns", "cloudy", HOST, "--overwrite"];
      await using command = new Running(words, { home: place.path });
      await arrived.promise;
      first.process.signal("SIGKILL");
      await first.process.ended;
      expect((await command.ended).code).not.toBe(0);
      const left = moment === "before" ? OLD.map((value) => `A ${value}`) : [alias];
      expect(stands()).toEqual(left);

      api.beforeChange = async () => undefined;
      api.onChange = bring;
      await using _second = await TestEdge.start({ ...setup, port: first.port });
      expect(await tunl(words, { home: place.path })).toMatchObject({ code: 0 });
      expect(stands()).toEqual([alias]);
      // It knows the record as its own, and takes it away with the name.
      const away = await tunl(["route", "delete", HOST], { home: place.path });
      expect(away.code).toBe(0);
      expect(stands()).toEqual([]);
    },
  );
});
