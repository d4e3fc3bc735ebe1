// This file is what must hold of a session when all is over: every byte and every end arrived, or something made it end. PROTOCOL §10.
import type { Side } from "../../src/session/index.ts";
import { SESSION_CODES } from "../../src/wire/index.ts";
import type { Pair } from "./pair.ts";
import { KINDS, SIDES } from "./scenario.ts";
import { fail, other } from "./truth.ts";

/** @param waitedMs How long both ends had time to get there. */
export function checkSettled(pair: Pair, waitedMs: number): void {
  for (const side of SIDES) {
    const { application, held, process, shell } = pair.ends[side];
    if (process.isDead) continue;
    const stats = shell.core.stats();
    for (const [id, { isClosed, outcome }] of application.streams) {
      if (!isClosed)
        fail(
          `stream ${id} is not over at the ${side} after ${waitedMs} ms, its reader saw "${outcome}"`,
        );
    }
    const { streams, received, consumed, retained, unsent, owing } = stats;
    const rest = { streams, unread: received - consumed, retained, unsent, owing, held };
    for (const [what, value] of Object.entries(rest)) {
      if (value !== 0) fail(`the ${side} is left with ${value} (${what})`);
    }
    if (pair.isEnding && !shell.isClosed)
      fail(`the session of the ${side} outlived that of the ${other(side)}`);
  }
  if (pair.isEnding) checkEnding(pair);
  else checkWhole(pair);
}

/** Nothing was cut short: every byte and every end arrived. */
function checkWhole(pair: Pair): void {
  const [edge, connector] = [
    pair.ends.edge.shell.core.stats(),
    pair.ends.connector.shell.core.stats(),
  ];
  for (const side of SIDES) checkStreamCredit(pair, side);
  if (edge.sent !== connector.received || connector.sent !== edge.received)
    fail("bytes sent and bytes received differ");
  for (const { id, opener, halves, isRefused, timesOpened } of pair.truth.streams.values()) {
    // Who gave up before is not told that it was refused.
    const isLate =
      timesOpened === 0 &&
      pair.truth.draining.has(other(opener)) &&
      halves[opener].resetCode !== undefined;
    if (isRefused || isLate) continue;
    if (timesOpened === 0) fail(`stream ${id} never reached the ${other(opener)}`);
    for (const writer of SIDES) {
      const { isFinished, resetCode, stopCode } = halves[writer];
      const seen = pair.ends[other(writer)].application.streams.get(id)?.outcome;
      if (isFinished && resetCode === undefined && stopCode === undefined && seen !== "ended") {
        fail(`stream ${id} was finished by the ${writer}, its reader saw "${seen}"`);
      }
    }
  }
}

/** With no stream left, one more can be opened. */
function checkStreamCredit(pair: Pair, side: Side): void {
  const { shell } = pair.ends[side];
  const opened = shell.core.open(KINDS[side], new Uint8Array(0), true, shell.touch());
  if (opened === "streamLimit") fail(`the ${side} may open no stream, though none is left`);
}

/** The session ended early: only where something made it end. */
function checkEnding(pair: Pair): void {
  const { closer, gone, isCut } = pair.reasons;
  if (closer === undefined && gone === undefined && !isCut)
    fail("the session ended without a reason");
  if (closer === undefined || gone !== undefined || isCut) return;
  const { closedCode } = pair.ends[closer].application;
  if (closedCode !== SESSION_CODES.SHUTDOWN.code)
    fail(`the ${closer} closed and saw ${closedCode}`);
  // The peer sees the same code, or a loss where CLOSE found no way out within its 250 ms.
  const seen = pair.ends[other(closer)].application.closedCode;
  if (seen !== SESSION_CODES.SHUTDOWN.code && seen !== SESSION_CODES.NO_ERROR.code)
    fail(`the peer saw CLOSE with ${seen}`);
}
