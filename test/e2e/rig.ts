// This file is the rig of the end-to-end tests: an edge and a connector as two processes, an origin, curl as visitor.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Ended, isInstalled, Program, run, SEARCH_PATH } from "../binary/program.ts";
import { EDGE, Home, IS_BUILT, Running, type Surroundings, tunl } from "../binary/tunl.ts";

export const DOMAIN = "tunl.localhost";
/** Label of the tunnel where a test does not choose one. */
const NAME = "app";

/** Long enough for any file of tests, short enough that nothing is left behind for ever, ms. */
const LIFE_MS = 600_000;

const HAS_NODE = isInstalled("node", "nodejs");
const HAS_CURL = isInstalled("curl");
/** What nearly all tests here need. */
export const CAN_RUN = IS_BUILT && HAS_NODE && HAS_CURL;

/** Tests come from one address, so the limits of one address would be what they measure. */
const NO_SOURCE_LIMITS = "limits: {connectionsPerIp: off, acceptPerIp: off}\n";

export interface EdgeSetup {
  /** More flags of `tunl edge`. */
  readonly flags?: readonly string[];
  /** More lines of its `edge.yml`. */
  readonly settings?: string;
  /** First lines of its `edge.yml`; no limits for a source if absent. */
  readonly config?: string;
  /** Starts it through another program, such as `sh` after a `ulimit`. */
  readonly through?: readonly string[];
  /** Port of 127.0.0.1; the system chooses if absent. */
  readonly port?: number;
  /** True: redirects to https on another port of 127.0.0.1. */
  readonly hasPlain?: boolean;
  /** That port; the system chooses if absent. */
  readonly plainPort?: number;
  /** Where certificates come from; `internal` if absent. */
  readonly tls?: "acme" | "files";
  /** State and configuration of an earlier one. */
  readonly home?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A running edge. Its home outlives it if the caller made it. */
export class TestEdge implements AsyncDisposable {
  readonly home: string;
  readonly process: Running;
  readonly port: number;
  readonly #ownHome: Home | undefined;

  private constructor(home: string, ownHome: Home | undefined, process: Running, port: number) {
    this.home = home;
    this.#ownHome = ownHome;
    this.process = process;
    this.port = port;
  }

  static async start(setup: EdgeSetup = {}): Promise<TestEdge> {
    const { flags = [], port = 0, hasPlain = false, home, environment, through } = setup;
    const { config = NO_SOURCE_LIMITS, settings = "", plainPort = 0, tls = "internal" } = setup;
    const ownHome = home === undefined ? new Home() : undefined;
    const path = home ?? (ownHome as Home).path;
    writeFileSync(join(path, "edge.yml"), config + settings, { mode: 0o600 });
    const words: Readonly<Record<string, string>> = {
      "127.0.0.1:0": `127.0.0.1:${port}`,
      internal: tls,
      ...(hasPlain && { off: `127.0.0.1:${plainPort}` }),
    };
    const command = EDGE.map((word) => words[word] ?? word);
    const process = new Running([...command, ...flags], {
      home: path,
      deadlineMs: LIFE_MS,
      ...(environment !== undefined && { environment }),
      ...(through !== undefined && { through }),
    });
    const ready = await process.event("ready").catch(async (error: unknown) => {
      await process[Symbol.asyncDispose]();
      throw error;
    });
    return new TestEdge(path, ownHome, process, Number(ready["port"]));
  }

  /** Root certificate of its internal CA, PEM. */
  get ca(): string {
    return join(this.home, "state", "ca", "root.pem");
  }

  /** A join line. */
  async invite(flags: readonly string[] = []): Promise<string> {
    const { code, stdout, stderr } = await tunl(["edge", "invite", "--json", ...flags], this);
    if (code !== 0) throw new Error(`tunl edge invite ended with ${code}: ${stderr}`);
    const { line }: { line: string } = JSON.parse(stdout);
    return line;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
    this.#ownHome?.[Symbol.dispose]();
  }
}

/** Starts `tunl connect`; it may not be connected yet. */
export function startConnector(
  target: string,
  flags: readonly string[],
  surroundings: Pick<Surroundings, "home" | "environment" | "through">,
): Running {
  return new Running(["connect", target, "--log-format", "json", ...flags], {
    ...surroundings,
    deadlineMs: LIFE_MS,
  });
}

export interface TunnelSetup {
  /** TARGET of the connector. */
  readonly target: string;
  readonly name?: string;
  /** More flags of `tunl connect`. */
  readonly flags?: readonly string[];
  /** An edge of the caller's; its own otherwise. */
  readonly edge?: TestEdge;
  readonly edgeFlags?: readonly string[];
  /** Of the connector. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly through?: readonly string[];
}

/** An edge and a connector with a route between them. */
export class Tunnel implements AsyncDisposable {
  readonly edge: TestEdge;
  readonly connector: Running;
  readonly host: string;
  readonly #home: Home;
  readonly #isOwnEdge: boolean;

  private constructor(
    edge: TestEdge,
    connector: Running,
    host: string,
    home: Home,
    isOwnEdge: boolean,
  ) {
    this.edge = edge;
    this.connector = connector;
    this.host = host;
    this.#home = home;
    this.#isOwnEdge = isOwnEdge;
  }

  static async start(setup: TunnelSetup): Promise<Tunnel> {
    const { target, name = NAME, flags = [], edgeFlags = [], environment, through } = setup;
    const edge = setup.edge ?? (await TestEdge.start({ flags: edgeFlags }));
    const home = new Home();
    const line = await edge.invite();
    const connector = startConnector(target, ["--name", name, "--join", line, ...flags], {
      home: home.path,
      ...(environment !== undefined && { environment }),
      ...(through !== undefined && { through }),
    });
    const tunnel = new Tunnel(edge, connector, `${name}.${DOMAIN}`, home, setup.edge === undefined);
    try {
      await connector.event("route");
      return tunnel;
    } catch (error) {
      await tunnel[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Home of the connector. */
  get home(): string {
    return this.#home.path;
  }

  url(path = "/"): string {
    return `https://${this.host}:${this.edge.port}${path}`;
  }

  /** Runs curl on a path; flags come first. */
  curl(path: string, flags: readonly string[] = [], deadlineMs?: number): Promise<Ended> {
    return curl(this.edge, [...flags, this.url(path)], deadlineMs);
  }

  /** Runs curl on a path and takes its answer apart. @throws when curl fails. */
  async get(path: string, flags: readonly string[] = []): Promise<Answer> {
    return answered(await this.curl(path, ["-i", ...flags]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connector[Symbol.asyncDispose]();
    this.#home[Symbol.dispose]();
    if (this.#isOwnEdge) await this.edge[Symbol.asyncDispose]();
  }
}

/** What curl needs of an edge. */
export type Reachable = Pick<TestEdge, "ca" | "port">;

/** Runs curl, silent but for errors, below the edge's root; every name leads to the edge. */
export function curl(
  edge: Reachable,
  words: readonly string[],
  deadlineMs?: number,
): Promise<Ended> {
  const command = [
    "curl",
    "-sS",
    "--noproxy",
    "*",
    "--cacert",
    edge.ca,
    "--connect-to",
    `::127.0.0.1:${edge.port}`,
  ];
  return run([...command, ...words], {
    environment: { PATH: SEARCH_PATH },
    ...(deadlineMs !== undefined && { deadlineMs }),
  });
}

/** An answer as `curl -i` shows it. */
export interface Answer {
  readonly status: number;
  /** The first line. */
  readonly line: string;
  /** Names as they came, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** Heads before the last one: interim responses. */
  readonly interim: readonly string[];
}

/** Takes the output of `curl -i` apart. @throws when curl failed. */
export function answered({ code, stdout, stderr }: Ended): Answer {
  if (code !== 0) throw new Error(`curl ended with ${code}: ${stderr}${stdout.slice(0, 500)}`);
  let rest = stdout;
  const heads: string[] = [];
  while (rest.startsWith("HTTP/")) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) throw new Error(`curl showed a head without an end: ${rest.slice(0, 500)}`);
    heads.push(rest.slice(0, end));
    rest = rest.slice(end + 4);
  }
  const last = heads.pop();
  if (last === undefined) throw new Error(`curl showed no head: ${stdout.slice(0, 500)}`);
  const [line = "", ...fields] = last.split("\r\n");
  return {
    status: Number(line.split(" ")[1]),
    line,
    fields: fields.map((field) => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon), field.slice(colon + 1).trim()] as const;
    }),
    body: rest,
    interim: heads,
  };
}

/** Values of a field, by its name in any case. */
export function valuesOf(fields: Answer["fields"], name: string): string[] {
  return fields.flatMap(([each, value]) =>
    each.toLowerCase() === name.toLowerCase() ? [value] : [],
  );
}

export interface AppSetup {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly key?: string;
  readonly cert?: string;
}

/** The Node program of `programs/app.mjs`. */
export class App implements AsyncDisposable {
  readonly process: Program;
  readonly #where: string;

  private constructor(process: Program, where: string) {
    this.process = process;
    this.#where = where;
  }

  static async start(setup: AppSetup = {}): Promise<App> {
    const file = fileURLToPath(new URL("programs/app.mjs", import.meta.url));
    const process = new Program(["node", file, JSON.stringify(setup)], {
      environment: { PATH: SEARCH_PATH },
      deadlineMs: LIFE_MS,
    });
    const where = await process
      .find((line) => /^listening (.*)$/.exec(line)?.[1], "listening")
      .catch(async (error: unknown) => {
        await process[Symbol.asyncDispose]();
        throw error;
      });
    return new App(process, where);
  }

  get port(): number {
    return Number(this.#where);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

/** What the app says of a request: names and values of the header lines take turns. */
export interface Echo {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly headers: readonly string[];
  readonly trailers: readonly string[];
  readonly length: number;
  readonly sha256: string;
}

/** Values of a header line in an echo, by its name in any case. */
export function echoed({ headers }: Echo, name: string): string[] {
  const wanted = name.toLowerCase();
  return headers.filter(
    (_, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === wanted,
  );
}
