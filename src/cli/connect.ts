// This file is `tunl connect`: starts the private end, tells what happens to it, and stays. product.md §1.1, §2.2.
import { rmSync, writeFileSync } from "node:fs";
import {
  formatDuration,
  loadConnect,
  reasonOf,
  showPath,
  surroundings,
  VERSION,
} from "../config/index.ts";
import type { ConnectorOptions, Loaded } from "../config/index.ts";
import type { ConnectorEvents, OriginTrouble, RequestLine } from "../connector/index.ts";
import { TunlError } from "../errors.ts";
import { command, loadInput } from "./command.ts";
import { tellConfiguration } from "./configuration.ts";
import { messageOf } from "./failure.ts";
import { live } from "./lifecycle.ts";
import type { Output } from "./output.ts";

export default command("connect", async (invocation) => {
  await runConnector(loadConnect(loadInput(invocation), invocation.positionals[0], process.pid));
});

/** Runs a connector until it is told to stop. */
export async function runConnector(loaded: Loaded<ConnectorOptions>): Promise<void> {
  const { options, log } = loaded;
  await live(log, async (output, stay) => {
    output.log.info("start", `tunl ${VERSION}  connector  ${options.label}`, {
      version: VERSION,
      label: options.label,
    });
    tellConfiguration(output, loaded);
    const { startConnector } = await import("../connector/index.ts");
    const teller = new Teller(output, options);
    warnOfProxy(output);
    try {
      await using connector = await startConnector(options, output.log, teller);
      await stay(connector, {
        graceMs: options.graceMs,
        forMs: options.forMs,
        done: Promise.race([connector.done, teller.failure]),
      });
    } catch (error) {
      throw withNextStep(error);
    } finally {
      teller.removePidFile();
    }
  });
}

/** Whoever sets one of these expects that it is used, and in its network nothing else may work. */
const PROXY_VARIABLES = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/** Names the variable alone: its value may hold a password. */
function warnOfProxy(output: Output): void {
  const name = PROXY_VARIABLES.find((variable) => (process.env[variable] ?? "") !== "");
  if (name === undefined) return;
  output.log.warn(
    "notice",
    `${name} is set, but a proxy on the way to the edge is not in this build: it is dialled directly`,
  );
}

const UNREACHABLE_HINT =
  "Is tunl edge running there, and does a firewall let its port through? A proxy on the way is not in this build";
/** Tries after which a log says what to look at: one or two fail at every restart of an edge. */
const TRIES_BEFORE_HINT = 3;

/** `--wait` is over: what to look at, where the error itself does not say. */
function withNextStep(error: unknown): unknown {
  if (!(error instanceof TunlError) || error.code !== "EDGE_UNREACHABLE") return error;
  if (error.hint !== undefined) return error;
  return new TunlError(error.code, error.message, {
    cause: error,
    hint: UNREACHABLE_HINT,
  });
}

/** Turns what happens to a connector into lines. */
class Teller implements ConnectorEvents {
  /** Rejects when the pid file cannot be written: a supervisor would wait for it for ever. */
  readonly failure: Promise<void>;
  readonly #output: Output;
  readonly #options: ConnectorOptions;
  readonly #home = surroundings().home;
  #fail: (error: TunlError) => void = () => undefined;
  #isPidWritten = false;
  #edge: string | undefined;
  #lostAt: number | undefined;

  constructor(output: Output, options: ConnectorOptions) {
    this.#output = output;
    this.#options = options;
    this.failure = new Promise((_, reject) => (this.#fail = reject));
    // Nobody may be waiting yet when it rejects.
    this.failure.catch(() => undefined);
  }

  edge(host: string, fingerprint: string): void {
    this.#edge = host;
    const { join, token } = this.#options;
    const whence =
      join !== undefined
        ? "as in the join line"
        : token === undefined
          ? "as saved"
          : "as in the token";
    this.#output.log.info("edge", `${host}, key ${fingerprint} ${whence}`, {
      edge: host,
      key: fingerprint,
    });
  }

  joined(tunnel: string, savedPath: string): void {
    this.#output.log.info(
      "joined",
      `as tunnel "${tunnel}", saved in ${showPath(savedPath, this.#home)}`,
      { tunnel },
    );
  }

  connected(links: number, rttMs: number): void {
    const lost = this.#lostAt;
    this.#lostAt = undefined;
    const again = lost === undefined ? "" : `, after ${formatDuration(performance.now() - lost)}`;
    this.#output.log.info(
      "connected",
      `${links} link${links === 1 ? "" : "s"}, ${formatDuration(rttMs)}${again}`,
      { edge: this.#edge, links, rttMs },
    );
    this.#writePidFile();
  }

  route(url: string, service: string, expression: string | undefined): void {
    const line = `${url}${expression === undefined ? "" : ` path ${expression}`} -> ${service}`;
    // A log for programs holds the route as an event; the plain line is for people and for $(tunl connect …).
    if (this.#output.format !== "pretty")
      this.#output.log.info("route", line, { url, service, expression });
    if (this.#output.format !== "json") this.#output.answer(line);
  }

  certificate(host: string, state: "ready" | "failed", ms: number, text: string): void {
    if (state === "ready")
      this.#output.log.info("certificate", `${host}, ready in ${formatDuration(ms)}`, {
        name: host,
      });
    else
      this.#output.log.warn("certificate", text === "" ? `No certificate for ${host}` : text, {
        name: host,
      });
  }

  notice(text: string): void {
    this.#output.log.warn("notice", text);
  }

  request(line: RequestLine, tunnel: string | undefined): void {
    if (!this.#options.accessLog) return;
    this.#output.log.info("request", "", { ...line, tunnel });
  }

  originTrouble({ text, ...fields }: OriginTrouble): void {
    this.#output.log.warn("origin.error", text, fields);
  }

  linkLost(text: string): void {
    this.#lostAt ??= performance.now();
    this.#output.log.warn("link.lost", text);
  }

  retry(text: string, inMs: number, attempt: number): void {
    this.#output.log.warn("retry", `${text}, next try in ${formatDuration(inMs)}`, {
      inMs: Math.round(inMs),
      attempt,
      hint: attempt === TRIES_BEFORE_HINT ? UNREACHABLE_HINT : undefined,
    });
  }

  failed(error: TunlError): void {
    this.#output.log.error("refused", messageOf(error), { code: error.code, hint: error.hint });
  }

  removePidFile(): void {
    if (this.#isPidWritten && this.#options.pidPath !== undefined)
      rmSync(this.#options.pidPath, { force: true });
  }

  #writePidFile(): void {
    const path = this.#options.pidPath;
    if (path === undefined || this.#isPidWritten) return;
    try {
      writeFileSync(path, `${process.pid}\n`);
      this.#isPidWritten = true;
    } catch (error) {
      const message = `Writing the pid file "${path}" failed: ${reasonOf(error)}`;
      this.#fail(
        new TunlError("PID_FILE", message, { cause: error, hint: "Choose another --pidfile" }),
      );
    }
  }
}
