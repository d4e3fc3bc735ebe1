// This file is the soak in short: mixed load, a connector and a service that are restarted, then every table and descriptor is back. `npm run soak` is the long form.
import { describe, expect, test } from "bun:test";
import { soak } from "../../scripts/soak/run.ts";
import { CAN_RUN } from "../e2e/rig.ts";
import { IS_SLOW, TUNL } from "../binary/tunl.ts";

const FORM = IS_SLOW ? { seconds: 60, disturbMs: 8_000 } : { seconds: 11, disturbMs: 2_000 };

describe.skipIf(!CAN_RUN || process.platform !== "linux")("soak", () => {
  test(`${FORM.seconds} s of mixed load leave nothing behind (R-13)`, async () => {
    const result = await soak({ ...FORM, executable: TUNL, seed: 1, tell: () => undefined });
    const { done, disturbances, expected, unexpected, left, marks } = result;
    console.log(`soak: ${JSON.stringify({ done, disturbances, expected, most: marks["edge"] })}`);
    expect(left).toEqual([]);
    expect(unexpected).toEqual([]);
    // Each kind of visitor came to an end at least once, and each kind of disturbance was there.
    expect(Object.keys(done).length).toBe(10);
    expect(Object.keys(disturbances).sort()).toEqual([
      "connector SIGKILL",
      "connector SIGTERM",
      "origin SIGKILL",
    ]);
  }, 170_000);
});
