import { expect, test } from "bun:test";
import { limitLines } from "../../src/cli/status.ts";

test("limits that were reached are told with what they bound", () => {
  expect(limitLines({ limits: {} })).toEqual([]);
  expect(limitLines({})).toEqual([]);
  expect(limitLines({ limits: { inFlight: 376, holdTime: 1, ofANewerBuild: 2 } })).toEqual([
    "limit        holdTime  1 time  Wait for a connector that is expected back (hold)",
    "limit        inFlight  376 times  Bytes sent and not acknowledged, by what the path takes",
    "limit        ofANewerBuild  2 times",
  ]);
});
