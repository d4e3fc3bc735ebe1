// This file is the client of CAs against a real one: every challenge, accounts, rejected nonces, and a CA that does not do well..
import { createPublicKey, X509Certificate } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ChallengeAnswers } from "../../src/edge/certificates/acme/challenges.ts";
import { EXTERNAL_ACCOUNT, HAS_PEBBLE, Pebble, type PebbleSetup } from "../pebble.ts";
import { eventually } from "../binary/program.ts";
import { within } from "../within.ts";
import { Bench, type BenchSetup, Clock, Doors, reach, TxtAnswers } from "./acme-rig.ts";

const MINUTE = 60_000;
/** An hour of the edge's clock in a second and a half. */
const FAST = 2_400;

/** The leaf that is stored for a name. */
async function leafOf(bench: Bench, id: string): Promise<X509Certificate> {
  return new X509Certificate((await bench.stored(id)).cert);
}

/** A CA with nothing out of the ordinary, and doors at which it knocks. */
let pebble: Pebble;
let doors: Doors;
/** Benches share them, and ask for names of their own. */
let answers: ChallengeAnswers;

beforeAll(async () => {
  if (!HAS_PEBBLE) return;
  doors = await Doors.open();
  answers = new ChallengeAnswers(undefined, Date.now);
  doors.lead(answers);
  pebble = await Pebble.start(doors);
});
afterAll(async () => {
  await pebble?.[Symbol.asyncDispose]();
  await doors?.[Symbol.asyncDispose]();
});

const start = (setup: Partial<BenchSetup> = {}): Promise<Bench> =>
  Bench.start({ ...reach(pebble), answers, ...setup });

function count(bench: Bench, line: string): number {
  return bench.wire.lines.filter((each) => each === line).length;
}

describe.skipIf(!HAS_PEBBLE)("ACME with a CA that does well", () => {
  test("keys of each type", async () => {
    const curves = { p256: "prime256v1", p384: "secp384r1", rsa2048: 2_048 } as const;
    const check = async (keyType: keyof typeof curves): Promise<void> => {
      const name = `${keyType}.example.com`;
      await using bench = await start({ keyType });
      bench.source.want(name);
      await within(bench.source.ready(name), "the certificate");
      const leaf = await leafOf(bench, name);
      const { asymmetricKeyDetails } = leaf.publicKey;
      expect<unknown>(asymmetricKeyDetails?.namedCurve ?? asymmetricKeyDetails?.modulusLength).toBe(
        curves[keyType],
      );
      expect(leaf.checkHost(name)).toBe(name);
    };
    await Promise.all([check("p256"), check("p384"), check("rsa2048")]);
  });

  test("a domain whose zone can be edited has one wildcard, and names below it cause no order", async () => {
    const dns = new TxtAnswers(pebble.names, ["example.com"]);
    await using bench = await Bench.start({ ...reach(pebble), dns, domains: ["example.com"] });
    await within(bench.source.ready("example.com"), "the wildcard");
    const orders = (): number => count(bench, "POST order-plz");
    expect((await leafOf(bench, "*.example.com")).subjectAltName).toBe(
      "DNS:example.com, DNS:*.example.com",
    );
    for (const name of ["a.example.com", "b.example.com"]) {
      bench.source.want(name);
      await bench.source.ready(name);
    }
    expect([orders(), dns.total, dns.shown]).toEqual([1, 2, 0]);
    // Two labels are beyond the wildcard.
    bench.source.want("a.b.example.com");
    await within(bench.source.ready("a.b.example.com"), "the certificate");
    expect([orders(), dns.total, dns.shown]).toEqual([2, 3, 0]);
  });

  test("a wildcard that nobody can prove fails in words, and costs no validation", async () => {
    await using bench = await start();
    bench.source.want("*.dev.example.com");
    const error = await bench.source.ready("*.dev.example.com").catch((reason: unknown) => reason);
    expect(String(error)).toContain("a wildcard is proven by DNS-01");
    expect(bench.wire.lines.filter((line) => line.startsWith("POST"))).toEqual([]);
  });

  test("the next challenge is tried where one fails, and the one that did well comes first the next time", async () => {
    // TLS-ALPN-01 comes first, and here it finds nobody.
    await using bench = await start();
    doors.lead(answers, false);
    using _ = { [Symbol.dispose]: () => doors.lead(answers) };
    bench.source.want("next.example.com");
    await within(bench.source.ready("next.example.com"), "the certificate");
    const meta = await bench.stored("next.example.com");
    expect([meta.challenge, meta.names]).toEqual(["http-01", ["next.example.com"]]);
    expect(count(bench, "POST order-plz")).toBe(2);
    bench.clock.skip(0.8 * 5 * 365 * 24 * 60 * MINUTE);
    bench.source.retry("next.example.com");
    await eventually(
      () => bench.messages.some((text) => text.includes("renewed")) || undefined,
      "the renewal",
    );
    expect(count(bench, "POST order-plz")).toBe(3);
  });

  test("one account serves every order, over a restart too; equal orders are one", async () => {
    await using bench = await start({ email: "me@example.com" });
    for (const name of ["one.example.com", "two.example.com", "one.example.com"])
      bench.source.want(name);
    await within(
      Promise.all(["one", "two", "one"].map((label) => bench.source.ready(`${label}.example.com`))),
      "the certificates",
    );
    expect([count(bench, "POST sign-me-up"), count(bench, "POST order-plz")]).toEqual([1, 2]);
    await Promise.all(["one", "two"].map((label) => bench.stored(`${label}.example.com`)));
    await bench.stop();
    expect(readdirSync(join(bench.state, "acme"))).toHaveLength(1);
    await using again = await start({ state: bench.state, email: "me@example.com" });
    for (const name of ["one.example.com", "three.example.com"]) again.source.want(name);
    await within(
      Promise.all(["one", "three"].map((label) => again.source.ready(`${label}.example.com`))),
      "the certificate after the restart",
    );
    const orders = again.wire.lines.filter((line) => line === "POST order-plz");
    expect([orders.length, again.wire.lines.includes("POST sign-me-up")]).toEqual([1, false]);
  });
});

describe.skipIf(!HAS_PEBBLE)("ACME with a CA that does not do well", () => {
  /** A pebble of its own, and a bench at its doors; the clock of the bench runs fast. */
  async function special(
    setup: PebbleSetup,
    bench: Partial<BenchSetup> = {},
  ): Promise<{ pebble: Pebble; bench: Bench } & AsyncDisposable> {
    await using stack = new AsyncDisposableStack();
    const own = stack.use(await Doors.open());
    const ca = stack.use(
      await Pebble.start({ httpPort: own.httpPort, tlsPort: own.tlsPort, ...setup }),
    );
    const started = stack.use(
      await Bench.start({ ...reach(ca), doors: own, clock: new Clock(FAST), ...bench }),
    );
    const resources = stack.move();
    return {
      ...{ pebble: ca, bench: started },
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  }

  test("nine of ten nonces rejected: the certificate comes, at most ten requests a minute (R-18)", async () => {
    await using rig = await special({ rejects: 90 });
    const { bench } = rig;
    bench.source.want("slow.example.com");
    await within(bench.source.ready("slow.example.com"), "the certificate", 20_000);
    const { wire } = bench;
    expect(wire.at.length).toBeGreaterThan(40);
    expect(wire.busiestMinute).toBeLessThanOrEqual(10);
  }, 30_000);

  test("a name with wrong DNS has three failed validations an hour, and delays nobody (R-18, R-19)", async () => {
    await using bench = await start({ challenge: "tls-alpn-01", clock: new Clock(2 * FAST) });
    await pebble.names.setAddresses("wrong.example.com", ["127.0.0.2"]);
    bench.source.want("wrong.example.com");
    const from = bench.clock.now();
    const error = await bench.source.ready("wrong.example.com").catch((reason: unknown) => reason);
    expect(String(error)).toContain("could not validate wrong.example.com by tls-alpn-01");
    bench.source.want("right.example.com");
    await within(bench.source.ready("right.example.com"), "the certificate of the other name");
    await eventually(() => {
      bench.source.retry("wrong.example.com");
      return bench.clock.now() - from > 90 * MINUTE ? true : undefined;
    }, "ninety minutes of the edge's clock");
    const failures = bench.records.filter(({ message }) =>
      message.startsWith("wrong.example.com: "),
    );
    expect(failures.length).toBeGreaterThanOrEqual(4);
    expect(failures.length).toBeLessThanOrEqual(6);
    // Then the DNS is mended, and the owner says so; the next one is due within the hour.
    await pebble.names.clearAddresses("wrong.example.com");
    await within(
      (async () => {
        for (;;) {
          bench.source.retry("wrong.example.com");
          const isReady = await bench.source.ready("wrong.example.com").then(
            () => true,
            () => false,
          );
          if (isReady) return;
          await Bun.sleep(20);
        }
      })(),
      "the certificate",
      15_000,
    );
  }, 40_000);

  test("an account that is bound to one of the CA's web page; without it, or with a wrong key, it says so", async () => {
    const key = Buffer.from(EXTERNAL_ACCOUNT.key, "base64url");
    await using rig = await special(
      { wantsExternalAccount: true },
      { external: { keyId: EXTERNAL_ACCOUNT.keyId, key } },
    );
    rig.bench.source.want("eab.example.com");
    await within(rig.bench.source.ready("eab.example.com"), "the certificate");
    const refused = async (setup: Partial<BenchSetup>): Promise<string> => {
      await using bench = await Bench.start({ ...reach(rig.pebble), ...setup });
      bench.source.want("no.example.com");
      return String(await bench.source.ready("no.example.com").catch((error: unknown) => error));
    };
    expect(await refused({})).toContain("binds accounts to those of its web page");
    const wrong = Buffer.alloc(32, 7);
    expect(await refused({ external: { keyId: EXTERNAL_ACCOUNT.keyId, key: wrong } })).toContain(
      "The CA refused the account",
    );
  });

  test("a CA that forgot its accounts gets a new one with the same key; one with terms is not asked without consent", async () => {
    await using rig = await special({});
    const { bench } = rig;
    bench.source.want("before.example.com");
    await within(bench.source.ready("before.example.com"), "the certificate");
    await rig.pebble.stop();
    await using again = await Pebble.start({ again: rig.pebble });
    expect(again.port).toBe(rig.pebble.port);
    bench.source.want("after.example.com");
    const error = String(
      await bench.source.ready("after.example.com").catch((reason: unknown) => reason),
    );
    expect(error).toContain("accountDoesNotExist");
    bench.source.retry("after.example.com");
    await eventually(
      () => bench.wire.lines.filter((line) => line === "POST sign-me-up").length === 2 || undefined,
      "a new account",
    );
    await using strict = await Bench.start({ ...reach(again), isAgreed: false });
    strict.source.want("strict.example.com");
    const refusal = String(
      await strict.source.ready("strict.example.com").catch((reason: unknown) => reason),
    );
    expect(refusal).toContain("are not agreed to");
    expect(strict.wire.lines).not.toContain("POST sign-me-up");
  });
});
