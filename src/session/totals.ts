// This file is what the sessions of a process hold in all: one number per table, for the owner's eyes and for tests that want them back at 0.
import type { Session } from "./driver.ts";

/** Entries of every table of the sessions. */
export interface SessionTables {
  readonly sessions: number;
  readonly links: number;
  /** Streams that the core knows; the one that announces names is among them. */
  readonly streams: number;
  /** Streams that somebody above listens to. */
  readonly streamHandlers: number;
  /** Streams that owe the peer a control frame. */
  readonly owingStreams: number;
}

/** Bytes that wait in the sessions. */
export interface SessionBytes {
  /** Received, and not yet taken by the kernel towards a visitor or an origin. */
  readonly unconsumed: number;
  /** Sent, and not yet acknowledged. */
  readonly retained: number;
  /** Written, and not yet sent. */
  readonly unsent: number;
}

/** Adds up. */
export function totalsOf(sessions: Iterable<Session>): {
  readonly tables: SessionTables;
  readonly bytes: SessionBytes;
} {
  const tables = { sessions: 0, links: 0, streams: 0, streamHandlers: 0, owingStreams: 0 };
  const bytes = { unconsumed: 0, retained: 0, unsent: 0 };
  for (const session of sessions) {
    const stats = session.stats();
    tables.sessions += 1;
    tables.links += stats.links;
    tables.streams += stats.streams;
    tables.streamHandlers += session.streams;
    tables.owingStreams += stats.owing;
    bytes.unconsumed += stats.received - stats.consumed;
    bytes.retained += stats.retained;
    bytes.unsent += stats.unsent;
  }
  return { tables, bytes };
}
