// This file is links that are cut at every step of a request: its origin sees it once at most, and its visitor always hears of it. http.md §11; R-07.
import { describe, expect, test } from "bun:test";
import { SESSION_CODES } from "../../src/session/index.ts";
import { GOAWAY_ACCEPT_MS } from "../../src/wire/index.ts";
import { within } from "../within.ts";
import { CutWay, type Direction } from "./cut-way.ts";
import {
  answerTo,
  CountingOrigin,
  type Outcome,
  type TestConnector,
  TestEdge,
  type TestVisit,
  type VisitSetup,
} from "./tunnel-rig.ts";

/** Places in each direction at which the link is cut, over all that one exchange passes, and the handshake's rest. */
const PLACES = 12;
const BODY = [new Uint8Array(3_000).fill(1), new Uint8Array(40_000).fill(2)];
const REQUESTS = { GET: {}, POST: { body: BODY } } as const satisfies Record<string, VisitSetup>;

/** An edge, a connector at the end of a way, and another one that could take what is sent again; both before one origin. */
class Rig implements AsyncDisposable {
  readonly edge: TestEdge;
  readonly way: CutWay;
  readonly first: TestConnector;
  readonly second: TestConnector;
  readonly origin: CountingOrigin;

  private constructor(
    edge: TestEdge,
    way: CutWay,
    first: TestConnector,
    second: TestConnector,
    origin: CountingOrigin,
  ) {
    this.edge = edge;
    this.way = way;
    this.first = first;
    this.second = second;
    this.origin = origin;
  }

  static async start(): Promise<Rig> {
    const edge = await TestEdge.start({ holdMs: 1_000 });
    const way = await CutWay.open(edge.port);
    const origin = new CountingOrigin();
    const first = await edge.connect({ origin, port: way.port });
    const second = await edge.connect({ origin });
    // The one with fewer exchanges is asked first.
    second.live.exchanges += 1;
    return new Rig(edge, way, first, second, origin);
  }

  times({ id }: TestVisit): number {
    return this.origin.counts.get(id) ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.way[Symbol.asyncDispose]();
    await this.edge[Symbol.asyncDispose]();
  }
}

function describeEnd({ status, error, ending }: Outcome): string {
  return ending === "cut" ? "cut" : `${status} ${error ?? ""}`.trim();
}

describe("at most once", () => {
  test.each(Object.keys(REQUESTS) as (keyof typeof REQUESTS)[])(
    `a %s whose link is cut at ${PLACES} places of either direction`,
    async (method) => {
      const request: VisitSetup = REQUESTS[method];
      const expected = answerTo(request.body ?? []);
      const whole = { down: 0, up: 0 };
      {
        await using rig = await Rig.start();
        const before = { ...rig.way.passed };
        const { text } = await rig.edge.visit(request).outcome;
        expect(text).toBe(expected);
        whole.down = rig.way.passed.down - before.down;
        whole.up = rig.way.passed.up - before.up;
      }
      const ends: Record<string, number> = {};
      for (const direction of ["down", "up"] as const satisfies Direction[]) {
        for (let place = 0; place <= PLACES; place++) {
          await using rig = await Rig.start();
          const visit = rig.edge.visit(request);
          rig.way.cutAfter(direction, Math.round((whole[direction] * place) / PLACES));
          const outcome = await visit.outcome;
          const times = rig.times(visit);
          const end = describeEnd(outcome);
          ends[`${end}, begun ${times}`] = (ends[`${end}, begun ${times}`] ?? 0) + 1;
          expect(times).toBeLessThanOrEqual(1);
          if (end === "200") expect([times, outcome.text]).toEqual([1, expected]);
        }
      }
      console.log(`${method}: ${JSON.stringify(ends)}`);
      // Those cut before the origin heard of it, those cut behind that, and the whole ones: all were seen.
      const seen = Object.keys(ends);
      expect(seen).toContain("502 TUNNEL_LOST, begun 0");
      expect(seen).toContain("502 TUNNEL_LOST, begun 1");
    },
  );

  test.each(["silent", "head"] as const)(
    "a connector that is gone when its origin has given: %s",
    async (manner) => {
      await using rig = await Rig.start();
      rig.origin.manner = manner;
      const begun = Promise.withResolvers<void>();
      rig.origin.onRequest = begun.resolve;
      const visit = rig.edge.visit({ body: BODY });
      await within(begun.promise, "the request at the origin");
      if (manner === "head") while (!visit.isHeadSent) await new Promise(setImmediate);
      rig.first.session.close(SESSION_CODES.NO_ERROR.code, "");
      expect(describeEnd(await visit.outcome)).toBe(manner === "head" ? "cut" : "502 TUNNEL_LOST");
      expect(rig.times(visit)).toBe(1);
    },
  );

  test("a request that crosses the end of a connector is refused there, and served by the other one", async () => {
    await using rig = await Rig.start();
    rig.way.holdBack("up");
    rig.first.session.goAway(SESSION_CODES.SHUTDOWN.code, 0, "");
    // So long it would still be taken; nothing tells of the end of that.
    await new Promise((resolve) => setTimeout(resolve, GOAWAY_ACCEPT_MS + 100));
    const visit = rig.edge.visit({ body: BODY });
    expect(rig.first.live.exchanges).toBe(1);
    while (rig.first.session.stats().streams === 0) await new Promise(setImmediate);
    expect(rig.origin.counts.size).toBe(0);
    rig.way.release("up");
    const { status, text } = await visit.outcome;
    expect([status, text, rig.times(visit)]).toEqual([200, answerTo(BODY), 1]);
    expect(rig.first.service.open).toBe(0);
  });

  test("a request that never left, because its session ended first, is served by another connector", async () => {
    await using rig = await Rig.start();
    const visit = rig.edge.visit({ body: BODY });
    expect(rig.first.live.exchanges).toBe(1);
    // Frames are made at the end of this turn of the loop.
    rig.first.live.session.close(SESSION_CODES.SUPERSEDED.code, "");
    const { status, text } = await visit.outcome;
    expect([status, text, rig.times(visit)]).toEqual([200, answerTo(BODY), 1]);
  });
});
