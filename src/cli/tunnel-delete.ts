// This file is `tunl tunnel delete NAME…`: asks, then its keys and names go, and the credentials that lie here. product.md §2.3.
import { loadAccount, showPath } from "../config/index.ts";
import type { AccountOptions } from "../config/index.ts";
import type { CallBody } from "../connector/index.ts";
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
      const answer = await remove(options, account, { tunnel: id, force }, output.log);
      const [name, hosts] = [text(answer["name"]), texts(answer["hosts"])];
      const keys = typeof answer["keys"] === "number" ? answer["keys"] : 0;
      const gone = [count(keys, "key"), ...hosts].join(", ");
      const fields = { tunnel: name, id, hosts: hosts.join(","), keys };
      output.log.info("deleted", `${name} ${id}, with it ${gone}`, fields);
      await forget(options, account, id, output.log);
    }
  });
});

/** Deletes one. Where only the backup failed it is gone all the same, and so is what lies here of it. */
async function remove(
  options: AccountOptions,
  account: Account,
  body: { readonly tunnel: string; readonly force: boolean },
  log: Logger,
): Promise<CallBody> {
  try {
    return await askEdge(options, account, "tunnel.delete", body);
  } catch (error) {
    if (error instanceof TunlError && error.code === "NOT_BACKED_UP")
      await forget(options, account, body.tunnel, log);
    throw error;
  }
}

interface Found {
  readonly id: string;
  readonly name: string;
  readonly connectors: number;
  readonly hosts: number;
}

async function look(options: AccountOptions, account: Account, wanted: string): Promise<Found> {
  const asked = askForList(options, account, "tunnel.info", { tunnel: wanted });
  const { result, events } = await asked.catch(async (error: unknown) => {
    throw await withLeftover(options, account, wanted, error);
  });
  return {
    id: text(result["id"]),
    name: text(result["name"]),
    connectors: events.get("connector")?.length ?? 0,
    hosts: events.get("host")?.length ?? 0,
  };
}

/** An earlier command may have deleted it, and the answer was lost: then its key file is still here. */
async function withLeftover(
  options: AccountOptions,
  { directory }: Account,
  wanted: string,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof TunlError) || error.code !== "TUNNEL_NOT_FOUND") return error;
  const left = (await directory.listTunnels()).find(
    ({ tunnel, name }) => tunnel === wanted || name === wanted,
  );
  if (left === undefined) return error;
  const path = showPath(directory.pathOf(left.tunnel), options.home);
  const hint = `If it was deleted before, its key opens nothing any more: remove ${path}`;
  return new TunlError(error.code, error.message, { cause: error, hint });
}

function connected({ name, connectors }: Found): TunlError {
  const are = connectors === 1 ? "1 connector is" : `${connectors} connectors are`;
  return new TunlError("TUNNEL_CONNECTED", `Tunnel "${name}" is in use: ${are} connected`, {
    hint: "Stop them, or repeat with --force: they are cut off for good",
  });
}

function questionOf(found: readonly Found[]): string {
  const names = found.map(({ name }) => `"${name}"`).join(", ");
  const hosts = found.reduce((sum, each) => sum + each.hosts, 0);
  const [what, whose] = found.length === 1 ? ["tunnel", "its"] : ["the tunnels", "their"];
  const and = hosts === 0 ? "" : ` and ${count(hosts, "name")}`;
  return `Delete ${what} ${names} with ${whose} keys${and}, for good?`;
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
