// This file is the tools that make load: wrk for requests, curl for bulk, both on one address without a resolver. benchmarks.md §5.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../rig/program.ts";

const CONNECTIONS = 64;
/** 1,024 bytes. */
const PATH = "/1k";
const GENERATOR = fileURLToPath(new URL("connect-load.ts", import.meta.url));
/** A tool that takes this much longer than asked hangs; that is a result, not a retry (benchmarks.md §8). */
const WATCHDOG = 3;
/** What the start of a tool and slow bulk may take beyond. */
const SLACK_MS = 20_000;

/** Where load goes. */
export interface Goal {
  readonly scheme: "http" | "https";
  /** Host and SNI; the address is always 127.0.0.1. */
  readonly host: string;
  readonly port: number;
  /** Root that curl trusts. */
  readonly caPath: string | undefined;
}

/** One measurement. */
export interface Sample {
  /** Per second: requests, or bits. */
  readonly rate: number;
  /** Requests, or bytes. */
  readonly amount: number;
  /** How long it took. */
  readonly seconds: number;
  readonly errors: number;
  /** Milliseconds; undefined for bulk. */
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** What the tools need. */
export interface Tools {
  readonly wrk: string;
  readonly curl: string;
  /** Pins the load. */
  readonly prefix: readonly string[];
  /** For scripts and payload. */
  readonly directory: string;
}

/**
 * wrk has no `--resolve`, and sends the host of its URL as SNI. Its script may answer for the resolver.
 * `done` prints what the table of wrk rounds or leaves out.
 */
const SCRIPT = `function wrk.resolve(host, service)
  wrk.addrs = wrk.lookup("127.0.0.1", service)
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests":%d,"us":%d,"p50":%d,"p99":%d,"errors":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`;

/** Closed loop of 64 connections; `isNew`: each request on a connection of its own, with the TLS session of the one before. @throws Error if wrk fails or hangs. */
export async function requests(
  tools: Tools,
  goal: Goal,
  seconds: number,
  isNew: boolean,
): Promise<Sample> {
  const script = join(tools.directory, "wrk.lua");
  writeFileSync(script, SCRIPT);
  return readSample(
    [
      ...tools.prefix,
      ...[tools.wrk, "-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--timeout=5s", "-s", script],
      ...(isNew ? ["-H", "Connection: close"] : []),
      `${urlOf(goal)}${PATH}`,
    ],
    seconds,
  );
}

/** The same with a full handshake for each request. @throws Error if the generator fails or hangs. */
export async function handshakes(tools: Tools, goal: Goal, seconds: number): Promise<Sample> {
  const { scheme, host, port, caPath } = goal;
  return readSample(
    [
      ...tools.prefix,
      ...[process.execPath, GENERATOR, scheme, host, String(port), caPath ?? "-"],
      ...[String(seconds), String(CONNECTIONS), PATH],
    ],
    seconds,
  );
}

async function readSample(command: readonly string[], seconds: number): Promise<Sample> {
  const { code, stdout, stderr } = await run(command, seconds * 1_000 * WATCHDOG + SLACK_MS);
  const line = stdout.split("\n").findLast((text) => text.startsWith("{"));
  if (code !== 0 || line === undefined)
    throw new Error(`${command.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
  const found: Record<"requests" | "us" | "p50" | "p99" | "errors", number> = JSON.parse(line);
  return {
    rate: (found.requests / found.us) * 1_000_000,
    amount: found.requests,
    seconds: found.us / 1_000_000,
    errors: found.errors,
    p50: found.p50 / 1_000,
    p99: found.p99 / 1_000,
  };
}

/** Moves a file of `bytes` over one connection. @throws Error if it does not arrive whole. */
export async function bulk(
  tools: Tools,
  goal: Goal,
  direction: "down" | "up",
  bytes: number,
): Promise<Sample> {
  const transfer =
    direction === "down"
      ? ["-o", "/dev/null", `${urlOf(goal)}/${bulkName(bytes)}`]
      : // Without Expect: nobody waits a second for a 100 that is not needed.
        [
          "-H",
          "Expect:",
          "-T",
          join(tools.directory, "files", bulkName(bytes)),
          `${urlOf(goal)}/put/body`,
        ];
  const { code, stdout, stderr } = await run(
    [
      ...tools.prefix,
      ...[
        tools.curl,
        "-sS",
        "-w",
        "%{stderr}%{http_code} %{size_download} %{size_upload} %{time_total}",
      ],
      ...dial(goal),
      ...transfer,
    ],
    SLACK_MS * WATCHDOG,
  );
  const [status = 0, down = 0, up = 0, seconds = 0] = stderr.split(" ").map(Number);
  const moved = direction === "down" ? down : up;
  if (code !== 0 || status < 200 || status > 299 || moved !== bytes)
    throw new Error(
      `curl on ${urlOf(goal)} ended with ${code}, moved ${moved} of ${bytes} bytes ${direction}:\n${stdout}${stderr}`,
    );
  return {
    rate: (bytes * 8) / seconds,
    amount: bytes,
    seconds,
    errors: 0,
    p50: undefined,
    p99: undefined,
  };
}

/** Sends a payload there and back and compares hashes, before anybody looks at its speed. @throws Error on another hash. */
export async function verify(
  tools: Tools,
  goal: Goal,
  bytes: number,
  withUpload: boolean,
): Promise<void> {
  const expected = await hashOf(join(tools.directory, "files", bulkName(bytes)));
  if (withUpload) {
    await bulk(tools, goal, "up", bytes);
    demand("upload", await hashOf(join(tools.directory, "put", "body")), expected);
  }
  const copy = join(tools.directory, "copy");
  const { code, stderr } = await run(
    [tools.curl, "-sS", ...dial(goal), "-o", copy, `${urlOf(goal)}/${bulkName(bytes)}`],
    SLACK_MS * WATCHDOG,
  );
  if (code !== 0) throw new Error(`curl on ${urlOf(goal)} ended with ${code}:\n${stderr}`);
  demand("download", await hashOf(copy), expected);
}

/** Name of the file that is moved. */
export function bulkName(bytes: number): string {
  return `bulk-${bytes}`;
}

function demand(what: string, actual: string, expected: string): void {
  if (actual !== expected)
    throw new Error(`The ${what} arrived with SHA-256 ${actual}, expected ${expected}`);
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of Bun.file(path).stream()) hash.update(bytes);
  return hash.digest("hex");
}

function dial({ host, port, caPath }: Goal): string[] {
  return [
    ...["--resolve", `${host}:${port}:127.0.0.1`],
    ...(caPath === undefined ? [] : ["--cacert", caPath]),
  ];
}

function urlOf({ scheme, host, port }: Goal): string {
  return `${scheme}://${host}:${port}`;
}
