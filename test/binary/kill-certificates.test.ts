// This file is kill -9 of the edge at every change of its disk while it orders and stores a certificate: each is whole or absent, and the next start has one. R-17; reliability.md §4 items 6 and 7.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../scripts/rig/ports.ts";
import { CertificateStorage } from "../../src/edge/certificates/acme/storage.ts";
import { CAN_RUN, DOMAIN, TestEdge } from "../e2e/rig.ts";
import { HAS_PEBBLE, Pebble } from "../pebble.ts";
import { Cut, STOPPED, untilStopped } from "./cut.ts";
import { whyNoTracing } from "./tracer.ts";
import { Home, IS_SLOW, Running } from "./tunl.ts";

/** Stored pairs by name, judged as a start does, and by what a visitor would do with them. */
async function storedIn(state: string): Promise<string[]> {
  const certs = join(state, "certs");
  if (!existsSync(certs)) return [];
  const storage = new CertificateStorage(state);
  const whole: string[] = [];
  for (const name of readdirSync(certs)) {
    const found = await storage.load(name);
    expect([name, found.kind]).toEqual([name, expect.stringMatching(/^(none|whole)$/)]);
    if (found.kind !== "whole") continue;
    const leaf = new X509Certificate(found.certificate.cert);
    expect(leaf.checkPrivateKey(createPrivateKey(found.certificate.key))).toBe(true);
    whole.push(name);
  }
  return whole;
}

const reason = whyNoTracing();
const title = `kill -9 while a certificate is ordered (R-17)${reason === undefined ? "" : `: skipped, ${reason}`}`;
// The storage alone is killed at each step by storage.test.ts, at each commit.
const isMissing = !IS_SLOW || !CAN_RUN || !HAS_PEBBLE || reason !== undefined;

describe.skipIf(isMissing)(title, () => {
  const base = new Home();
  let pebble: Pebble;
  let words: readonly string[];

  beforeAll(async () => {
    const [tlsPort, httpPort] = [await freePort(), await freePort()];
    pebble = await Pebble.start({ tlsPort, httpPort });
    // A state that stands already: what is cut is the order and what it stores.
    await using edge = await TestEdge.start({ home: base.path });
    edge.process.signal("SIGTERM");
    await edge.process.ended;
    const settings = `certificates: {caFile: ${pebble.caFile}}\n`;
    writeFileSync(join(base.path, "edge.yml"), settings, { mode: 0o600 });
    words = [
      ...["edge", "--domain", DOMAIN, "--tls", "acme", "--acme-ca", pebble.directory],
      ...["--agree-tos", "--listen", `127.0.0.1:${tlsPort}`, "--http", "off"],
      ...["--log-format", "json"],
    ];
  });
  afterAll(async () => {
    await pebble?.[Symbol.asyncDispose]();
    base[Symbol.dispose]();
  });

  /** Runs the edge until the certificate of its domain is there, or it ends. */
  async function certified(process: Running): Promise<void> {
    await process.line(/"event":"certificate".*expires in/, { withinMs: 30_000 });
  }

  async function tryAt(at: number) {
    using home = new Home();
    cpSync(base.path, home.path, { recursive: true });
    const state = join(home.path, "state");
    let cut: Cut;
    {
      await using process = new Running(words, {
        home: home.path,
        through: STOPPED,
        deadlineMs: 60_000,
      });
      await untilStopped(process);
      cut = await Cut.start({ process, below: state, at });
      process.signal("SIGCONT");
      await certified(process).catch(() => undefined);
      process.signal("SIGKILL");
      await process.ended;
      await cut.ended();
    }
    const before = await storedIn(state);
    const isCut = cut.count >= at;
    if (!isCut) expect(before).toEqual([DOMAIN]);
    const accounts = (): string[] => filesOf(join(state, "acme"));
    for (const file of accounts())
      expect(() => JSON.parse(readFileSync(file, "utf8"))).not.toThrow();
    await using process = new Running(words, { home: home.path, deadlineMs: 60_000 });
    await certified(process);
    process.signal("SIGTERM");
    expect((await process.ended).code).toBe(0);
    expect(await storedIn(state)).toEqual([DOMAIN]);
    expect(accounts().length).toBeGreaterThan(0);
    return { isCut, isExact: cut.isExact, names: cut.names };
  }

  function filesOf(directory: string): string[] {
    if (!existsSync(directory)) return [];
    return readdirSync(directory, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".json") && !name.includes(".tmp"))
      .map((name) => join(directory, name));
  }

  test("at each write, fsync, rename and removal", async () => {
    const counts = { cut: 0, exact: 0 };
    for (let at = 1; ; at++) {
      const { isCut, isExact, names } = await tryAt(at);
      counts.cut += Number(isCut);
      counts.exact += Number(isExact);
      if (isCut) continue;
      console.log(`certificate: ${JSON.stringify(counts)}, whole: ${names.join(" ")}`);
      break;
    }
    expect(counts.cut).toBeGreaterThan(5);
    expect(counts.exact).toBeGreaterThan(counts.cut / 2);
  }, 1_200_000);
});
