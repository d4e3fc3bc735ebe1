// This file is the account of descriptors: how many sockets a process may open so that its limit is never reached. http.md §1; S-43.
import { readdir, readFile } from "node:fs/promises";

/** What the system says about this process. */
export interface Descriptors {
  /** Descriptors it may have. */
  readonly limit: number;
  /** Descriptors it has now: its own files, pipes and listeners. */
  readonly used: number;
}

/** Descriptors that stay free for store, resolver, dials, the owner's socket. A small limit keeps a quarter of itself. */
const RESERVED = 64;
const RESERVED_SHARE = 0.25;
/** Share of the limit that visitors and links may use. */
const PUBLIC_SHARE = 0.8;
/** Assumed where nothing can be read (not Linux): the smallest default among those systems, macOS. */
const UNKNOWN: Descriptors = { limit: 10_240, used: 64 };

/**
 * Sockets that may be open at a time beside what is open now.
 *
 * The runtime raises its soft limit to the hard one at start, and its accept loop spins at full CPU once that is reached
 * (platform.md §0 trap 7), so the number is needed before the first socket.
 */
export function spareDescriptors({ limit, used }: Descriptors): number {
  const reserved = Math.min(RESERVED, Math.floor(limit * RESERVED_SHARE));
  return Math.max(1, limit - used - reserved);
}

/** Connections the public listeners of an edge may hold: never above 80 % of the limit. */
export function publicConnections(descriptors: Descriptors): number {
  return Math.min(
    Math.max(1, Math.floor(descriptors.limit * PUBLIC_SHARE)),
    spareDescriptors(descriptors),
  );
}

/** Reads the text of `/proc/self/limits`: the limit in force, undefined where there is none. */
export function descriptorLimit(limits: string): number | undefined {
  const line = limits.split("\n").find((text) => text.startsWith("Max open files"));
  const soft = Number(line?.trim().split(/\s+/)[3]);
  return Number.isFinite(soft) ? soft : undefined;
}

/** The descriptors of this process. */
export async function readDescriptors(): Promise<Descriptors> {
  // Neither is there outside of Linux: then it is the unknown limit.
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const open = await readdir("/proc/self/fd").catch(() => undefined);
  return {
    limit: descriptorLimit(limits) ?? UNKNOWN.limit,
    used: open?.length ?? UNKNOWN.used,
  };
}
