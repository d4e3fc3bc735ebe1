// This file is `tunl route dns TUNNEL HOST`: a name becomes a tunnel's, leads to the edge and has a certificate. product.md §1.2, §6 item 4.
import { formatDuration, loadAccount } from "../config/index.ts";
import type { CallBody } from "../connector/index.ts";
import { askEdge, findAccount } from "./account.ts";
import { command, loadInput } from "./command.ts";
import { isAnswer } from "./control.ts";
import { Reported } from "./lifecycle.ts";
import type { Output } from "./output.ts";
import { printJson } from "./print.ts";
import { withProgress } from "./progress.ts";
import { text } from "./rows.ts";

/** What the edge needs beside the time for the record: other names, a certificate, ms. */
const REST_MS = 180_000;
const INTERRUPTED = 130;

export default command("route dns", async (invocation) => {
  const options = loadAccount("route dns", loadInput(invocation));
  const [tunnel, host] = invocation.positionals as [string, string];
  const { settings } = options;
  const timeoutMs = settings.number("timeout") ?? 0;
  const body = {
    ...{ tunnel, host, timeoutMs, overwrite: settings.isOn("overwrite") },
    proof: settings.text("proof"),
  };
  await withProgress(options.log, async (output) => {
    const account = await findAccount(options);
    const told = new Told(output, timeoutMs);
    const stop = new AbortController();
    const onStop = (): void => stop.abort();
    process.once("SIGINT", onStop);
    try {
      const answer = await askEdge(options, account, "route.dns", body, {
        ...{ timeoutMs: timeoutMs + REST_MS, signal: stop.signal },
        onEvent: (event, about) => told.take(event, about),
      });
      if (options.isJson) await printJson({ host, tunnel, url: answer["url"], ...told.summary });
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      // Nothing is lost: what was granted stays, and records that were made are remembered by the edge.
      const again = told.isGranted ? `${host} stays a name of ${tunnel}; ` : "";
      output.log.info("stopped", `${again}run the same command to go on`);
      throw new Reported(INTERRUPTED, error);
    } finally {
      process.off("SIGINT", onStop);
    }
  });
});

/** What the edge tells, as lines. */
class Told {
  readonly summary: Record<string, unknown> = {};
  isGranted = false;
  readonly #output: Output;
  readonly #timeoutMs: number;
  /** A list of records to add has one heading. */
  #isAsked = false;

  constructor(output: Output, timeoutMs: number) {
    this.#output = output;
    this.#timeoutMs = timeoutMs;
  }

  take(event: string, body: CallBody): void {
    if (event === "granted") this.#granted(body);
    else if (event === "dns") this.#dns(body);
    else if (event === "certificate") this.#certificate(body);
    // Events of later revisions are not ours to judge.
  }

  #granted(body: CallBody): void {
    const [host, tunnel] = [text(body["host"]), text(body["tunnel"])];
    this.isGranted = true;
    this.#output.log.info("granted", `${host} to ${tunnel}`, { host, tunnel });
  }

  #dns(body: CallBody): void {
    const { log } = this.#output;
    const state = text(body["state"]);
    const record = isAnswer(body["record"]) ? body["record"] : undefined;
    const [name, type, value] = ["name", "type", "value"].map((key) => text(record?.[key]));
    const server = text(body["server"]);
    this.summary["dns"] = state;
    if (record !== undefined) this.summary["record"] = record;
    switch (state) {
      case "covered": {
        const what = record === undefined ? "the name" : `${name}`;
        log.info("dns", `${what} already leads to the edge, no record needed`, { server });
        return;
      }
      case "made":
        log.info("dns", `added ${name} ${type} ${value} by ${server}`, { server });
        return;
      case "seen": {
        const { ms } = body;
        const after = typeof ms === "number" && ms >= 1_000 ? ` after ${formatDuration(ms)}` : "";
        log.info("dns", `seen at ${server}${after}`, { server });
        return;
      }
      case "wait":
        this.#wait(body, `  ${name}  ${type}  ${value}`);
        return;
      default:
    }
  }

  #wait(body: CallBody, record: string): void {
    const { log } = this.#output;
    const zone = text(body["zone"]);
    const where = zone === "" ? "" : ` at the DNS provider of ${zone}`;
    const time = `${formatDuration(this.#timeoutMs)}, Ctrl-C is safe`;
    const first = `Add this record${where}; tunl waits for it (${time}):`;
    if (!this.#isAsked) log.info("dns.wait", first, { hint: record });
    else log.info("dns.wait", "And this one:", { hint: record });
    this.#isAsked = true;
    if (text(body["text"]) !== "") log.debug("dns", text(body["text"]));
  }

  #certificate(body: CallBody): void {
    const { log } = this.#output;
    const [host, state] = [text(body["host"]), text(body["state"])];
    this.summary["certificate"] = { state, expiresAt: body["expiresAt"] };
    if (state === "ready") {
      const { ms } = body;
      const took = typeof ms === "number" && ms >= 100 ? `ready in ${formatDuration(ms)}` : "ready";
      log.info("certificate", `${host}, ${took}`, { name: host });
    } else if (state === "pending") log.debug("certificate", `${host} is ordered`, { name: host });
    // A failure is the result of the call, whose words are the last.
  }
}
