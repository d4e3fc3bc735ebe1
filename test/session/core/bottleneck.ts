// This file is a path with a first-in first-out bottleneck, in steps of 1 ms, and a sender that keeps to the bound of `InFlight`.
import type { InFlight } from "../../../src/session/core/in-flight.ts";
import { ACK_BYTES, ACK_DELAY_MS, BATCH_BYTES, QUANTUM } from "../../../src/wire/index.ts";

export interface Path {
  readonly bytesPerMs: number;
  readonly rttMs: number;
}

export interface Run {
  /** What the path is at a time. */
  readonly path: (now: number) => Path;
  readonly durationMs: number;
  /** The receiver stands still: nothing is read, nothing acknowledged. */
  readonly isStalled?: (now: number) => boolean;
}

/** One second of a run. */
export interface Second {
  /** Part of what the path could have carried that arrived. */
  readonly used: number;
  /** Wait at the bottleneck in each of its milliseconds, ms. */
  readonly queue: readonly number[];
}

/** What some seconds were like. */
export interface Course {
  readonly used: number;
  /** Wait at the bottleneck that 98 % of the time kept below: a probe leaves the path empty, and what fills it anew comes at once. */
  readonly queueMs: number;
}

interface Due<T> {
  readonly at: number;
  readonly what: T;
}

/** What came by `now`, in order. */
function take<T>(list: Due<T>[], now: number): T[] {
  const end = list.findIndex(({ at }) => at > now);
  return list.splice(0, end < 0 ? list.length : end).map(({ what }) => what);
}

/** Sends without end. */
export function fill(
  inFlight: InFlight,
  { path, durationMs, isStalled = () => false }: Run,
): Second[] {
  const arrivals: Due<number>[] = [];
  const acks: Due<number>[] = [];
  const pings: Due<number>[] = [];
  const pongs: Due<number>[] = [];
  const seconds: Second[] = [];
  let [sent, busyUntil, unsaid, unsaidSince, delivered, capacity] = [0, 0, 0, 0, 0, 0];
  let queue: number[] = [];
  // A link is attached: the first PING leaves at once.
  pings.push({ at: path(0).rttMs / 2, what: 0 });
  for (let now = 0; now < durationMs; now++) {
    const { bytesPerMs, rttMs } = path(now);
    const back = now + rttMs / 2;
    const acknowledge = (): void => {
      acks.push({ at: back, what: unsaid });
      unsaid = 0;
    };
    if (!isStalled(now)) {
      for (const bytes of take(arrivals, now)) {
        if (unsaid === 0) unsaidSince = now;
        unsaid += bytes;
        delivered += bytes;
        if (unsaid >= ACK_BYTES) acknowledge();
      }
      if (unsaid > 0 && now >= unsaidSince + ACK_DELAY_MS) acknowledge();
      for (const asked of take(pings, now)) pongs.push({ at: back, what: asked });
    }
    for (const asked of take(pongs, now)) inFlight.sampled(now - asked, sent, now);
    for (const bytes of take(acks, now)) {
      sent -= bytes;
      if (inFlight.acknowledged(bytes, sent, now, true))
        pings.push({ at: Math.max(busyUntil, now) + rttMs / 2, what: now });
    }
    if (sent === 0) inFlight.idle();
    for (let room = BATCH_BYTES; room > 0 && sent < inFlight.bound; room -= QUANTUM) {
      sent += QUANTUM;
      busyUntil = Math.max(busyUntil, now) + QUANTUM / bytesPerMs;
      arrivals.push({ at: busyUntil + rttMs / 2, what: QUANTUM });
    }
    capacity += bytesPerMs;
    queue.push(Math.max(0, busyUntil - now));
    if (now % 1_000 < 999) continue;
    seconds.push({ used: delivered / capacity, queue });
    [delivered, capacity] = [0, 0];
    queue = [];
  }
  return seconds;
}

/** What the seconds from one to another were like. */
export function over(seconds: readonly Second[], from: number, to = seconds.length): Course {
  const part = seconds.slice(from, to);
  const queue = part.flatMap((second) => second.queue).sort((a, b) => a - b);
  return {
    used: part.reduce((sum, { used }) => sum + used, 0) / part.length,
    queueMs: queue[Math.floor(queue.length * 0.98)] as number,
  };
}
