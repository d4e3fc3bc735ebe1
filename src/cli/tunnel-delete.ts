// This file is `tunl tunnel delete NAME…`: asks, then its keys and names go, and the credentials that lie here. product.md §2.3.
import { loadAccount, showPath } from "../config/index.ts";
import type { AccountOptions } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { type Account, askEdge, askForList, findAccount } from "./account.ts";
import { confirm } from "./ask.ts";
import { command, loadInput } from "./command.ts";
import { withProgress } from "./progress.ts";
import { count, text, texts } from "./rows.ts";

export default command("tunnel delete", async (invocation) => {
  const options = loadAccount("tunnel delete", loadInput(invocation));
  const force = options.settings.isOn("force");
  const wanted = [...new Set(invocation.positionals)];
  await withProgress(options.log, async (output) => {
    const account = await findAccount(options);
    // All are looked at before the question: a name that was mistyped is no reason to delete the others.
    const found: Found[] = [];
    for (const name of wanted) found.push(await look(options, account, name));
    const inUse = found.find(({ connectors }) => connectors > 0);
    if (inUse !== undefined && !force) throw connected(inUse);
    await output.flush();
    const isMeant = await confirm({
      text: questionOf(found),
      label: "delete",
      fallback: "no",
      isYes: options.isYes,
      command: "tunl tunnel delete",
    });
    if (!isMeant) return output.log.warn("notice", "Nothing was deleted");
    for (const { id } of found) {
      const answer = await askEdge(options, account, "tunnel.delete", { tunnel: id, force });
      const [name, hosts] = [text(answer["name"]), texts(answer["hosts"])];
      const keys = typeof answer["keys"] === "number" ? answer["keys"] : 0;
      const gone = [count(keys, "key"), ...hosts].join(", ");
      const fields = { tunnel: name, id, hosts: hosts.join(","), keys };
      output.log.info("deleted", `${name} ${id}, with it ${gone}`, fields);
      await forget(options, account, id, output.log);
    }
  });
});

interface Found {
  readonly id: string;
  readonly name: string;
  readonly connectors: number;
  readonly hosts: number;
}

async function look(options: AccountOptions, account: Account, wanted: string): Promise<Found> {
  const { result, events } = await askForList(options, account, "tunnel.info", { tunnel: wanted });
  return {
    id: text(result["id"]),
    name: text(result["name"]),
    connectors: events.get("connector")?.length ?? 0,
    hosts: events.get("host")?.length ?? 0,
  };
}

function connected({ name, connectors }: Found): TunlError {
  const are = connectors === 1 ? "1 connector is" : `${connectors} connectors are`;
  return new TunlError("TUNNEL_CONNECTED", `Tunnel "${name}" is in use: ${are} connected`, {
    hint: "Stop them, or repeat with --force: they are cut off for good",
  });
}

function questionOf(found: readonly Found[]): string {
  const [only] = found;
  const names = found.map(({ name }) => `"${name}"`).join(", ");
  const hosts = found.reduce((sum, each) => sum + each.hosts, 0);
  const what =
    found.length === 1 && only !== undefined ? `tunnel ${names}` : `the tunnels ${names}`;
  return `Delete ${what}, the keys and ${count(hosts, "name")}, for good?`;
}

/** The credentials that lie here open nothing any more. */
async function forget(
  options: AccountOptions,
  { directory }: Account,
  id: string,
  log: Logger,
): Promise<void> {
  if ((await directory.readTunnel(id)) === undefined) return;
  await directory.forgetTunnel(id);
  const path = directory.pathOf(id);
  log.info("removed", showPath(path, options.home), { path });
}
