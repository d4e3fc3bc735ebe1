// A name that is taken back is served no longer: what is in progress for it ends at both ends, whatever state it is in. A-07; A-08.
import { describe, expect, test } from "bun:test";
import { EXCHANGE_CODES } from "../../src/exchange/index.ts";
import { within } from "../within.ts";
import {
  answerTo,
  CountingOrigin,
  TestEdge,
  TUNNEL,
  type TestConnector,
  type TestVisit,
} from "./tunnel-rig.ts";

/** Waits until a request is at the origin. */
function reached(origin: CountingOrigin): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  origin.onRequest = resolve;
  return within(promise, "a request at the origin");
}

/** Codes with which the connector's streams were reset. */
function resets({ service }: TestConnector): {
  readonly codes: number[];
  readonly first: Promise<void>;
} {
  const codes: number[] = [];
  const first = Promise.withResolvers<void>();
  const serve = service.serve.bind(service);
  service.serve = (stream) => {
    const events = serve(stream);
    const reset = events.reset.bind(events);
    events.reset = (code, remote) => {
      codes.push(code);
      first.resolve();
      reset(code, remote);
    };
    return events;
  };
  return { codes, first: within(first.promise, "the reset of a stream") };
}

/** The name belongs to somebody else from now on, or to nobody. */
function revoke(edge: TestEdge, owner?: string): void {
  edge.owner = owner;
  edge.service.revoke();
}

describe("a name that is taken back", () => {
  for (const owner of [undefined, "other"]) {
    test(`ends requests that have no answer yet, with ${owner === undefined ? "no owner" : "another owner"} from now on`, async () => {
      await using edge = await TestEdge.start({ holdMs: 0 });
      const origin = new CountingOrigin();
      origin.manner = "silent";
      const connector = await edge.connect({ origin });
      const { codes, first } = resets(connector);
      const arrived = reached(origin);
      // The body stays open: the stream has two directions that end.
      const visit = edge.visit({ body: [Buffer.from("a"), Buffer.from("b")], readyParts: 1 });
      await arrived;
      revoke(edge, owner);
      expect(await visit.outcome).toMatchObject({
        status: 404,
        error: "NO_ROUTE",
        ending: "whole",
      });
      await first;
      expect(codes).toEqual([EXCHANGE_CODES.REVOKED]);
      expect([edge.service.inProgress, edge.service.unanswered]).toEqual([0, 0]);
    });
  }

  test("cuts answers that have begun: they never look whole", async () => {
    await using edge = await TestEdge.start({ holdMs: 0 });
    const origin = new CountingOrigin();
    origin.manner = "head";
    await edge.connect({ origin });
    const visit: TestVisit = edge.visit();
    while (!visit.isHeadSent) await new Promise((resolve) => setImmediate(resolve));
    revoke(edge);
    expect(await visit.outcome).toMatchObject({ status: 200, ending: "cut" });
    expect(edge.service.inProgress).toBe(0);
  });

  test("turns those away that wait for the tunnel to come back", async () => {
    await using edge = await TestEdge.start();
    const visit = edge.visit();
    expect(edge.service.parked).toBe(1);
    revoke(edge);
    expect(await visit.outcome).toMatchObject({ status: 404, error: "NO_ROUTE" });
    expect([edge.service.parked, edge.service.inProgress]).toEqual([0, 0]);
  });

  test("costs other names, and the tunnel that has it still, nothing", async () => {
    await using edge = await TestEdge.start({ holdMs: 0 });
    const origin = new CountingOrigin();
    await edge.connect({ origin });
    const arrived = reached(origin);
    const body = [Buffer.from("a"), Buffer.from("b")];
    const visit = edge.visit({ body, readyParts: 1 });
    await arrived;
    revoke(edge, TUNNEL);
    visit.body.more();
    expect(await visit.outcome).toMatchObject({
      status: 200,
      text: answerTo(body),
      ending: "whole",
    });
  });

  test("hurts nobody twice: a visitor who left, an answer that is over", async () => {
    await using edge = await TestEdge.start({ holdMs: 0 });
    const origin = new CountingOrigin();
    await edge.connect({ origin });
    expect((await edge.visit().outcome).status).toBe(200);
    origin.manner = "silent";
    const arrived = reached(origin);
    const visit = edge.visit();
    await arrived;
    visit.leave();
    revoke(edge);
    revoke(edge);
    expect([edge.service.inProgress, edge.service.unanswered]).toEqual([0, 0]);
  });
});
