// A grant is asked on every stream: a session that is up serves no name a moment longer than its tunnel has it. A-08.
import { describe, expect, test } from "bun:test";
import { answerTo, TestEdge, type TestVisit } from "./tunnel-rig.ts";

const OTHER = "0b1a";

describe("grants of running sessions (A-08)", () => {
  test("each stream is authorised anew, although the session announced the name [GHSA-24fp-5v3p-rvpw]", async () => {
    await using edge = await TestEdge.start({ holdMs: 0 });
    const { origin, live } = await edge.connect();
    const mine = edge.owner;
    const ask = async (): Promise<string | undefined> => {
      const visit: TestVisit = edge.visit();
      const { status, error, text } = await visit.outcome;
      // Whatever was refused never reached the origin, whatever was answered did once.
      expect(origin.counts.get(visit.id)).toBe(status === 200 ? 1 : (undefined as never));
      return error ?? text;
    };
    for (let round = 0; round < 5; round++) {
      edge.owner = mine;
      expect(await ask()).toBe(answerTo([]));
      edge.owner = undefined;
      expect(await ask()).toBe("NO_ROUTE");
      edge.owner = OTHER;
      expect(await ask()).toBe("TUNNEL_OFFLINE");
    }
    // All the while the session was up and its announcement in force.
    expect([live.session.isDraining, live.serves("app.example.com")]).toEqual([false, "announced"]);
  });
});
