// This file is a path with a first-in first-out bottleneck, in steps of 1 ms, and a sender that keeps to the bound of `InFlight`.
import type { InFlight } from "../../../src/session/core/in-flight.ts";
import { ACK_BYTES, ACK_DELAY_MS, BATCH_BYTES, QUANTUM } from "../../../src/wire/index.ts";

export interface Path {
  readonly bytesPerMs: number;
  readonly rttMs: number;
  readonly durationMs: number;
  /** The receiver stands still: nothing is read, nothing acknowledged. */
  readonly isStalled?: (now: number) => boolean;
}

export interface Course {
  /** Part of what the path could have carried, from `settledMs` on. */
  readonly used: number;
  /** Longest wait at the bottleneck from `settledMs` on, ms. */
  readonly queueMs: number;
}

/** Sends without end, and looks at what happens after `settledMs`. */
export function fill(inFlight: InFlight, path: Path, settledMs: number): Course {
  const { bytesPerMs, rttMs, durationMs, isStalled = () => false } = path;
  const arrivals: number[] = [];
  const acks: { readonly at: number; readonly bytes: number }[] = [];
  let [sent, busyUntil, unsaid, unsaidSince, delivered, queueMs] = [0, 0, 0, 0, 0, 0];
  const acknowledge = (now: number): void => {
    acks.push({ at: now + rttMs / 2, bytes: unsaid });
    unsaid = 0;
  };
  for (let now = 0; now < durationMs; now++) {
    while (!isStalled(now) && (arrivals[0] ?? Infinity) <= now) {
      arrivals.shift();
      if (unsaid === 0) unsaidSince = now;
      unsaid += QUANTUM;
      if (now >= settledMs) delivered += QUANTUM;
      if (unsaid >= ACK_BYTES) acknowledge(now);
    }
    if (!isStalled(now) && unsaid > 0 && now >= unsaidSince + ACK_DELAY_MS) acknowledge(now);
    while ((acks[0]?.at ?? Infinity) <= now) {
      const { bytes } = acks.shift() as { bytes: number };
      sent -= bytes;
      inFlight.acknowledged(bytes, now, rttMs, true, sent === 0);
    }
    for (let room = BATCH_BYTES; room > 0 && sent < inFlight.bound; room -= QUANTUM) {
      sent += QUANTUM;
      busyUntil = Math.max(busyUntil, now) + QUANTUM / bytesPerMs;
      arrivals.push(busyUntil + rttMs / 2);
    }
    if (now >= settledMs) queueMs = Math.max(queueMs, busyUntil - now);
  }
  return { used: delivered / (bytesPerMs * (durationMs - settledMs)), queueMs };
}
