// This file is `tunl route list [TUNNEL]` and `tunl route delete HOST`: names, who serves them, and taking one back. product.md §2.3.
import { loadAccount } from "../config/index.ts";
import { askEdge, askForList, findAccount } from "./account.ts";
import { command, loadInput } from "./command.ts";
import type { Answer } from "./control.ts";
import { printAnswer, printJson } from "./print.ts";
import { withProgress } from "./progress.ts";
import { isAnswer } from "./control.ts";
import { table, text } from "./rows.ts";

export const list = command("route list", async (invocation) => {
  const options = loadAccount("route list", loadInput(invocation));
  const [tunnel] = invocation.positionals;
  await withProgress(options.log, async ({ log }) => {
    const account = await findAccount(options);
    const body = tunnel === undefined ? {} : { tunnel };
    const { events } = await askForList(options, account, "route.list", body);
    const routes = (events.get("route") ?? []).toSorted(byHost);
    const edge = account.credentials.host;
    if (options.isJson) return await printJson({ edge, routes });
    if (routes.length === 0)
      log.info("notice", `No names of yours at ${edge} yet, add one: tunl route dns TUNNEL HOST`);
    const rows = routes.map((route) => [
      ...[text(route["host"]), text(route["tunnel"]), text(route["how"])],
      ...[String(route["connectors"] ?? ""), text(route["dns"]), certificateOf(route)],
    ]);
    const head = ["HOST", "TUNNEL", "HOW", "CONNECTORS", "DNS", "CERTIFICATE"];
    await printAnswer(
      table(head, rows)
        .map((line) => `${line}\n`)
        .join(""),
    );
  });
});

export const remove = command("route delete", async (invocation) => {
  const options = loadAccount("route delete", loadInput(invocation));
  const wanted = invocation.positionals[0] as string;
  await withProgress(options.log, async ({ log }) => {
    const account = await findAccount(options);
    const answer = await askEdge(options, account, "route.delete", { host: wanted });
    const [host, tunnel] = [text(answer["host"]), text(answer["tunnel"])];
    const record = answer["record"] === "removed" ? ", its DNS record is removed" : "";
    log.info("released", `${host}, it was a name of ${tunnel}${record}`, { host, tunnel });
    // The name is free all the same.
    if (answer["record"] !== "left") return;
    log.warn("dns", `The record of ${host} is still there: ${text(answer["text"])}`, {
      hint: "The edge removes it as soon as it can; or remove it at the DNS provider yourself",
    });
  });
});

/** `ready, 89 days`. */
function certificateOf(route: Answer): string {
  const certificate = route["certificate"];
  if (!isAnswer(certificate)) return "";
  const { state, days } = certificate;
  return typeof days === "number" ? `${text(state)}, ${days} days` : text(state);
}

function byHost(left: Answer, right: Answer): number {
  return text(left["host"]) < text(right["host"]) ? -1 : 1;
}
