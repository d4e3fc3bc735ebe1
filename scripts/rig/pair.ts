// This file is an edge and a connector of one executable on 127.0.0.1, joined by a join line as a user joins them. product.md §1.1.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program, run } from "./program.ts";

export const DOMAIN = "tunl.localhost";
const INVITE_MS = 10_000;

/** A directory that is gone at the end. Its path is short: control sockets lie below it, and theirs end at 107 bytes. */
export class ScratchDirectory implements Disposable {
  readonly path: string;

  constructor(prefix: string, parent = tmpdir()) {
    this.path = mkdtempSync(join(parent, prefix));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** What both ends need. */
interface EndOptions {
  /** Path of tunl. */
  readonly executable: string;
  /** TUNL_HOME of this process; made if it is not there. */
  readonly home: string;
  /** What comes before the executable, such as `taskset -c 1`; it must become that process, so that the pid is right. */
  readonly prefix?: readonly string[];
}

/** An edge with certificates of its own CA, and nothing on a port for http. */
export interface EdgeOptions extends EndOptions {
  /** 0 lets the system choose. */
  readonly port: number;
  /** Text of edge.yml. */
  readonly config?: string;
}

/** A connector for one service. */
export interface ConnectorOptions extends EndOptions {
  readonly target: string;
  readonly joinLine: string;
  /** Public label; a random one if absent. */
  readonly label?: string;
}

/** The running public end. */
export class Edge implements AsyncDisposable {
  readonly program: Program;
  readonly port: number;
  readonly #options: EdgeOptions;

  constructor(program: Program, port: number, options: EdgeOptions) {
    this.program = program;
    this.port = port;
    this.#options = options;
  }

  get home(): string {
    return this.#options.home;
  }

  /** The root certificate that visitors of this edge trust. */
  get caPath(): string {
    return join(this.#options.home, "state", "ca", "root.pem");
  }

  /** A join line that works once. */
  async invite(): Promise<string> {
    const { executable, home } = this.#options;
    const { code, stdout, stderr } = await run(
      [executable, "edge", "invite", "--json"],
      INVITE_MS,
      environmentOf(home),
    );
    if (code !== 0) throw new Error(`tunl edge invite ended with ${code}:\n${stderr}`);
    const { line }: { line: string } = JSON.parse(stdout);
    return line;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.program.stop();
  }
}

/** The running private end. */
export interface Connector extends AsyncDisposable {
  readonly program: Program;
  readonly home: string;
  readonly url: URL;
  /** What it says of its link: `1 link, 0 ms`. */
  readonly connected: string;
}

/** Starts an edge. @throws ProgramError if it ends before it is ready, code `PORT_IN_USE` where the port is taken. */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  mkdirSync(options.home, { recursive: true, mode: 0o700 });
  if (options.config !== undefined)
    writeFileSync(join(options.home, "edge.yml"), options.config, { mode: 0o600 });
  const program = start("edge", options, [
    "edge",
    `--domain=${DOMAIN}`,
    "--tls=internal",
    `--listen=127.0.0.1:${options.port}`,
    "--http=off",
    "--grace=1s",
  ]);
  const { port } = await started(program, "ready");
  return new Edge(program, Number(port), options);
}

/** Joins, and waits for the public name. @throws ProgramError if it ends before. */
export async function startConnector(options: ConnectorOptions): Promise<Connector> {
  mkdirSync(options.home, { recursive: true, mode: 0o700 });
  const program = start("connector", options, [
    "connect",
    options.target,
    `--join=${options.joinLine}`,
    "--grace=1s",
    ...(options.label === undefined ? [] : [`--name=${options.label}`]),
  ]);
  const { url } = await started(program, "route");
  const { msg } = await program.event("connected");
  return {
    program,
    home: options.home,
    url: new URL(String(url)),
    connected: String(msg),
    [Symbol.asyncDispose]: () => program.stop(),
  };
}

function start(name: string, { executable, home, prefix }: EndOptions, words: string[]): Program {
  return new Program({
    name,
    command: [...(prefix ?? []), executable, ...words, "--log-format=json"],
    environment: environmentOf(home),
  });
}

/** Waits for the event; a process that does not come to it is stopped. */
async function started(
  program: Program,
  event: string,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await program.event(event);
  } catch (error) {
    await program.stop();
    throw error;
  }
}

function environmentOf(home: string): Record<string, string> {
  return { HOME: home, TUNL_HOME: home };
}
