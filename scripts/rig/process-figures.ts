// This file is what the kernel says of a process: processor time and resident memory. Linux only: /proc. benchmarks.md §7.
import { readFileSync } from "node:fs";

/** Clock ticks of /proc/PID/stat; USER_HZ is 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100;

/** User and system time since its start, all threads, in seconds; the grain is 10 ms. proc(5): fields 14 and 15 of stat. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The second field is the name in brackets, which may hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory in bytes. */
export interface Memory {
  readonly rss: number;
  /** Without the pages of files: what load costs. */
  readonly anonymous: number;
}

/** Resident memory now. */
export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const bytes = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status);
    if (found === null) throw new Error(`/proc/${pid}/status has no ${name}`);
    return Number(found[1]) * 1_024;
  };
  return { rss: bytes("VmRSS"), anonymous: bytes("RssAnon") };
}

/** Processors that this process may use, from a list such as `0-1,4`. */
export function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync("/proc/self/status", "latin1"));
  return (list?.[1] ?? "0").split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
