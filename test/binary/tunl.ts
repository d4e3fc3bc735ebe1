// This file is what the tests of the executable share: where it is, a home of its own, and its processes.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { recordExecutables } from "../reached.ts";
import { type Ended, Program, type Wait } from "./program.ts";

/** `TUNL_EXECUTABLE` names another one, such as a release file. */
export const TUNL =
  process.env["TUNL_EXECUTABLE"] ?? fileURLToPath(new URL("../../dist/tunl", import.meta.url));

/** False: the tests skip; `bun run test` builds it first. */
export const IS_BUILT = existsSync(TUNL);
if (!IS_BUILT) console.warn(`Skipped: ${TUNL} is not built, run npm run build`);

/** True for the long forms of tests: `bun run test --slow`. */
export const IS_SLOW = process.env["TUNL_SLOW"] === "1";

/** A directory that is gone at the end; sockets in it stay short. */
export class Home implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "tunl-bin-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** What a process of the executable is given besides its arguments. */
export interface Surroundings {
  readonly home: string;
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Killed when it runs longer, ms; 20 s if absent. */
  readonly deadlineMs?: number;
  /** Starts the executable through another program, such as `setpriv`. */
  readonly through?: readonly string[];
}

/** One line of a log in JSON. */
export type Event = Readonly<Record<string, unknown>>;

/** What the executable says of its own mistakes. */
const FAULT = /\bBUG: |"code":"BUG"|A fault was not caught|Buffer is detached/;

/** Runs to the end. */
export async function tunl(
  arguments_: readonly string[],
  surroundings: Surroundings,
): Promise<Ended> {
  await using running = new Running(arguments_, surroundings);
  return await running.ended;
}

/** Runs `tunl connect` until a line says that it is up, or to its end; however long the machine takes for that. */
export async function connectedOnce(
  words: readonly string[],
  surroundings: Surroundings,
  isUp: RegExp = /\bconnected\b/,
): Promise<Ended> {
  await using connector = new Running(words, surroundings);
  // Refused, it ends by itself: that is told by its end.
  await connector.line(isUp).catch(() => undefined);
  connector.signal("SIGTERM");
  return await connector.ended;
}

/** One process of the executable: killed at the deadline, and when it leaves the scope. */
export class Running extends Program {
  readonly #home: string;

  constructor(arguments_: readonly string[], surroundings: Surroundings) {
    const { home, directory, environment, deadlineMs, through = [] } = surroundings;
    super([...through, TUNL, ...arguments_], {
      directory: directory ?? home,
      // Nothing of the tester's own surroundings: PATH is not needed either.
      // No test asks the real DNS: nobody listens there.
      environment: {
        HOME: home,
        TUNL_HOME: home,
        TUNL_DNS_SERVERS: "127.0.0.1:9",
        ...environment,
      },
      ...(deadlineMs !== undefined && { deadlineMs }),
    });
    this.#home = home;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await recordExecutables(this.#home);
    await super[Symbol.asyncDispose]();
    // An invariant that broke ends one stream or connection, which a test may take for something else.
    const bug = this.output.split("\n").find((line) => FAULT.test(line));
    if (bug !== undefined) throw new Error(`the executable is at fault: ${bug}`);
  }

  /** Waits for a log line with this event. @throws if the process ends or the time passes before. */
  event(name: string, wait: Wait = {}): Promise<Event> {
    return this.find((line) => readEvent(line, name), `its event "${name}"`, wait);
  }
}

function readEvent(line: string, name: string): Event | undefined {
  if (!line.startsWith("{")) return undefined;
  const record: Event = JSON.parse(line);
  return record["event"] === name ? record : undefined;
}

/** Arguments of an edge on ports of the system's choice, with JSON lines. */
export const EDGE = [
  "edge",
  "--domain",
  "tunl.localhost",
  "--tls",
  "internal",
  "--listen",
  "127.0.0.1:0",
  "--http",
  "off",
  "--log-format",
  "json",
];
