import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Deadlines } from "../../../src/deadlines.ts";
import { PeerLimits } from "../../../src/edge/listen/peer-limits.ts";
import { startPlainListener } from "../../../src/edge/listen/plain-listener.ts";
import { Visitors } from "../../../src/edge/listen/visitors.ts";
import { Logger } from "../../../src/log.ts";
import { get, Pipeline, RawVisitor, respond } from "./rig.ts";
import { within } from "../../within.ts";

describe("listener of port 80", () => {
  test("drains: an idle visitor is closed, a busy one after its response, then nothing is left", async () => {
    const pipeline = new Pipeline();
    using deadlines = new Deadlines((error) => {
      throw error;
    });
    const log = new Logger(() => undefined, "error");
    const limits = new PeerLimits({});
    const visitors = new Visitors({ serve: pipeline.serve, deadlines, log });
    await using listener = await startPlainListener({
      listen: { host: "127.0.0.1", port: 0 },
      limits,
      visitors,
      loopMark: "tunl-0123456789abcdef",
    });
    const target = { port: listener.port, host: "127.0.0.1", allowHalfOpen: true };
    const [idle, busy] = [new RawVisitor(connect(target)), new RawVisitor(connect(target))];
    const ask = get("/").replace("app.example.com", `app.example.com:${listener.port}`);
    for (const [index, visitor] of [idle, busy].entries()) {
      visitor.send(ask);
      const visit = await pipeline.visit(index);
      if (visitor === idle) respond(visit.start().reply, "first");
    }
    await idle.until("first");
    listener.close();
    let isDrained = false;
    const drained = listener.drain().then(() => {
      isDrained = true;
    });
    expect(await idle.ended()).toBe("end");
    idle.fin();
    const visit = pipeline.visits[1];
    if (visit === undefined) throw new Error("the second visit is missing");
    expect(isDrained).toBe(false);
    respond(visit.start().reply, "second");
    expect(await busy.ended()).toBe("end");
    expect(busy.text).toContain("Connection: close\r\n");
    busy.fin();
    await within(drained, "the drain");
    expect(visitors.count).toBe(0);
  });
});
