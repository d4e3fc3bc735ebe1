// This file is a connector with a configuration file: joined once, started as often as a test likes.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, Running } from "../binary/tunl.ts";
import type { TestEdge } from "./rig.ts";

/** Long enough for any file of tests, ms. */
const LIFE_MS = 600_000;

export interface RuledSetup {
  readonly edge: TestEdge;
  /** Text of `config.yml`. */
  readonly config: string;
  /** More flags of `tunl edge invite`. */
  readonly invite?: readonly string[];
  /** More flags of the connector. */
  readonly flags?: readonly string[];
  /** Of every process of this home. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** The home of a connector; disposing ends the processes that were started in it. */
export class Ruled implements AsyncDisposable {
  readonly home = new Home();
  readonly configPath = join(this.home.path, "config.yml");
  readonly #environment: Readonly<Record<string, string>>;
  readonly #processes: Running[] = [];

  private constructor(environment: Readonly<Record<string, string>> = {}) {
    this.#environment = environment;
  }

  /** Joins, starts, and waits for the link. */
  static async start(setup: RuledSetup): Promise<[Ruled, Running]> {
    const ruled = new Ruled(setup.environment);
    try {
      ruled.write(setup.config);
      const line = await setup.edge.invite(setup.invite);
      const process = ruled.run(["connect", "--join", line, ...(setup.flags ?? [])]);
      await process.event("connected");
      return [ruled, process];
    } catch (error) {
      await ruled[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The configuration from now on. */
  write(config: string): void {
    writeFileSync(this.configPath, config, { mode: 0o600 });
  }

  /** Starts the executable here; its log is JSON. */
  run(words: readonly string[]): Running {
    const process = new Running([...words, "--log-format", "json"], {
      home: this.home.path,
      environment: this.#environment,
      deadlineMs: LIFE_MS,
    });
    this.#processes.push(process);
    return process;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process[Symbol.asyncDispose]();
    this.home[Symbol.dispose]();
  }
}
