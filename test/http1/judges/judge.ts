// This file is two parsers that others wrote, as programs: Node's llhttp and Python's h11. They say what they read in given bytes.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isInstalled, run, SEARCH_PATH } from "../../binary/program.ts";
import type { Field } from "../messages.ts";

/** What a judge read of one message; `body` in base64. */
export interface Judged {
  readonly method?: string;
  readonly target?: string;
  readonly status?: number;
  readonly reason?: string;
  readonly version: string;
  readonly fields: Field[];
  readonly body: string;
  readonly trailers: Field[];
  readonly interim?: number[];
  readonly error?: string | null;
}

export interface Verdicts {
  /** By connection: its requests, and what was wrong behind them. */
  readonly connections: readonly {
    readonly requests: readonly Judged[];
    readonly error: string | null;
  }[];
  readonly responses: readonly Judged[];
}

export interface Given {
  /** Bytes of a client on one connection. */
  readonly connections: readonly Uint8Array[];
  /** Answers to requests with this method; the last one on a connection may end with it. */
  readonly responses: readonly {
    readonly method: string;
    readonly bytes: Uint8Array;
    readonly isLast: boolean;
  }[];
}

export interface Judge {
  readonly name: string;
  /** Methods it knows; undefined: every token. */
  readonly methods: readonly string[] | undefined;
  readonly isThere: boolean;
  ask(given: Given): Promise<Verdicts>;
}

const H11 = "/usr/lib/python3/dist-packages/h11";
const PYTHON = "/usr/bin/python3";

function hasH11(): boolean {
  if (existsSync(PYTHON) && existsSync(H11)) return true;
  console.warn("Skipped: h11 is missing, Debian package python3-h11");
  return false;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

async function ask(command: readonly string[], given: Given): Promise<Verdicts> {
  const directory = mkdtempSync(join(tmpdir(), "tunl-judge-"));
  try {
    const file = join(directory, "given.json");
    const responses = given.responses.map((each) => ({ ...each, bytes: base64(each.bytes) }));
    writeFileSync(file, JSON.stringify({ connections: given.connections.map(base64), responses }));
    const { code, stdout, stderr } = await run([...command, file], {
      environment: { PATH: SEARCH_PATH },
    });
    if (code !== 0) throw new Error(`"${command[0]}" ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as Verdicts;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const program = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export const JUDGES: readonly Judge[] = [
  {
    name: "llhttp of Node",
    // The methods every version of it has.
    methods: ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "REPORT"],
    isThere: isInstalled("node", "nodejs"),
    ask: (given) => ask(["node", program("llhttp.mjs")], given),
  },
  {
    name: "h11",
    methods: undefined,
    isThere: hasH11(),
    ask: (given) => ask([PYTHON, program("h11.py")], given),
  },
];
