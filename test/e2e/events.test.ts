import { describe, expect, test } from "bun:test";
import { Program, SEARCH_PATH } from "../binary/program.ts";
import { App, CAN_RUN, Tunnel } from "./rig.ts";

const EVENTS = 5;
/** http.md §10. */
const LATEST_MS = 100;
/** What is held back until more comes is this late, each time. */
const BETWEEN_MS = 1_000;

describe.skipIf(!CAN_RUN)("event stream", () => {
  test(`each event arrives within ${LATEST_MS} ms of its write, one a second`, async () => {
    await using app = await App.start();
    await using tunnel = await Tunnel.start({ target: String(app.port) });
    // Cold processes are not what is measured.
    await tunnel.get("/bytes/1");
    await using visitor = new Program(
      [
        ...["curl", "-sSN", "--cacert", tunnel.edge.ca, "-H", "Accept: text/event-stream"],
        ...["--connect-to", `::127.0.0.1:${tunnel.edge.port}`, tunnel.url(`/events/${EVENTS}`)],
      ],
      { environment: { PATH: SEARCH_PATH } },
    );
    const delays: number[] = [];
    const writtenAt: number[] = [];
    for (let index = 0, after = 0; index < EVENTS; index++) {
      const at = await visitor.find((line) => /^data: (.*)$/.exec(line)?.[1], "an event", {
        after,
      });
      delays.push(Date.now() - Number(at));
      writtenAt.push(Number(at));
      after = visitor.lineCount;
    }
    expect((await visitor.ended).code).toBe(0);
    console.log(`event delays ${delays.join(", ")} ms`);
    // A machine that does something else may keep one of them for a moment, not most of them.
    const sorted = delays.toSorted((a, b) => a - b);
    expect(sorted[EVENTS >> 1]).toBeLessThan(LATEST_MS);
    expect(sorted.at(-1)).toBeLessThan(BETWEEN_MS);
    // The origin did write one a second: a burst at the end would look fast as well.
    expect((writtenAt[EVENTS - 1] as number) - (writtenAt[0] as number)).toBeGreaterThan(
      (EVENTS - 1) * 0.9 * BETWEEN_MS,
    );
    expect(delays.length).toBe(EVENTS);
  });
});
