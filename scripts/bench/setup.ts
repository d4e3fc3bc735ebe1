// This file is what a run needs around it: the tools that are there, the payload, one run at a time. benchmarks.md §1, §5.
import { randomFillSync } from "node:crypto";
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canUpload } from "../rig/nginx.ts";
import { bulkName } from "./measure.ts";
import type { Scenario } from "./options.ts";
import type { Skip } from "./report.ts";

/** What one second of a bulk measurement moves: 2 Gbit/s. */
const BULK_BYTES_PER_SECOND = 256 * 1024 * 1024;
/** Payload that is hashed at both ends before anything is measured, and that warms bulk up. */
export const VERIFY_BYTES = 64 * 1024 * 1024;
/** Random bytes, repeated to the length of a file: nothing on the way compresses. */
const PATTERN_BYTES = 16 * 1024 * 1024;

/** The programs found on PATH. */
export interface Found {
  readonly nginx: string | undefined;
  readonly wrk: string | undefined;
  readonly curl: string | undefined;
  readonly openssl: string | undefined;
  readonly taskset: string | undefined;
  /** True if this nginx takes PUT. */
  readonly withUpload: boolean;
}

/** Looks for the tools. */
export async function findTools(): Promise<Found> {
  const [nginx, wrk, curl, openssl, taskset] = ["nginx", "wrk", "curl", "openssl", "taskset"].map(
    // Debian keeps nginx where only root looks.
    (name) => Bun.which(name) ?? Bun.which(name, { PATH: "/usr/sbin:/sbin" }) ?? undefined,
  );
  const withUpload = nginx !== undefined && (await canUpload(nginx));
  return { nginx, wrk, curl, openssl, taskset, withUpload };
}

/** Why a scenario cannot run here, or undefined. */
export function obstacle({ variant }: Scenario, found: Found): string | undefined {
  if (process.platform !== "linux")
    return "processor time is read from /proc, which only Linux has";
  if (found.nginx === undefined) return "nginx missing (apt install nginx-light)";
  if (variant === "new, full handshake") return undefined;
  if (variant === "keep-alive" || variant === "new, resumed")
    return found.wrk === undefined ? "wrk missing (apt install wrk)" : undefined;
  if (found.curl === undefined) return "curl missing (apt install curl)";
  if (variant === "up" && !found.withUpload)
    return "this nginx takes no PUT (http_dav_module missing)";
  return undefined;
}

/** What is left out though the scenarios run. */
export function missingLimits({ openssl }: Found): Skip[] {
  return openssl === undefined
    ? [{ id: "all", candidate: "direct https", reason: "openssl missing (apt install openssl)" }]
    : [];
}

/** Bytes of one bulk measurement. */
export function bulkBytes(seconds: number): number {
  return BULK_BYTES_PER_SECOND * seconds;
}

/** Memory if it has the room, so that no disk is measured; else the directory for temporary files. */
export function payloadParent(bytes: number): string {
  const memory = "/dev/shm";
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  // The file, an upload of it, and the hashed copies.
  return bavail * bsize > 2 * bytes + 3 * VERIFY_BYTES ? memory : tmpdir();
}

/** Writes a payload where nginx serves it. */
export function makePayload(directory: string, bytes: number): void {
  const pattern = randomFillSync(Buffer.allocUnsafe(PATTERN_BYTES));
  const file = openSync(join(directory, "files", bulkName(bytes)), "w", 0o644);
  try {
    let left = bytes;
    while (left > 0) left -= writeSync(file, pattern, 0, Math.min(left, pattern.length));
  } finally {
    closeSync(file);
  }
}

/** One run at a time: two would measure each other. A lock of a process that is gone does not count. */
export class RunLock implements Disposable {
  readonly #path: string;

  /** @throws Error if another run holds it. */
  constructor(directory: string) {
    this.#path = join(directory, "lock");
    const holder = existsSync(this.#path) ? Number(readFileSync(this.#path, "utf8")) : 0;
    if (holder > 0 && isAlive(holder))
      throw new Error(`Another bench runs with reports in ${directory} (pid ${holder})`);
    writeFileSync(this.#path, `${process.pid}\n`);
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: somebody else's process, so it is alive.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
