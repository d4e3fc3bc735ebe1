// This file is `tunl tunnel list` and `tunl tunnel info NAME`: tunnels of the account; keys, connectors and names of one. product.md §2.3.
import { loadAccount } from "../config/index.ts";
import { askForList, findAccount } from "./account.ts";
import { command, loadInput } from "./command.ts";
import type { Answer } from "./control.ts";
import { findOwnKey } from "./own-key.ts";
import { printAnswer, printJson } from "./print.ts";
import { withProgress } from "./progress.ts";
import { count, row, since, table, text } from "./rows.ts";

export const list = command("tunnel list", async (invocation) => {
  const options = loadAccount("tunnel list", loadInput(invocation));
  await withProgress(options.log, async ({ log }) => {
    const account = await findAccount(options);
    const { events } = await askForList(options, account, "tunnel.list", {});
    const tunnels = (events.get("tunnel") ?? []).toSorted(byName);
    const edge = account.credentials.host;
    if (options.isJson) return await printJson({ edge, tunnels });
    if (tunnels.length === 0)
      log.info("notice", `No tunnels of yours at ${edge} yet, make one: tunl tunnel create NAME`);
    const rows = tunnels.map((tunnel) => [
      ...[text(tunnel["name"]), text(tunnel["id"]), text(tunnel["createdAt"]).slice(0, 10)],
      ...["connectors", "keys", "hosts"].map((name) => String(tunnel[name] ?? "")),
      tunnel["connectors"] === 0 ? since(tunnel["seenAt"]) || "never" : "now",
    ]);
    const head = ["NAME", "ID", "CREATED", "CONNECTORS", "KEYS", "NAMES", "LAST SEEN"];
    await printAnswer(
      table(head, rows)
        .map((line) => `${line}\n`)
        .join(""),
    );
  });
});

export const info = command("tunnel info", async (invocation) => {
  const options = loadAccount("tunnel info", loadInput(invocation));
  const wanted = invocation.positionals[0] as string;
  await withProgress(options.log, async () => {
    const account = await findAccount(options);
    const told = await askForList(options, account, "tunnel.info", { tunnel: wanted });
    const { result: tunnel } = told;
    const [keys = [], connectors = [], hosts = []] = ["key", "connector", "host"].map((name) =>
      told.events.get(name),
    );
    if (options.isJson) {
      await printJson({ edge: account.credentials.host, ...tunnel, keys, connectors, hosts });
      return;
    }
    const own = await findOwnKey(options, text(tunnel["id"]), undefined);
    const lines = [
      row("tunnel", [
        ...[text(tunnel["name"]), text(tunnel["id"])],
        ...[`created ${since(tunnel["createdAt"])}`, seen(tunnel["seenAt"])],
      ]),
      ...keys.map((key) => keyLine(key, own?.credentials.keyId)),
      ...connectors.map(connectorLine),
      ...hosts.map((host) =>
        row("name", [text(host["host"]), text(host["how"]), text(host["state"])]),
      ),
    ];
    await printAnswer(lines.map((line) => `${line}\n`).join(""));
  });
});

function keyLine(key: Answer, ownId: string | undefined): string {
  const { keyId, kind, createdAt, seenAt, expiresAt, revokedAt } = key;
  const end =
    revokedAt !== undefined
      ? `revoked ${since(revokedAt)}`
      : expiresAt === undefined
        ? ""
        : Date.parse(text(expiresAt)) > Date.now()
          ? `ends ${since(expiresAt)}`
          : `ended ${since(expiresAt)}`;
  return row(text(kind) === "token" ? "token" : "key", [
    ...[text(keyId), keyId === ownId ? "this machine" : "", `created ${since(createdAt)}`],
    ...[seen(seenAt), end],
  ]);
}

function connectorLine(connector: Answer): string {
  const { label, keyId, version, platform, links, streams } = connector;
  return row("connector", [
    ...[text(label), `key ${text(keyId)}`, count(links, "link"), count(streams, "stream")],
    `connected ${since(connector["since"])}`,
    `tunl ${text(version)} ${text(platform)}`.trimEnd(),
  ]);
}

function seen(value: unknown): string {
  const when = since(value);
  return when === "" ? "never seen" : `seen ${when}`;
}

function byName(left: Answer, right: Answer): number {
  return text(left["name"]) < text(right["name"]) ? -1 : 1;
}
