// When backups are made: one at a time, each begun after whoever waits for it asked. reliability.md §4 item 5.
import { expect, test } from "bun:test";
import { Backups } from "../../../src/edge/store/backups.ts";
import { makeLog } from "./fixture.ts";

test("whoever asks the moment a backup ends waits for the next one, and never are two made at once", async () => {
  const { log } = makeLog();
  const ends: (() => void)[] = [];
  let running = 0;
  let most = 0;
  let number = 0;
  using backups = new Backups({
    make: async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => ends.push(resolve));
      running--;
      return { made: { name: `state-${++number}.db`, at: 0, number }, leftOver: undefined };
    },
    newest: undefined,
    wallClock: () => 0,
    log,
  });
  let late: Promise<void> | undefined;
  // Its reaction comes before that of the backup which waits for the same end.
  const first = backups.backUp().then(() => {
    late = backups.backUp();
  });
  const second = backups.backUp();
  ends.shift()?.();
  await first;
  await Bun.sleep(1);
  expect(most).toBe(1);
  expect(ends).toHaveLength(1);
  ends.shift()?.();
  await Promise.all([second, late]);
  await Bun.sleep(1);
  expect({ number, most, waiting: ends.length }).toEqual({ number: 2, most: 1, waiting: 0 });
});
