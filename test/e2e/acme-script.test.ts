// This file is certificates by ACME where pebble has no way to go: renewal information, orders that take their time or never end, nonsense, a disk that is full..
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { MAX_ORDERS } from "../../src/edge/certificates/acme/acme-source.ts";
import { ChallengeAnswers } from "../../src/edge/certificates/acme/challenges.ts";
import { serialId } from "../../src/edge/certificates/acme/renewal-info.ts";
import { decide } from "../../src/edge/listen/front-door.ts";
import { reachedLimits } from "../../src/limits.ts";
import { eventually } from "../binary/program.ts";
import { within } from "../within.ts";
import { Bench, type BenchSetup, Clock, type Way } from "./acme-rig.ts";
import { ScriptedCa } from "./scripted-ca.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const NAME = "a.example.com";

/** A bench at a scripted CA; its clock runs fast. */
function start(ca: ScriptedCa, setup: Partial<BenchSetup> = {}): Promise<Bench> {
  return Bench.start({
    ...{ directory: ca.directory, fetch: ca.fetch, clock: new Clock(2_400) },
    ...setup,
  });
}

async function refusal(bench: Bench, name = NAME): Promise<string> {
  bench.source.want(name);
  return String(
    await within(
      bench.source.ready(name).then(
        () => "ready",
        (error: unknown) => error,
      ),
      "the end of the order",
    ),
  );
}

async function certified(bench: Bench, name = NAME): Promise<void> {
  bench.source.want(name);
  await within(bench.source.ready(name), `the certificate of ${name}`);
}

describe("ACME by a script", () => {
  test("an order that is processing is waited for, as long as the CA asks", async () => {
    const ca = await ScriptedCa.start({ processing: 3, retryAfter: "20" });
    await using bench = await start(ca);
    const from = bench.clock.now();
    await certified(bench);
    // One look that finds the challenge undecided would do; three at the order follow.
    expect(bench.clock.now() - from).toBeGreaterThan(850);
    expect(ca.orders).toHaveLength(1);
  });

  test("a CA that never decides: the name fails after five minutes, ten requests a minute, others go on (R-18)", async () => {
    const ca = await ScriptedCa.start({ isUndecided: true });
    await using bench = await start(ca);
    const before = reachedLimits().orderTime ?? 0;
    const error = await refusal(bench);
    expect(error).toContain("did not decide within 5 min");
    expect(reachedLimits().orderTime).toBe(before + 1);
    const quiet = bench.wire.at.filter((at) => at > (bench.wire.at[0] as number) + 30_000);
    expect(quiet.length).toBeGreaterThan(5);
    const busiest = Math.max(
      ...quiet.map((at) => quiet.filter((each) => each >= at && each < at + MINUTE).length),
    );
    expect(busiest).toBeLessThanOrEqual(10);
    ca.script.isUndecided = false;
    await certified(bench, "b.example.com");
  });

  /** Twenty certificates become due while the CA is in trouble; forty minutes later it is back. */
  async function trouble(way: Way): Promise<void> {
    const ca = await ScriptedCa.start({
      life: { notBefore: Date.now(), notAfter: Date.now() + 90 * DAY },
    });
    await using bench = await start(ca);
    const names = Array.from({ length: 20 }, (_, index) => `n${index}.${way}.example.com`);
    const [first = ""] = names;
    for (const name of names) bench.source.want(name);
    await within(Promise.all(names.map((name) => bench.source.ready(name))), "all certificates");
    const shown = bench.table.find(first);
    bench.wire.way = way;
    bench.wire.at.length = 0;
    bench.clock.skip(80 * DAY);
    const from = bench.clock.now();
    for (const name of names) bench.source.retry(name);
    await eventually(
      () => (bench.clock.now() - from > 40 * MINUTE ? true : undefined),
      "forty minutes of the edge's clock",
    );
    expect(bench.wire.busiestMinute).toBeLessThanOrEqual(10);
    // Every name was tried, and more than once where answers come quickly.
    expect(bench.wire.at.length).toBeGreaterThan(way === "hang" ? 2 : 5);
    expect(bench.table.find(first)).toBe(shown as never);
    for (const name of names) expect(bench.source.state(name).state).toBe("ready");
    expect(bench.messages.at(-1)).toContain("the one there is stays in use");
    bench.wire.way = "pass";
    for (const name of names) bench.source.retry(name);
    await eventually(
      () => bench.table.find(first) !== shown || undefined,
      "the renewal after the CA is back",
    );
  }

  test("refusing, hanging, down: what is there goes on being served, ten requests a minute in all, and it recovers (R-18)", async () => {
    await Promise.all([trouble("unreachable"), trouble("refuse"), trouble("hang")]);
  }, 30_000);

  test("the next certificate says which one it replaces, and comes in the window that the CA suggests", async () => {
    const ca = await ScriptedCa.start({ serial: "8f01" });
    await using bench = await start(ca);
    ca.script.window = { start: bench.clock.now() + 10 * DAY, end: bench.clock.now() + 11 * DAY };
    await certified(bench);
    await eventually(() => ca.asked.length > 0 || undefined, "the question when to renew");
    await eventually(() => ca.asked.length > 0 || undefined, "the question when to renew");
    const id = await ca.idOf(0);
    expect(ca.asked[0]).toBe(id as string);
    expect(id).toEndWith(`.${serialId("8f01")}`);
    bench.clock.skip(9 * DAY);
    bench.source.retry(NAME);
    expect(ca.orders).toHaveLength(1);
    bench.clock.skip(2 * DAY);
    ca.script.serial = "02";
    bench.source.retry(NAME);
    await eventually(() => ca.orders[1]?.chain !== undefined || undefined, "the renewal");
    expect(ca.orders[1]?.replaces).toBe(id as string);
  });

  test("a CA that does not like `replaces` makes the order without it", async () => {
    const ca = await ScriptedCa.start({ refusesReplaces: true });
    await using bench = await start(ca);
    await certified(bench);
    bench.clock.skip(80 * DAY);
    bench.source.retry(NAME);
    await eventually(() => ca.orders[1]?.chain !== undefined || undefined, "the renewal");
    expect(ca.orders[1]?.replaces).toBeUndefined();
  });

  test.each([
    ["8f01", "AI8B"],
    ["7f01", "fwE"],
    ["f01", "DwE"],
    ["00", "AA"],
  ])("serial number %s is %s in a certificate id: a 00 stands before a first bit", (serial, id) => {
    expect(serialId(serial)).toBe(id);
  });

  test("a certificate that does not name what was ordered is not served", async () => {
    const ca = await ScriptedCa.start({ signs: ["other.example.com"] });
    await using bench = await start(ca);
    expect(await refusal(bench)).toContain("does not name a.example.com");
    expect(bench.table.names).toEqual([]);
  });

  const nonsense: readonly [string, string, () => Response, string][] = [
    ["a directory that is a page", "dir", () => new Response("<html>"), "has no newNonce"],
    [
      "a directory without TLS",
      "dir",
      () => Response.json({ newNonce: "http://ca.test/nonce" }),
      "has no newNonce",
    ],
    [
      "an order that is none",
      "order",
      () => Response.json([], { headers: { location: "https://ca.test/order/0" } }),
      "answered with no order",
    ],
    ["an account without an address", "account", () => Response.json({}), "expected a Location"],
    [
      "a proof for another name",
      "authorization",
      () =>
        Response.json({
          ...{ status: "pending", identifier: { type: "dns", value: "\u001b[2Jbank.example.org" } },
          challenges: [{ type: "http-01", url: "https://ca.test/challenge/0", token: "t" }],
        }),
      'wants a proof for "[2Jbank.example.org", which was not ordered',
    ],
    [
      "kinds of challenges without end",
      "authorization",
      () =>
        Response.json({
          ...{ status: "pending", identifier: { type: "dns", value: NAME } },
          challenges: [{ type: `${"\u001b".repeat(3)}${"x".repeat(100_000)}` }],
        }),
      `The CA offers ${"x".repeat(300)}… for a.example.com`,
    ],
    [
      "an order with a thousand proofs",
      "order",
      () =>
        Response.json(
          {
            ...{ status: "pending", finalize: "https://ca.test/finalize/0" },
            authorizations: Array.from({ length: 1_000 }, () => "https://ca.test/authorization/0"),
          },
          { headers: { location: "https://ca.test/order/0" } },
        ),
      "wants 1000 proofs for one order",
    ],
    [
      "an address without TLS",
      "order",
      () =>
        Response.json(
          { status: "ready", finalize: "http://169.254.169.254/latest", authorizations: [] },
          { headers: { location: "https://ca.test/order/0" } },
        ),
      "expected one that begins with https://",
    ],
    ["a chain that is none", "certificate", () => new Response("hello"), "sent no certificate"],
    [
      "a problem with a terminal's control sequences",
      "order",
      () => Response.json({ detail: "\u001b[2Jbad\nworse" }, { status: 400 }),
      '"[2Jbad worse"',
    ],
    [
      "more bytes than any answer has",
      "dir",
      () => new Response(new Uint8Array(1_048_577)),
      "sent more than 1048576 bytes",
    ],
  ];
  test.each(nonsense)("%s ends in words", async (_, what, answer, words) => {
    const ca = await ScriptedCa.start({ answers: { [what]: answer } });
    await using bench = await start(ca);
    expect(await refusal(bench)).toContain(words);
  });

  test("a wrong clock is named as the cause: by the CA's own time, and by a certificate that is not valid yet", async () => {
    const date = new Date(Date.now() + 3 * 3_600_000).toUTCString();
    const ca = await ScriptedCa.start({
      answers: { order: () => Response.json({}, { status: 500, headers: { date } }) },
    });
    await using bench = await start(ca, { clock: new Clock(1) });
    expect(await refusal(bench)).toContain("the clock of this machine is 180 min behind the CA's");
    const early = await ScriptedCa.start({
      life: { notBefore: Date.now() + DAY, notAfter: Date.now() + 90 * DAY },
    });
    await using other = await start(early);
    await certified(other);
    await eventually(
      () =>
        other.messages.some((text) => text.includes("is not valid yet by the clock")) || undefined,
      "the warning",
    );
    const expired = Object.assign(new Error("expired"), { code: "CERT_HAS_EXPIRED" });
    await using shown = await start(early, { fetch: () => Promise.reject(expired) });
    expect(await refusal(shown)).toContain("has expired by the clock of this machine");
  });

  test("a full disk: the certificate serves from memory, is said so, and stored later", async () => {
    const ca = await ScriptedCa.start();
    await using bench = await start(ca);
    const folder = join(bench.state, "certs");
    writeFileSync(folder, "in the way");
    await certified(bench);
    await eventually(
      () => bench.messages.some((text) => text.includes("served from memory")) || undefined,
      "the warning",
    );
    rmSync(folder);
    mkdirSync(folder, { mode: 0o700 });
    // The calendar is looked at once a minute.
    await eventually(async () => {
      const { kind } = await bench.storage.load(NAME);
      return kind === "whole" || undefined;
    }, "the stored certificate");
  });

  test("a damaged pair is ordered again and never served; one that is whole serves over a restart", async () => {
    const ca = await ScriptedCa.start();
    await using bench = await start(ca);
    await certified(bench);
    await certified(bench, "b.example.com");
    await Promise.all([bench.stored(NAME), bench.stored("b.example.com")]);
    await bench.stop();
    const path = join(bench.state, "certs", NAME, "key.pem");
    const before = readFileSync(path, "utf8");
    writeFileSync(path, before.replace(/A/, "B"));
    await using again = await start(ca, { state: bench.state });
    await certified(again);
    await certified(again, "b.example.com");
    expect(again.messages[0]).toContain("is damaged (key.pem is not the one of meta.json)");
    expect(ca.orders).toHaveLength(3);
    // The disk is written after the certificate is served.
    await eventually(() => readFileSync(path, "utf8") !== before || undefined, "another key");
  });

  test("another CA makes its own certificate at once, and until it has the old one serves", async () => {
    const trial = await ScriptedCa.start();
    await using bench = await start(trial);
    await certified(bench);
    await bench.stored(NAME);
    await bench.stop();
    const real = await ScriptedCa.start({
      window: { start: Date.now() + 60 * DAY, end: Date.now() + 61 * DAY },
    });
    const setup = {
      state: bench.state,
      directory: "https://real.example.com/dir",
      clock: new Clock(1),
    };
    await using again = await start(real, {
      ...setup,
      ...{ domains: [NAME], weekly: { ca: "Scripted", certificates: 1 } },
    });
    await within(again.source.ready(NAME), "the certificate that is there");
    expect(real.orders[0]?.chain).toBeUndefined();
    await eventually(
      () => again.messages.some((text) => text.startsWith("renewed")) || undefined,
      "the certificate of the other CA",
    );
    expect(again.messages.join("\n")).toContain("certificate of the CA that was used before");
    // It is no renewal to this one.
    expect(real.orders.map(({ replaces }) => replaces)).toEqual([undefined]);
    expect(again.weekly?.lines()[0]?.issued).toBe(1);
    await eventually(() => real.asked.length > 0 || undefined, "the question when to renew");
    // About its own one, never about the other's.
    expect(real.asked).toEqual([(await real.idOf(0)) as string]);
    await eventually(
      async () => (await again.stored(NAME)).ca === setup.directory || undefined,
      "what the disk has",
    );
    await again.stop();
    await using third = await start(real, setup);
    await certified(third);
    await eventually(() => real.asked.length > 1 || undefined, "the question when to renew");
    expect([trial.orders.length, real.orders.length]).toEqual([1, 1]);
  });

  test("first certificates count towards the weekly limit: renewals, damaged pairs and a restart do not", async () => {
    const ca = await ScriptedCa.start();
    const setup = {
      ...{ clock: new Clock(1), domains: ["example.com"] },
      weekly: { ca: "Scripted", certificates: 5 },
    };
    await using bench = await start(ca, setup);
    const warned = ({ records }: Bench): number =>
      records.filter(({ event }) => event === "certificate.limit").length;
    await within(bench.source.ready("example.com"), "the certificate of the domain");
    for (const label of ["a", "b"]) await certified(bench, `${label}.example.com`);
    await certified(bench, "shop.customer.org");
    expect([warned(bench), bench.weekly?.lines()]).toEqual([0, []]);
    await certified(bench, "c.example.com");
    expect([warned(bench), bench.weekly?.lines()[0]?.issued]).toEqual([1, 4]);
    await certified(bench, "d.example.com");
    expect([warned(bench), bench.weekly?.lines()[0]?.issued]).toEqual([1, 5]);
    const labels = ["", "a.", "b.", "c.", "d."];
    await Promise.all(labels.map((label) => bench.stored(`${label}example.com`)));
    await bench.stop();
    const path = join(bench.state, "certs", NAME, "key.pem");
    writeFileSync(path, readFileSync(path, "utf8").replace(/A/, "B"));
    // What is there is renewed within a week of the CA's giving it, by a script whose certificates are old at once.
    ca.script.window = { start: Date.now() - 2 * DAY, end: Date.now() - DAY };
    await using again = await start(ca, { ...setup, state: bench.state });
    await certified(again);
    for (const label of labels.slice(2)) await certified(again, `${label}example.com`);
    // Six came first, one of them outside; the damaged one and four by renewal information.
    await eventually(
      () => again.messages.filter((text) => text.startsWith("renewed")).length >= 4 || undefined,
      "the renewals",
    );
    expect(ca.orders.length).toBeGreaterThanOrEqual(6 + 5);
    expect([warned(again), again.weekly?.lines()[0]?.issued]).toEqual([1, 5]);
  });

  test("a CA whose limit nobody knows: nothing is counted, nothing said", async () => {
    const ca = await ScriptedCa.start();
    await using bench = await start(ca, { domains: ["example.com"] });
    await within(bench.source.ready("example.com"), "the certificate of the domain");
    await bench.stored("example.com");
    expect(readdirSync(join(bench.state, "acme"), { recursive: true }).join()).not.toContain(
      "issued",
    );
  });

  test("failed validations count over both challenges and over a restart: three an hour (R-19)", async () => {
    const ca = await ScriptedCa.start({ fails: true });
    const clock = new Clock(1);
    const before = reachedLimits().failedValidations ?? 0;
    await using bench = await start(ca, { clock });
    bench.answers.isHttpOn = true;
    // The first try fails twice; the one after it may fail once more.
    const text = await refusal(bench);
    expect(text).toContain('could not validate a.example.com by http-01: "No address for http-01"');
    expect(ca.orders.map(({ failed }) => failed)).toEqual(["tls-alpn-01", "http-01"]);
    clock.skip(2 * MINUTE);
    bench.source.retry(NAME);
    await eventually(
      () => (reachedLimits().failedValidations ?? 0) > before || undefined,
      "the end of what is allowed",
    );
    expect(ca.orders).toHaveLength(3);
    await eventually(
      () => bench.source.state(NAME).state === "failed" || undefined,
      "the end of the try",
    );
    const { nextTryAt = 0 } = bench.source.state(NAME);
    expect(nextTryAt - clock.now()).toBeGreaterThan(50 * MINUTE);
    await bench.stop();
    await using again = await start(ca, { clock, state: bench.state });
    again.source.want(NAME);
    again.source.retry(NAME);
    const past = await eventually(() => {
      const state = again.source.state(NAME);
      return state.state === "failed" ? state : undefined;
    }, "the calendar");
    expect(past.text).toContain("three validations have failed within this hour");
    // Nobody is kept waiting for an order that is not under way.
    expect(again.source.arriving(NAME)).toBeUndefined();
    expect(ca.orders).toHaveLength(3);
    ca.script.fails = false;
    clock.skip(61 * MINUTE);
    again.source.retry(NAME);
    await within(again.source.ready(NAME), "the certificate");
  });

  test("a name that is released while its order runs has no certificate, and its order ends", async () => {
    const ca = await ScriptedCa.start({ isUndecided: true });
    await using bench = await start(ca);
    bench.source.want(NAME);
    await eventually(() => ca.orders.length > 0 || undefined, "the order");
    const waiting = bench.source.arriving(NAME);
    bench.source.unwant(NAME);
    await within(waiting ?? Promise.reject(new Error("Nobody waits")), "the end of the wait");
    expect(bench.source.state(NAME).state).toBe("none");
    expect(await bench.source.ready(NAME).catch((error: unknown) => String(error))).toContain(
      "it is not granted",
    );
    bench.clock.skip(DAY);
    bench.source.want("b.example.com");
    // The first request may be for a nonce, or the last one of the order that ended.
    await eventually(() => ca.orders.length > 1 || undefined, "the next order");
    expect(ca.orders.map(({ names }) => names[0])).toEqual([NAME, "b.example.com"]);
  });

  test("a name that is released while its order has no place yet keeps nobody waiting", async () => {
    const ca = await ScriptedCa.start({ isUndecided: true });
    await using bench = await start(ca, { clock: new Clock(1) });
    for (let number = 0; number < MAX_ORDERS; number += 1)
      bench.source.want(`n${number}.example.com`);
    await eventually(() => bench.wire.at.length > 0 || undefined, "the first orders");
    const full = (): number => reachedLimits().certificateOrders ?? 0;
    const before = full();
    bench.source.want(NAME);
    const waiting = bench.source.ready(NAME).catch((error: unknown) => String(error));
    await eventually(() => full() > before || undefined, "an order more than there are places");
    bench.source.unwant(NAME);
    expect(await within(waiting, "the end of the wait")).toContain("it is not granted");
  });

  test("a name without an address costs the CA nothing, and is ordered as soon as it has one", async () => {
    const ca = await ScriptedCa.start();
    const known = new Set<string>();
    await using bench = await start(ca, {
      clock: new Clock(1),
      hasAddress: async (name) => known.has(name),
    });
    for (let tries = 0; tries < 5; tries += 1) {
      expect(await refusal(bench)).toContain("a.example.com has no address");
      bench.source.retry(NAME);
    }
    expect(bench.wire.at).toEqual([]);
    await eventually(
      () => bench.source.state(NAME).state === "failed" || undefined,
      "the end of the last try",
    );
    known.add(NAME);
    bench.source.retry(NAME);
    await within(bench.source.ready(NAME), "the certificate");
  });

  test("a name that nobody has any more is not ordered again, whoever forgot to say so (R-19)", async () => {
    const ca = await ScriptedCa.start();
    const granted = new Set([NAME, "b.example.com"]);
    await using bench = await start(ca, { isGranted: (name) => granted.has(name) });
    await certified(bench);
    await certified(bench, "b.example.com");
    granted.delete(NAME);
    bench.clock.skip(80 * DAY);
    bench.source.retry("b.example.com");
    await eventually(() => ca.orders[2]?.chain !== undefined || undefined, "the renewal");
    expect(ca.orders.map(({ names }) => names[0])).toEqual([
      NAME,
      "b.example.com",
      "b.example.com",
    ]);
    expect([bench.source.state(NAME).state, bench.table.covers(NAME)]).toEqual(["none", false]);
  });

  test("more orders than may run wait for their turn, and all come", async () => {
    const ca = await ScriptedCa.start();
    await using bench = await start(ca);
    const before = reachedLimits().certificateOrders ?? 0;
    const names = Array.from({ length: MAX_ORDERS + 20 }, (_, index) => `n${index}.example.com`);
    for (const name of names) bench.source.want(name);
    await within(Promise.all(names.map((name) => bench.source.ready(name))), "all certificates");
    expect(ca.orders).toHaveLength(names.length);
    expect(reachedLimits().certificateOrders ?? 0).toBeGreaterThan(before);
  });

  test("a hundred thousand names of strangers cause no order and no question (R-19)", async () => {
    const ca = await ScriptedCa.start();
    await using bench = await start(ca);
    await certified(bench);
    const asked = bench.wire.at.length;
    const { source, table, answers } = bench;
    const doors = {
      isCovered: (name: string) => table.covers(name) || source.arriving(name) !== undefined,
      challenges: {
        server: "challenges",
        isExpected: (name: string) => answers.isExpected(name),
      },
      visitors: "visitors",
      links: "links",
    } as unknown as Parameters<typeof decide>[1];
    let refused = 0;
    for (let index = 0; index < 100_000; index++) {
      const serverName = `n${index}.${index % 2 === 0 ? "example.com" : "stranger.test"}`;
      const alpn = index % 3 === 0 ? ["acme-tls/1"] : ["http/1.1"];
      const decision = decide({ serverName, alpn, versions: [0x0304] }, doors);
      if (decision.kind === "refuse") refused += 1;
    }
    expect(refused).toBe(100_000);
    const own = decide({ serverName: NAME, alpn: [], versions: [0x0304] }, doors);
    expect(own.kind).toBe("handOver");
    expect([ca.orders.length, bench.wire.at.length]).toEqual([1, asked]);
  });

  test("challenges are answered while they are open, and to nobody else", async () => {
    const answers = new ChallengeAnswers(undefined, Date.now);
    const signal = new AbortController().signal;
    const challenge = { name: NAME, token: "token", keyAuthorization: "token.thumb" };
    {
      await using _http = await answers.present({ ...challenge, type: "http-01" }, signal);
      await using _tls = await answers.present({ ...challenge, type: "tls-alpn-01" }, signal);
      expect([answers.httpAnswer("token"), answers.httpAnswer("other")]).toEqual([
        "token.thumb",
        undefined,
      ]);
      expect([answers.isExpected(NAME), answers.isExpected("b.example.com")]).toEqual([
        true,
        false,
      ]);
    }
    expect([answers.httpAnswer("token"), answers.isExpected(NAME)]).toEqual([undefined, false]);
    answers.isHttpOn = false;
    expect(await answers.possible(NAME)).toEqual(["tls-alpn-01"]);
    expect(await answers.possible("*.example.com")).toEqual([]);
  });
});
