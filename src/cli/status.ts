// This file is `tunl status`: asks the edge and the connectors of this machine over their control sockets. product.md §2.3.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { formatDuration, loadOwner } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { clockTime } from "./clock.ts";
import { command, loadInput } from "./command.ts";
import { call, isAnswer, isNotRunning } from "./control.ts";
import type { Answer } from "./control.ts";
import { printAnswer, printJson } from "./print.ts";
import { count, objects, row, text, texts } from "./rows.ts";

export default command("status", async (invocation) => {
  const { adminPath, isJson, socketDirectory } = loadOwner("status", loadInput(invocation));
  const edge = await ask(adminPath);
  const connectors: Answer[] = [];
  for (const path of socketDirectory === undefined ? [] : connectorSockets(socketDirectory)) {
    const answer = await ask(path);
    if (answer !== undefined) connectors.push(answer);
  }
  if (isJson) await printJson({ edge, connectors });
  if (edge === undefined && connectors.length === 0) {
    throw new TunlError("NOT_FOUND", "No edge and no connector of this user is running here", {
      hint: `Looked for ${adminPath}${socketDirectory === undefined ? "" : ` and ${join(socketDirectory, "connect-*.sock")}`}`,
    });
  }
  if (!isJson)
    await printAnswer(
      [
        ...(edge === undefined ? [] : edgeLines(edge)),
        ...connectors.flatMap(connectorLines),
        "",
      ].join("\n"),
    );
});

/** undefined: nobody there, a socket file may be left of a process that was killed. */
async function ask(path: string): Promise<Answer | undefined> {
  try {
    return await call(path, "status", {});
  } catch (error) {
    if (isNotRunning(error)) return undefined;
    throw error;
  }
}

function connectorSockets(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => /^connect-\d+\.sock$/.test(name));
    return names.sort().map((name) => join(directory, name));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw new TunlError("SOCKET_FORBIDDEN", `Looking for sockets in "${directory}" failed`, {
      cause: error,
    });
  }
}

/** `edge  example.com  pid 812  since 3 h`, then tunnels and certificates. */
function edgeLines(edge: Answer): string[] {
  const lines = [row("edge", [texts(edge["domains"]).join(", "), ...processParts(edge)])];
  for (const tunnel of objects(edge["tunnels"])) {
    const counts = [
      count(tunnel["connectors"], "connector"),
      count(tunnel["links"], "link"),
      count(tunnel["streams"], "stream"),
      texts(tunnel["congestion"]).join(", "),
    ];
    const hosts = texts(tunnel["hosts"]).join(", ");
    lines.push(row("tunnel", [text(tunnel["name"]), ...counts, hosts, keysOf(tunnel)]));
    for (const { keyId, labels } of objects(tunnel["clones"])) {
      const who = texts(labels).join(", ");
      lines.push(
        row("", [`${texts(labels).length} connectors with the one key "${text(keyId)}": ${who}`]),
      );
    }
  }
  for (const account of objects(edge["accounts"]))
    lines.push(
      row("account", [text(account["name"]), count(account["tunnels"], "tunnel"), keysOf(account)]),
    );
  for (const name of objects(edge["unproven"]))
    lines.push(row(text(name["state"]), [text(name["name"]), "no proof in the DNS"]));
  lines.push(...stateLines(edge), ...limitLines(edge));
  for (const certificate of objects(edge["certificates"])) {
    const expiresAt = text(certificate["expiresAt"]);
    const nextTryAt = text(certificate["nextTryAt"]);
    lines.push(
      row("certificate", [
        text(certificate["name"]),
        expiresAt === "" ? text(certificate["state"]) : expiry(expiresAt),
        text(certificate["text"]),
        nextTryAt === "" ? "" : `next try at ${clockTime(new Date(nextTryAt), new Date())}`,
      ]),
    );
  }
  // Near the limit of the CA: what is so, and below it the way out.
  for (const near of objects(edge["certificateLimits"]))
    lines.push(row("", [`⚠ ${text(near["text"])}`]), row("", [`  ${text(near["hint"])}`]));
  return lines;
}

/** `keys laptop, nas`: labels as `tunl edge revoke` takes them. */
function keysOf(owner: Answer): string {
  const keys = texts(owner["keys"]);
  return keys.length === 0 ? "no key" : `${keys.length === 1 ? "key" : "keys"} ${keys.join(", ")}`;
}

function connectorLines(connector: Answer): string[] {
  const lines = [
    row("connector", [
      text(connector["tunnel"]),
      `at ${text(connector["edge"])}`,
      ...processParts(connector),
    ]),
  ];
  const rtt = connector["rttMs"];
  lines.push(
    row("links", [
      count(connector["links"], "link"),
      count(connector["streams"], "stream"),
      typeof rtt === "number" ? formatDuration(rtt) : "",
      text(connector["congestion"]),
    ]),
  );
  for (const route of objects(connector["routes"])) lines.push(row("route", [routeText(route)]));
  lines.push(...limitLines(connector));
  return lines;
}

function routeText(route: Answer): string {
  const path = text(route["path"]);
  return `${text(route["url"])}${path === "" ? "" : ` path ${path}`} -> ${text(route["service"])}`;
}

/** `state  backed up 12 min ago`, and what is wrong with it. */
function stateLines(edge: Answer): string[] {
  const { state } = edge;
  if (!isAnswer(state)) return [];
  const at = Date.parse(text(state["backedUpAt"]));
  const age = Number.isNaN(at)
    ? "not backed up yet"
    : `backed up ${formatDuration(Math.max(0, Date.now() - at))} ago`;
  const faults = [state["damage"], state["backupFailure"]]
    .map(text)
    .filter((fault) => fault !== "");
  return [row("state", [age]), ...faults.map((fault) => row("", [`⚠ ${fault}`]))];
}

/** `limit  headTime  3 times  A header section …`: what held somebody back since the start. Nothing, no line. */
export function limitLines(process: Answer): string[] {
  const limits = process["limits"];
  if (!isAnswer(limits)) return [];
  const sentences: Readonly<Record<string, string>> = LIMITS;
  return Object.entries(limits)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, times]) =>
      // A name of a newer process has no sentence here.
      row("limit", [name, count(times, "time"), sentences[name] ?? ""]),
    );
}

function processParts(process: Answer): string[] {
  const pid = process["pid"];
  const started = Date.parse(text(process["startedAt"]));
  return [
    typeof pid === "number" ? `pid ${pid}` : "",
    Number.isNaN(started) ? "" : `up ${formatDuration(Math.max(0, Date.now() - started))}`,
  ];
}

function expiry(when: string): string {
  const at = Date.parse(when);
  return Number.isNaN(at)
    ? ""
    : at < Date.now()
      ? "expired"
      : `expires in ${formatDuration(at - Date.now())}`;
}
