// This file is what must hold of one end after every step: totals, limits, budgets, and what happens when too much is held. PROTOCOL §10.
import type { SessionStats } from "../../src/session/core/events.ts";
import { EVICTION_INTERVAL_MS, EVICTION_SHARE, EVICTION_STALL_MS } from "../../src/wire/index.ts";
import type { Application } from "./application.ts";
import type { Process } from "./process.ts";
import type { SideScenario } from "./scenario.ts";
import type { Shell } from "./shell.ts";
import type { Tap } from "./tap.ts";
import { fail } from "./truth.ts";

/** So much later than the rule says an eviction is noticed to be missing, ms. */
const EVICTION_GRACE_MS = 500;

export interface End {
  readonly process: Process;
  readonly shell: Shell;
  readonly application: Application;
  readonly tap: Tap;
  /** Sum of what the core told its budget. */
  held: number;
  /** Most streams present at once so far. */
  mostStreams: number;
  last: SessionStats | undefined;
  /** Since when it holds more than it should; own time. */
  overSince: number | undefined;
  /** Since when it should not read and does. */
  fullSince: number | undefined;
  /** Traced events, by name. */
  readonly traced: Map<string, number>;
  /** When the session was over here, in the time of the world. */
  closedAt: number | undefined;
}

/** Totals of one end, against each other and against its limits. */
export function checkStep(end: End, { receive, retain }: SideScenario): void {
  const { application, last, process, shell } = end;
  const { side } = process;
  const stats = shell.core.stats();
  const held = stats.received - stats.consumed;
  if (held < 0) fail(`the ${side} consumed more than it received`);
  if (stats.received > stats.receiveLimit)
    fail(`the ${side} received ${stats.received} bytes, its limit is ${stats.receiveLimit}`);
  if (stats.sent > stats.sendLimit)
    fail(`the ${side} sent ${stats.sent} bytes, its limit is ${stats.sendLimit}`);
  if (stats.receiveLimit > stats.consumed + receive)
    fail(`the ${side} granted more than its budget of ${receive} bytes`);
  if (held > receive) fail(`the ${side} holds ${held} bytes, allowed ${receive}`);
  if (!shell.isTickScheduled && application.held !== held)
    fail(`the ${side} counts ${held} bytes as held, its application has ${application.held}`);
  if (stats.retained < 0 || stats.retained > retain)
    fail(`the ${side} retains ${stats.retained} bytes, allowed ${retain}`);
  if (stats.unsent < 0) fail(`the ${side} has ${stats.unsent} unsent bytes`);
  if (end.held !== held + stats.retained + stats.unsent) {
    fail(
      `the ${side} told its budget ${end.held} bytes, it has ${held} + ${stats.retained} + ${stats.unsent}`,
    );
  }
  end.mostStreams = Math.max(end.mostStreams, stats.streams);
  // Those present when the last batch was filled, and those that came since.
  if (stats.owing > 2 * end.mostStreams)
    fail(`${stats.owing} streams of at most ${end.mostStreams} owe control at the ${side}`);
  if (last !== undefined) {
    if (stats.receiveLimit < last.receiveLimit) fail(`the session limit of the ${side} fell`);
    if (stats.received < last.received || stats.consumed < last.consumed)
      fail(`the ${side} counted backwards`);
  }
  end.last = stats;
  if (!shell.isClosed) checkOverload(end, stats, receive);
}

/** Who holds too much reads no more and gives up what nobody reads. PROTOCOL §5.3. */
function checkOverload(
  end: End,
  { isReading, received, consumed, retained, unsent }: SessionStats,
  receive: number,
): void {
  const { application, process } = end;
  const { now, side } = process;
  const held = received - consumed;
  // Alone in its process it is the one that holds most.
  const isFull = process.isFull && process.budget.parts === 2 && process.budget.held === end.held;
  // An eviction may have changed what most of it is: the session looks again within its interval.
  const mustPause = isFull && isReading && 2 * held >= held + retained + unsent;
  // What methods of the application changed is looked at in the tick.
  const isJudged = !end.shell.isTickScheduled;
  if (!mustPause) end.fullSince = undefined;
  else end.fullSince ??= now;
  if (end.fullSince !== undefined) {
    const fullMs = now - Math.max(end.fullSince, process.calmSince);
    if (isJudged && fullMs > 2 * EVICTION_INTERVAL_MS)
      fail(`the ${side} is full for ${fullMs} ms with ${held} bytes received and reads on`);
  }
  const isOver = held > EVICTION_SHARE * receive;
  if (!isOver && !isFull) end.overSince = undefined;
  else end.overSince ??= now;
  if (end.overSince === undefined) return;
  const since = Math.max(end.overSince, process.calmSince, application.evictedAt);
  if (!isJudged || now - since < EVICTION_STALL_MS + EVICTION_GRACE_MS) return;
  if (application.hasStalled(EVICTION_STALL_MS + EVICTION_GRACE_MS))
    fail(`the ${side} holds ${held} bytes for ${now - since} ms and gives no stream up`);
}
