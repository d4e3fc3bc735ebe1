// This file is where requests go: to a session, to wait for one, or away; and that nothing which may have arrived goes twice. http.md §11, §12.
import { describe, expect, test } from "bun:test";
import { DISPATCHES_MAX, OPEN_WAITERS_MAX } from "../../src/edge/dispatch.ts";
import { HOLD_IN_ALL, HOLD_PER_HOST } from "../../src/edge/route/index.ts";
import { OPEN_CREDIT_WAIT_MS, SESSION_CODES } from "../../src/session/index.ts";
import { within } from "../within.ts";
import { answerTo, CountingOrigin, HOST, TestEdge, type TestVisit } from "./tunnel-rig.ts";

const KIB = 1_024;

/** Parts of a body, each with its own content. */
function parts(count: number, size: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => new Uint8Array(size).fill(index + 1));
}

async function answerOf(visit: TestVisit): Promise<string> {
  const { status, error, ending, text } = await visit.outcome;
  return `${status} ${error ?? text} ${ending}`;
}

/** Lets everything happen that is under way in this process: some turns of the loop. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("a request without a session", () => {
  test("waits for the first one, unread; those of a name go in the order they came", async () => {
    await using edge = await TestEdge.start();
    const body = parts(3, 10 * KIB);
    const visits = [edge.visit(), edge.visit({ body }), edge.visit({ body, hasLength: false })];
    await turns();
    expect(visits.map(({ body: { isStarted } }) => isStarted)).toEqual([false, false, false]);
    // What the visitor goes on sending stays with it.
    expect(visits.map(({ body: { isWithheld } }) => isWithheld)).toEqual([true, true, true]);
    expect([edge.service.parked, edge.service.inProgress]).toEqual([3, 3]);
    const { origin } = await edge.connect();
    const answers = await Promise.all(visits.map(answerOf));
    expect(answers).toEqual([
      `200 ${answerTo([])} whole`,
      `200 ${answerTo(body)} whole`,
      `200 ${answerTo(body)} whole`,
    ]);
    expect([...origin.counts]).toEqual(visits.map(({ id }) => [id, 1]));
    expect([edge.service.parked, edge.service.inProgress]).toEqual([0, 0]);
  });

  test("waits for one that serves its name, not for any", async () => {
    await using edge = await TestEdge.start();
    const visit = edge.visit();
    const other = await edge.connect({ hosts: ["api.example.com"] });
    await turns();
    expect([edge.service.parked, other.origin.counts.size]).toEqual([1, 0]);
    other.live.announce({}, { hosts: [HOST], takesRest: false });
    expect((await visit.outcome).status).toBe(200);
    expect(other.origin.counts.get(visit.id)).toBe(1);
  });

  test("is turned away at once where its name has no proof, whoever is there or expected", async () => {
    await using edge = await TestEdge.start();
    edge.suspended.add(HOST);
    expect(await answerOf(edge.visit())).toBe("503 TUNNEL_OFFLINE whole");
    const { origin } = await edge.connect();
    expect(await answerOf(edge.visit())).toBe("503 TUNNEL_OFFLINE whole");
    expect([edge.service.parked, origin.counts.size]).toEqual([0, 0]);
    edge.suspended.clear();
    expect((await edge.visit().outcome).status).toBe(200);
  });

  test("an upgrade waits like any other", async () => {
    await using edge = await TestEdge.start();
    const visit = edge.visit({ upgrade: "websocket" });
    await turns();
    expect(edge.service.parked).toBe(1);
    const { origin } = await edge.connect();
    const begun = Promise.withResolvers<void>();
    origin.onRequest = begun.resolve;
    if (!origin.counts.has(visit.id)) await within(begun.promise, "the upgrade at the origin");
    expect(origin.counts.get(visit.id)).toBe(1);
  });

  test("whoever leaves frees the place, and reaches no origin", async () => {
    await using edge = await TestEdge.start();
    const [leaving, staying] = [edge.visit(), edge.visit()];
    leaving.leave();
    expect([edge.service.parked, edge.service.inProgress]).toEqual([1, 1]);
    const { origin } = await edge.connect();
    await staying.outcome;
    expect([...origin.counts.keys()]).toEqual([staying.id]);
  });

  test("is told when the time of the hold is over: Retry-After 5", async () => {
    await using edge = await TestEdge.start({ holdMs: 300 });
    const { status, error, retryAfter, afterMs } = await edge.visit().outcome;
    expect([status, error, retryAfter]).toEqual([503, "TUNNEL_OFFLINE", 5]);
    expect(afterMs).toBeGreaterThanOrEqual(300);
    expect([edge.service.parked, edge.service.inProgress]).toEqual([0, 0]);
  });

  test("is told soon when its name is taken away meanwhile", async () => {
    await using edge = await TestEdge.start();
    const visit = edge.visit();
    edge.owner = undefined;
    const { status, error, afterMs } = await visit.outcome;
    expect([status, error]).toEqual([404, "NO_ROUTE"]);
    expect(afterMs).toBeLessThan(5_000);
    expect([edge.service.parked, edge.service.inProgress]).toEqual([0, 0]);
  });

  test("is told that all are busy when a connector came back and had no stream for it", async () => {
    // Long enough for a connector to come on a busy machine.
    await using edge = await TestEdge.start({ holdMs: 1_500 });
    const visits = [edge.visit(), edge.visit()];
    const origin = new CountingOrigin();
    origin.manner = "silent";
    await edge.connect({ origin, streams: 1 });
    expect((await visits[1]?.outcome)?.error).toBe("TUNNEL_BUSY");
    expect([...origin.counts.keys()]).toEqual([visits[0]?.id ?? ""]);
    visits[0]?.leave();
  });

  test.each([
    ["a hold of 0", 0, 0, 5],
    ["a tunnel that was here 11 minutes ago", 10_000, 660_000, 30],
    ["a tunnel that never was here, or whose keys are revoked", 10_000, undefined, 30],
  ] as const)("%s: told at once", async (_name, holdMs, agoMs, expected) => {
    await using edge = await TestEdge.start({ holdMs });
    edge.seenAt = agoMs === undefined ? undefined : Date.now() - agoMs;
    const visit = edge.visit();
    // In the same turn.
    expect(visit.isOver).toBe(true);
    const { status, error, retryAfter } = await visit.outcome;
    expect([status, error, retryAfter]).toEqual([503, "TUNNEL_OFFLINE", expected]);
  });

  test(`${HOLD_PER_HOST} of a name wait, the next one is told at once`, async () => {
    await using edge = await TestEdge.start();
    const visits = Array.from({ length: HOLD_PER_HOST }, () => edge.visit());
    const visit = edge.visit();
    // In the same turn.
    expect(visit.isOver).toBe(true);
    const { status, error, retryAfter } = await visit.outcome;
    expect([status, error, retryAfter]).toEqual([503, "HOST_BUSY", 1]);
    await edge.connect();
    const answers = await Promise.all(visits.map(({ outcome }) => outcome));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
  });

  test("ten thousand at once: as many as there are places wait, the others are told in the same turn", async () => {
    await using edge = await TestEdge.start();
    const names = 50;
    const visits = Array.from({ length: 10_000 }, (_, index) =>
      edge.visit({ host: `h${index % names}.example.com` }),
    );
    expect(edge.service.parked).toBe(HOLD_IN_ALL);
    const told = await Promise.all(
      visits.filter(({ isOver }) => isOver).map(({ outcome }) => outcome),
    );
    expect(told.length).toBe(10_000 - HOLD_IN_ALL);
    expect(new Set(told.map(({ error }) => error))).toEqual(new Set(["EDGE_BUSY"]));
    const { origin } = await edge.connect({ streams: HOLD_IN_ALL });
    const waited = visits.slice(0, HOLD_IN_ALL);
    const answers = await Promise.all(waited.map(({ outcome }) => outcome));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(origin.counts.size).toBe(HOLD_IN_ALL);
  });

  test("a connector that drains is none", async () => {
    await using edge = await TestEdge.start();
    const first = await edge.connect();
    expect((await edge.visit().outcome).status).toBe(200);
    first.session.goAway(SESSION_CODES.SHUTDOWN.code, 0, "");
    while (!first.live.session.isDraining) await turns();
    const visit = edge.visit();
    await turns();
    expect(edge.service.parked).toBe(1);
    const second = await edge.connect();
    await visit.outcome;
    expect([first.origin.counts.size, second.origin.counts.size]).toEqual([1, 1]);
  });

  test("an edge that stops tells those that wait", async () => {
    await using edge = await TestEdge.start();
    const visit = edge.visit();
    edge.service.stopHolding();
    const { status, error, retryAfter } = await visit.outcome;
    expect([status, error, retryAfter]).toEqual([503, "TUNNEL_OFFLINE", 5]);
    expect((await edge.visit().outcome).error).toBe("TUNNEL_OFFLINE");
  });
});

describe("limits", () => {
  test("requests of one hostname in progress: the next is told at once, those of another name are not", async () => {
    await using edge = await TestEdge.start({ concurrent: 3 });
    const origin = new CountingOrigin();
    origin.manner = "silent";
    await edge.connect({ origin });
    const visits = [edge.visit(), edge.visit(), edge.visit()];
    const visit = edge.visit();
    // In the same turn.
    expect(visit.isOver).toBe(true);
    const { status, error } = await visit.outcome;
    expect([status, error]).toEqual([503, "HOST_BUSY"]);
    edge.visit({ host: "api.example.com" });
    expect(edge.service.inProgress).toBe(4);
    for (const visit of visits) visit.leave();
    while (edge.service.inProgress > 1) await turns();
  });

  test("streams of a session: a request without one waits 100 ms, then it is told", async () => {
    await using edge = await TestEdge.start();
    const origin = new CountingOrigin();
    origin.manner = "silent";
    await edge.connect({ origin, streams: 2 });
    const busy = [edge.visit(), edge.visit()];
    const { status, error, retryAfter, afterMs } = await edge.visit().outcome;
    expect([status, error, retryAfter]).toEqual([503, "TUNNEL_BUSY", 1]);
    expect(afterMs).toBeGreaterThanOrEqual(OPEN_CREDIT_WAIT_MS);
    expect(edge.service.waiting).toBe(0);
    for (const visit of busy) visit.leave();
    while (edge.service.inProgress > 0) await turns();
  });

  test("one that gets its stream meanwhile is served", async () => {
    await using edge = await TestEdge.start();
    const { origin } = await edge.connect({ streams: 1 });
    // A busy machine may take longer than the 100 ms: then once more.
    for (let status = 0; status !== 200;) {
      origin.manner = "silent";
      const busy = edge.visit();
      while (!origin.counts.has(busy.id) && !busy.isOver) await turns();
      if (busy.isOver) continue;
      const late = edge.visit();
      expect(edge.service.waiting).toBe(1);
      origin.manner = "whole";
      busy.leave();
      ({ status } = await late.outcome);
      while (edge.service.inProgress > 0) await turns();
    }
  });

  test(`${OPEN_WAITERS_MAX} requests wait for a stream, the next one is told at once`, async () => {
    await using edge = await TestEdge.start({ concurrent: 2 * OPEN_WAITERS_MAX });
    const origin = new CountingOrigin();
    origin.manner = "silent";
    await edge.connect({ origin, streams: 1 });
    const visits = Array.from({ length: 1 + OPEN_WAITERS_MAX }, () => edge.visit());
    expect(edge.service.waiting).toBe(OPEN_WAITERS_MAX);
    const last = edge.visit();
    expect(last.isOver).toBe(true);
    expect((await last.outcome).error).toBe("TUNNEL_BUSY");
    for (const visit of visits) visit.leave();
    expect(edge.service.waiting).toBe(0);
  });

  test("without a stream in one session it goes to another one", async () => {
    await using edge = await TestEdge.start();
    const first = await edge.connect({ streams: 1 });
    first.origin.manner = "silent";
    edge.visit();
    const second = await edge.connect({ streams: 9 });
    second.origin.manner = "silent";
    for (let index = 0; index < 3; index++) edge.visit();
    await turns();
    expect([first.live.exchanges, second.live.exchanges]).toEqual([1, 3]);
    expect(edge.service.waiting).toBe(0);
  });
});

describe("a request that its session refused", () => {
  test.each([
    ["without a body", undefined, true],
    ["with a small body", parts(2, 100), true],
    ["with a body of unknown length", parts(3, 20 * KIB), false],
    ["with a body larger than every window", parts(64, 32 * KIB), true],
  ] as const)("%s arrives whole at another one", async (_name, body, hasLength) => {
    await using edge = await TestEdge.start();
    const refusing = await edge.connect({ takes: false });
    const taking = await edge.connect();
    // The one with fewer exchanges is asked first.
    taking.live.exchanges += 1;
    const visit = edge.visit({ ...(body !== undefined && { body }), hasLength });
    expect(refusing.live.exchanges).toBe(1);
    expect(await answerOf(visit)).toBe(`200 ${answerTo(body ?? [])} whole`);
    expect([refusing.live.exchanges, taking.live.exchanges]).toEqual([0, 1]);
    expect([refusing.origin.counts.size, taking.origin.counts.get(visit.id)]).toEqual([0, 1]);
    while (refusing.live.session.streams > 0) await turns();
  });

  test("waits for another one where there is none, and what comes of its body meanwhile is not lost", async () => {
    await using edge = await TestEdge.start();
    const refusing = await edge.connect({ takes: false });
    const body = parts(4, 5 * KIB);
    const visit = edge.visit({ body, readyParts: 2 });
    while (edge.service.parked === 0) await turns();
    visit.body.more();
    const taking = await edge.connect();
    visit.body.more();
    expect(await answerOf(visit)).toBe(`200 ${answerTo(body)} whole`);
    expect([refusing.live.exchanges, taking.origin.counts.get(visit.id)]).toEqual([0, 1]);
  });

  test("whole already, has its visitor listened to again where the next session takes it slowly", async () => {
    await using edge = await TestEdge.start();
    await edge.connect({ takes: false });
    const visit = edge.visit({ body: parts(4, 25 * KIB) });
    while (edge.service.parked === 0) await turns();
    expect(visit.body.isWithheld).toBe(true);
    // Little may wait for a session of a process that is nearly full.
    edge.budget.hold(1_000 * KIB * KIB);
    const { origin } = await edge.connect({ origin: new CountingOrigin() });
    origin.manner = "silent";
    while (!origin.counts.has(visit.id)) await turns();
    expect(visit.body.isWithheld).toBe(false);
  });

  test("whoever leaves while it waits again is forgotten", async () => {
    await using edge = await TestEdge.start();
    await edge.connect({ takes: false });
    const visit = edge.visit({ body: parts(1, 100) });
    while (edge.service.parked === 0) await turns();
    visit.leave();
    expect([edge.service.parked, edge.service.inProgress]).toEqual([0, 0]);
    const { origin } = await edge.connect();
    await turns();
    expect(origin.counts.size).toBe(0);
  });

  test(`is told after ${DISPATCHES_MAX} refusals`, async () => {
    await using edge = await TestEdge.start();
    for (let index = 0; index < DISPATCHES_MAX; index++) await edge.connect({ takes: false });
    expect((await edge.visit().outcome).error).toBe("TUNNEL_BUSY");
    expect(edge.service.inProgress).toBe(0);
  });
});
