// This file is the weekly limit of Let's Encrypt, as its owner sees it: the compiled executable with its own CA, before the real protocol. product.md §7.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { freePort } from "../../scripts/rig/ports.ts";
import { caAddress } from "../../src/edge/certificates/acme/account.ts";
import { IssuedFile } from "../../src/edge/certificates/acme/weekly-log.ts";
import { Home, tunl } from "../binary/tunl.ts";
import { HAS_PEBBLE, Pebble } from "../pebble.ts";
import { LetsEncrypt } from "./letsencrypt.ts";
import { CAN_RUN, DOMAIN, type EdgeSetup, TestEdge, Tunnel } from "./rig.ts";

const DAY_MS = 86_400_000;

describe.skipIf(!CAN_RUN || !HAS_PEBBLE)("the weekly limit of Let's Encrypt", () => {
  test("the 40th certificate of a week is said in the log and in status, again after a restart, and not of another CA", async () => {
    using home = new Home();
    const [tlsPort, httpPort] = [await freePort(), await freePort()];
    await using pebble = await Pebble.start({ tlsPort, httpPort });
    await using ca = await LetsEncrypt.start(pebble);
    // What this edge has had: the first of them leaves in a day, and one has left already.
    const oldest = Date.now() - 6 * DAY_MS;
    const file = new IssuedFile(join(home.path, "state"), caAddress("letsencrypt"));
    await file.save(
      [oldest - 2 * DAY_MS, oldest, ...Array.from({ length: 37 }, () => Date.now())].map(
        (at, index) => ({ name: `n${index}.${DOMAIN}`, at }),
      ),
    );
    const setup: EdgeSetup = {
      ...{ tls: "acme", port: tlsPort, home: home.path, environment: ca.environment },
      flags: ["--agree-tos"],
      settings: `certificates: {caFile: ${ca.caFile}}\n`,
    };
    const status = async (edge: TestEdge, flags: readonly string[] = []): Promise<string> => {
      const { code, stdout, stderr } = await tunl(["status", ...flags], edge);
      expect([code, stderr]).toEqual([0, ""]);
      return stdout;
    };
    const leaves = new Date(oldest + 7 * DAY_MS).toISOString();
    const near = {
      ...{ domain: DOMAIN, issued: 40, limit: 50, oldestLeavesAt: leaves },
      hint: `Set dns.provider in edge.yml: then one wildcard certificate, *.${DOMAIN}, is for all names of one label below it`,
    };
    {
      // The domain itself is the 39th.
      await using edge = await TestEdge.start(setup);
      await edge.process.line(new RegExp(`"msg":"${DOMAIN}, expires in`));
      expect(JSON.parse(await status(edge, ["--json"])).edge.certificateLimits).toEqual([]);
      expect(edge.process.output).not.toContain("certificate.limit");
      await using _tunnel = await Tunnel.start({ target: "http_status:200", edge });
      expect(await edge.process.event("certificate.limit")).toMatchObject({
        ...near,
        level: "warn",
      });
      const [said] = JSON.parse(await status(edge, ["--json"])).edge.certificateLimits;
      expect(said).toMatchObject({ ...near, ca: "Let's Encrypt", days: 7 });
      const lines = (await status(edge)).split("\n").map((line) => line.trim());
      const at = lines.indexOf(
        `⚠ ${DOMAIN} and names below it have had 40 of the 50 first certificates that Let's Encrypt gives in 7 days; the oldest counts until ${leaves.slice(0, 10)} ${leaves.slice(11, 16)} UTC`,
      );
      expect([lines[at - 1], lines[at + 1]]).toEqual([
        expect.stringContaining(`app.${DOMAIN}`),
        near.hint,
      ]);
    }
    expect(readFileSync(file.path, "utf8")).toContain(`"app.${DOMAIN}"`);
    {
      await using edge = await TestEdge.start(setup);
      expect(await edge.process.event("certificate.limit")).toMatchObject(near);
    }
    await using other = await TestEdge.start({
      ...setup,
      flags: ["--agree-tos", "--acme-ca", pebble.directory],
      settings: `certificates: {caFile: ${pebble.caFile}}\n`,
    });
    await other.process.line(new RegExp(`"msg":"${DOMAIN}, expires in`));
    expect(JSON.parse(await status(other, ["--json"])).edge.certificateLimits).toEqual([]);
    expect(other.process.output).not.toContain("certificate.limit");
  }, 30_000);
});
