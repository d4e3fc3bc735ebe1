// This file is `tunl edge`: starts the public end, says what it does, and stays. product.md §1.1, §2.1.
import {
  formatAddress,
  formatDuration,
  loadEdge,
  parseDuration,
  showPath,
  surroundings,
  VERSION,
} from "../config/index.ts";
import type { EdgeOptions } from "../config/index.ts";
import type { Edge, Terms } from "../edge/index.ts";
import { confirm } from "./ask.ts";
import { clockTime } from "./clock.ts";
import { command, loadInput } from "./command.ts";
import { live } from "./lifecycle.ts";
import type { Output } from "./output.ts";

/** The line printed by a first start works as long as that of `edge invite` does by default. */
const FIRST_LINE_TTL = "15m";
/** So long the DNS may take to be told of in its place; what comes later is told when it comes, ms. */
const DNS_FIRST_MS = 1_500;

export default command("edge", async (invocation) => {
  const { options, log, configName } = loadEdge(loadInput(invocation));
  await live(log, async (output, stay) => {
    const startedAt = performance.now();
    const named = options.domains.length > 0;
    if (named)
      output.log.info("start", `tunl ${VERSION}  edge  ${options.domains.join(", ")}`, {
        version: VERSION,
      });
    if (configName !== undefined) output.log.info("config", configName, { file: configName });
    const { agreeToTerms, domainsOf, startEdge } = await import("../edge/index.ts");
    // What is missing here is told before anybody is asked elsewhere.
    await domainsOf(options);
    await agreeToTerms(options, asker(output, invocation.flags.has("yes")));
    await using edge = await startEdge(options, output.log);
    if (!named)
      output.log.info("start", `tunl ${VERSION}  edge  ${edge.domains.join(", ")}`, {
        version: VERSION,
      });
    report(output, options, edge);
    // An authority of the edge's own is for names that no public DNS has to know.
    if (options.certificates.mode !== "internal") await edge.checkDomains(DNS_FIRST_MS);
    reportCertificates(output, options, edge);
    output.log.info("ready", `in ${formatDuration(performance.now() - startedAt)}`, {
      ms: Math.round(performance.now() - startedAt),
      port: edge.port,
    });
    if (edge.isNewState) await showFirstLine(output, edge);
    await stay(edge, { graceMs: options.graceMs, forMs: undefined, done: undefined });
  });
});

/** Who answers when the CA has terms of service: the person at the terminal, `--yes`, or nobody. */
function asker(output: Output, isYes: boolean): ((terms: Terms) => Promise<boolean>) | undefined {
  const canAsk = process.stdin.isTTY === true && process.stderr.isTTY === true;
  if (!isYes && !canAsk) return undefined;
  return async ({ title, url }) => {
    if (isYes)
      output.log.info("certificate", `terms of service of ${title} (${url}) agreed to by --yes`);
    // The question stands below what was said before.
    await output.flush();
    return confirm({
      text: `Certificates come from ${title}. Accept its terms of service (${url})?`,
      label: "terms",
      fallback: "yes",
      isYes,
      command: "tunl edge",
    });
  };
}

function report(output: Output, options: EdgeOptions, edge: Edge): void {
  const { home } = surroundings();
  const state = showPath(options.stateDirectory, home);
  output.log.info(
    "state",
    `${state}${edge.isNewState ? " (new)" : ""}, edge key ${edge.fingerprint}`,
    { state, key: edge.fingerprint },
  );
  const listen = formatAddress({ ...options.listen, port: edge.port });
  const http =
    options.http === undefined || edge.httpPort === undefined
      ? undefined
      : formatAddress({ ...options.http, port: edge.httpPort });
  output.log.info(
    "listening",
    `${listen} visitors and connectors${http === undefined ? "" : `, ${http} redirects`}`,
    { listen, http: http ?? "off" },
  );
}

function reportCertificates(output: Output, options: EdgeOptions, edge: Edge): void {
  const { home } = surroundings();
  const { certificates } = options;
  if (certificates.mode === "files") {
    const count = certificates.pairs.length;
    output.log.info(
      "certificate",
      `from ${count === 1 ? "a file" : `${count} files`}: ${certificates.pairs.map(({ certPath }) => showPath(certPath, home)).join(", ")}`,
    );
  } else if (certificates.mode === "internal") {
    const root =
      edge.rootPemPath === undefined
        ? ""
        : `, root certificate ${showPath(edge.rootPemPath, home)}`;
    output.log.info("certificate", `own CA of this edge${root}`);
  }
}

/** Whoever watches gets a line at once; a log keeps no secrets and gets the command that makes one. */
async function showFirstLine(output: Output, edge: Edge): Promise<void> {
  if (process.stdout.isTTY !== true || output.format === "json") {
    output.log.info("next", "tunl edge invite prints a line that connects a machine");
    return;
  }
  const { line, expiresAt } = await edge.invite({
    name: undefined,
    hosts: [],
    ttlMs: parseDuration(FIRST_LINE_TTL) as number,
    uses: 1,
  });
  output.answer(
    `\nConnect a machine with this line. It works once, until ${clockTime(expiresAt, new Date())}:`,
  );
  output.answer(`  tunl connect 8000 --join ${line}`);
  output.answer("Next: tunl edge invite (another machine)\n");
}
