// This file is the end of an edge in good order: nothing new, what is in progress finishes, then the sessions are closed. PROTOCOL §8.
import type { FrontDoor, PlainListener, Visitors } from "./listen/index.ts";
import type { Service } from "./serve.ts";
import type { Sessions } from "./sessions.ts";

/** Upgraded connections and event streams last as long as they like: where nothing else is left they get only so long, ms. */
const LONG_LIVED_GRACE_MS = 5_000;
/** How often a drain looks whether only those are left, ms. */
const LOOK_MS = 50;
/** What CLOSE gets to leave, ms. */
const CLOSE_MS = 50;

export interface DrainedParts {
  readonly door: FrontDoor;
  readonly plain: PlainListener | undefined;
  readonly visitors: Visitors;
  readonly sessions: Sessions;
  readonly service: Service;
}

/** Resolves when everything is over, or cut because its time was; with how many connections of visitors that cut. */
export async function drainEdge(parts: DrainedParts, graceMs: number): Promise<number> {
  const { door, plain, visitors, sessions, service } = parts;
  door.close();
  plain?.close();
  sessions.drain();
  service.stopHolding();
  // Idle connections end at once, the others with their response; with the last one nothing is left to wait for.
  let isOver = false;
  const over = Promise.all([visitors.drain(), plain?.drain()]).then(() => (isOver = true));
  const startedAt = performance.now();
  const isTimeOver = (): boolean => {
    const isOnlyLongLived = visitors.count <= service.longLived;
    const leastMs = isOnlyLongLived ? Math.min(graceMs, LONG_LIVED_GRACE_MS) : graceMs;
    return performance.now() - startedAt >= leastMs;
  };
  while (!isOver && !isTimeOver()) await Promise.race([over, Bun.sleep(LOOK_MS)]);
  const cut = isOver ? 0 : visitors.count;
  sessions.close();
  // CLOSE leaves with the next batch, so that connectors know why and dial on at once.
  await Bun.sleep(CLOSE_MS);
  return cut;
}
