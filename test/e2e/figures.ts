// This file is what an edge holds: by its own books, and by those of the system.
import { readFileSync } from "node:fs";
import { tunl } from "../binary/tunl.ts";
import type { TestEdge } from "./rig.ts";

/** Of `tunl status --json`. */
export interface EdgeStatus {
  readonly tables: Readonly<Record<string, number>>;
  readonly bytes: Readonly<Record<string, number>>;
  readonly limits: Readonly<Record<string, number>>;
}

export async function statusOf(edge: TestEdge): Promise<EdgeStatus> {
  const { stdout } = await tunl(["status", "--json"], edge);
  return (JSON.parse(stdout) as { edge: EdgeStatus }).edge;
}

/** Resident memory of a process, MiB; Linux only. */
export function rssOf(pid: number): number {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  if (kib === undefined) throw new Error(`Process ${pid} shows no VmRSS`);
  return Number(kib) / 1_024;
}
