// This file is what the soak runs on: an edge, two tunnels of which one is disturbed, an origin for each, visitors for each.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Connector, type Edge, startConnector, startEdge } from "../rig/pair.ts";
import { freePort } from "../rig/ports.ts";
import { LineProgram } from "./line-program.ts";

/** All load comes from one address. */
const CONFIG = "limits: {connectionsPerIp: off, acceptPerIp: off}\n";

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** One tunnel: its service, its connector and what both are started with again. */
export class SoakTunnel implements AsyncDisposable {
  readonly label: string;
  connector: Connector;
  readonly #origin: { port: number; program: LineProgram };
  readonly #start: () => Promise<Connector>;

  private constructor(
    label: string,
    origin: { port: number; program: LineProgram },
    connector: Connector,
    start: () => Promise<Connector>,
  ) {
    this.label = label;
    this.#origin = origin;
    this.connector = connector;
    this.#start = start;
  }

  static async start(
    label: string,
    executable: string,
    home: string,
    edge: Edge,
  ): Promise<SoakTunnel> {
    await using scope = new AsyncDisposableStack();
    // A port that stays: the connector is told of it once.
    const port = await freePort();
    const program = scope.use(await startOrigin(port));
    const joinLine = await edge.invite();
    // The whole command again, as a supervisor would: it is joined already.
    const start = (): Promise<Connector> =>
      startConnector({
        executable,
        home: join(home, label),
        target: String(port),
        joinLine,
        label,
      });
    const connector = scope.use(await start());
    const tunnel = new SoakTunnel(label, { port, program }, connector, start);
    scope.move();
    return tunnel;
  }

  /** Ends the connector by this signal and starts another one. */
  async restartConnector(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    process.kill(this.connector.program.pid, signal);
    await this.connector.program.ended;
    this.connector = await this.#start();
  }

  /** Kills the service and starts another one on its port. */
  async restartOrigin(): Promise<void> {
    await this.#origin.program[Symbol.asyncDispose]();
    this.#origin.program = await startOrigin(this.#origin.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connector[Symbol.asyncDispose]();
    await this.#origin.program[Symbol.asyncDispose]();
  }
}

async function startOrigin(port: number): Promise<LineProgram> {
  const program = new LineProgram(["node", file("origin.mjs"), String(port)]);
  await program.line((line) => line.startsWith("listening "), "listening");
  return program;
}

/** What visitors saw that should not be. */
export interface Failure {
  readonly failed: string;
  /** Ms since 1970. */
  readonly at: number;
  readonly text: string;
}

/** What visitors did. */
export interface Done {
  readonly done: Readonly<Record<string, number>>;
  /** Connections that took up a TLS session again. */
  readonly resumed: number;
}

/** The visitors of one tunnel. */
export class Visitors implements AsyncDisposable {
  readonly #program: LineProgram;

  constructor(edge: Edge, { connector: { url } }: SoakTunnel, seed: number) {
    const goal = { host: url.hostname, port: edge.port, ca: edge.caPath, seed };
    this.#program = new LineProgram(["node", file("visitors.mjs"), JSON.stringify(goal)]);
  }

  /** Lets them end what they are at. */
  async finish(withinMs: number): Promise<Done & { readonly failures: readonly Failure[] }> {
    this.#program.endInput();
    const last = await this.#program.line((line) => line.startsWith('{"done"'), "an end", withinMs);
    const failures = this.#program.lines
      .filter((line) => line.startsWith('{"failed"'))
      .map((line): Failure => JSON.parse(line));
    return { ...(JSON.parse(last) as Done), failures };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#program[Symbol.asyncDispose]();
  }
}

/** An edge of the soak. */
export async function startSoakEdge(executable: string, home: string): Promise<Edge> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  return startEdge({ executable, home: join(home, "edge"), port: 0, config: CONFIG });
}
