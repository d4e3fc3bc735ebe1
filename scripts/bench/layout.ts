// This file is which processor does what, and the machine it is said of. benchmarks.md §2.
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { allowedCpus } from "../rig/process-figures.ts";

/** Prefixes of commands that pin them. */
export interface Layout {
  /** Load generator and origin. */
  readonly load: readonly string[];
  readonly edge: readonly string[];
  readonly connector: readonly string[];
  readonly text: string;
}

/** With two processors load and origin share one, edge and connector the other; with four, edge and connector have one each. */
export function layoutOf(taskset: string | undefined): Layout {
  const allowed = allowedCpus();
  const [load, edge] = allowed;
  if (taskset === undefined || load === undefined || edge === undefined) {
    const reason = taskset === undefined ? "taskset missing (apt install util-linux)" : "one CPU";
    return { load: [], edge: [], connector: [], text: `nothing pinned: ${reason}` };
  }
  const connector = allowed.length >= 4 ? (allowed[2] as number) : edge;
  const pin = (cpu: number): string[] => [taskset, "-c", String(cpu)];
  return {
    load: pin(load),
    edge: pin(edge),
    connector: pin(connector),
    text:
      connector === edge
        ? `load and origin on CPU ${load}, edge and connector on CPU ${edge}`
        : `load and origin on CPU ${load}, edge on CPU ${edge}, connector on CPU ${connector}`,
  };
}

/** The machine, for the report. */
export function machine(): Record<string, string | number> {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cpus: allowedCpus().length,
    memory: totalmem(),
    kernel: release(),
    congestionControl: readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "latin1").trim(),
    // Other work on the machine shows here; it is the first thing to look at when spans are wide.
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2)),
  };
}

/** Load per processor above which a run is not quiet. benchmarks.md §8. */
const QUIET_LOAD = 0.3;

/** What to say of a machine that had other work when the run began; undefined if it was quiet. */
export function noise(): string | undefined {
  const [load = 0] = loadavg();
  if (load <= QUIET_LOAD * allowedCpus().length) return undefined;
  return `load average ${load.toFixed(2)} before the run: other work took part of what is measured, do not quote`;
}
