// This file is `tunl tunnel create NAME`: makes the key here, registers it, writes the credentials. product.md §1.2, §2.3.
import { loadAccount, showPath } from "../config/index.ts";
import type { AccountOptions } from "../config/index.ts";
import type { CallBody } from "../connector/index.ts";
import { TunlError } from "../errors.ts";
import { fingerprintOf } from "../identity/index.ts";
import type { PendingKey, TunnelCredentials } from "../identity/index.ts";
import { type Account, askEdge, askForList, findAccount } from "./account.ts";
import { command, loadInput } from "./command.ts";
import { assertWritable, readKeyFile, writeKeyFile } from "./own-key.ts";
import { registering } from "./pending.ts";
import { printJson } from "./print.ts";
import { withProgress } from "./progress.ts";
import { objects, text } from "./rows.ts";

export default command("tunnel create", async (invocation) => {
  const options = loadAccount("tunnel create", loadInput(invocation));
  const name = invocation.positionals[0] as string;
  await withProgress(options.log, async ({ log }) => {
    const account = await findAccount(options);
    const { credentials, path, hosts, isOld } = await createTunnel(options, account, name);
    const { tunnel: id, keyId } = credentials;
    const shown = showPath(path, options.home);
    const fields = { tunnel: credentials.name, id, keyId };
    if (isOld) log.info("exists", `${name} ${id} already, its key is in ${shown}`, fields);
    else log.info("created", `${credentials.name} ${id}`, fields);
    for (const host of hosts) log.info("granted", `${host} to ${name}`, { host, tunnel: name });
    if (!isOld) log.info("saved", `${shown} (keep it secret)`, { path, keyId });
    if (options.isJson)
      await printJson({ id, name: credentials.name, keyId, hosts, credentials: path });
  });
});

interface Created {
  readonly credentials: TunnelCredentials;
  readonly path: string;
  readonly hosts: readonly string[];
  /** An earlier run of the command made it, on this machine. */
  readonly isOld: boolean;
}

/** The key is on disk before the call leaves and becomes credentials after the answer; any step may be the last, and be repeated. */
async function createTunnel(
  options: AccountOptions,
  account: Account,
  name: string,
): Promise<Created> {
  const { directory, credentials: asker } = account;
  const { settings, label } = options;
  const file = settings.text("credentials");
  if (file !== undefined) await assertWritable(file);
  const own = await ownKey(options, account, name, file);
  const create = (key: string): Promise<CallBody> =>
    askEdge(options, account, "tunnel.create", {
      ...{ name, key, label, hosts: settings.texts("host") },
    });
  if (own !== undefined) {
    const key = Buffer.from(own.key.publicKey).toString("base64url");
    const made = readAnswer(await create(key));
    await directory.forgetPending(own.key);
    const path = file ?? directory.pathOf(own.tunnel);
    return { credentials: own, path, hosts: made.hosts, isOld: true };
  }
  // Another account would not get what this one made: its errand is another one.
  const errand = `create ${fingerprintOf(asker.key.publicKey)} ${name}`;
  const kept = await directory.keepKey(errand, asker.fingerprint, Date.now());
  const made = readAnswer(await registering(directory, kept, create));
  const credentials = credentialsOf(kept.pending, made);
  const path = file ?? directory.pathOf(made.id);
  if (file === undefined) await directory.writeCredentials(credentials);
  else await writeKeyFile(file, credentials);
  await directory.adoptTunnel(made.id);
  await directory.discard(kept.pending);
  return { credentials, path, hosts: made.hosts, isOld: false };
}

/** The same command again: the credentials it wrote, if the edge still has that tunnel. @throws TunlError `FILE_EXISTS`. */
async function ownKey(
  options: AccountOptions,
  account: Account,
  name: string,
  file: string | undefined,
): Promise<TunnelCredentials | undefined> {
  const { directory, credentials } = account;
  const found =
    file === undefined
      ? (await directory.listTunnels()).find((own) => own.name === name)
      : await readKeyFile(file);
  const isSame = found?.name === name && found.fingerprint === credentials.fingerprint;
  if (found !== undefined && isSame) {
    const { events } = await askForList(options, account, "tunnel.list", {});
    const isThere = events.get("tunnel")?.some((tunnel) => tunnel["id"] === found.tunnel);
    if (isThere === true) return found;
  }
  if (file === undefined || found === undefined) return undefined;
  throw new TunlError(
    "FILE_EXISTS",
    `"${file}" holds the key of tunnel "${found.name}" already, which is not overwritten`,
    { hint: "Choose another --credentials, or remove the file" },
  );
}

interface Made {
  readonly id: string;
  readonly name: string;
  readonly keyId: string;
  readonly hosts: readonly string[];
}

function readAnswer(answer: CallBody): Made {
  const tunnel = objects([answer["tunnel"]])[0] ?? {};
  const [id, name, keyId] = [text(tunnel["id"]), text(tunnel["name"]), text(answer["keyId"])];
  if (/^[0-9a-f-]{36}$/.test(id) && name !== "" && keyId !== "") {
    return { id, name, keyId, hosts: objects(answer["hosts"]).map(({ host }) => text(host)) };
  }
  throw new TunlError("BAD_ANSWER", "The edge answered tunnel.create without a tunnel", {
    hint: "It may run another version of tunl: compare tunl version on both machines",
  });
}

function credentialsOf(pending: PendingKey, { id, name, keyId }: Made): TunnelCredentials {
  // The hash in a pending key names the errand; it stands for no line.
  return { ...pending, kind: "tunnel", tunnel: id, name, keyId, codeHash: undefined };
}
