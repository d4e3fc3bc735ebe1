// This file is `tunl tunnel token NAME`: a new key in one word, for machines without files; shown once. product.md §1.3, §2.3.
import { loadAccount, showPath } from "../config/index.ts";
import type { AccountOptions } from "../config/index.ts";
import type { CallBody } from "../connector/index.ts";
import { TunlError } from "../errors.ts";
import { formatToken, generateKey, hasEntry } from "../identity/index.ts";
import { type Account, askEdge, findAccount } from "./account.ts";
import { clockTime } from "./clock.ts";
import { command, loadInput } from "./command.ts";
import { assertWritable, writeSecret } from "./own-key.ts";
import { printAnswer } from "./print.ts";
import { withProgress } from "./progress.ts";
import { objects, text } from "./rows.ts";

export default command("tunnel token", async (invocation) => {
  const options = loadAccount("tunnel token", loadInput(invocation));
  const name = invocation.positionals[0] as string;
  const { settings } = options;
  const output = settings.text("output");
  // Before a key is made: a token that cannot be kept is a key that nobody has.
  if (output !== undefined && !settings.isOn("force")) await assertFree(output);
  if (output !== undefined) await assertWritable(output);
  await withProgress(options.log, async ({ log }) => {
    const account = await findAccount(options);
    const { token, keyId, tunnel, expiresAt } = await makeToken(options, account, name);
    const until = expiresAt === "" ? "" : `, until ${clockTime(new Date(expiresAt), new Date())}`;
    const about = `key "${keyId}" of ${tunnel}${until}; revoke: tunl tunnel rotate ${tunnel} --key ${keyId}`;
    const fields = { tunnel, keyId, expiresAt: expiresAt === "" ? undefined : expiresAt };
    if (output === undefined) {
      log.info("token", `${about}; it is shown only here`, fields);
      await printAnswer(`${token}\n`);
      return;
    }
    try {
      await writeSecret(output, `${token}\n`);
    } catch (error) {
      await askEdge(options, account, "key.revoke", { tunnel, keyId });
      throw error;
    }
    log.info("saved", `${showPath(output, options.home)} (0600), ${about}`, {
      path: output,
      keyId,
    });
  });
});

async function assertFree(path: string): Promise<void> {
  if (!(await hasEntry(path))) return;
  throw new TunlError("FILE_EXISTS", `"${path}" exists already, and may hold a token in use`, {
    hint: "Choose another --output, or replace it with --force",
  });
}

interface Made {
  readonly token: string;
  readonly keyId: string;
  readonly tunnel: string;
  readonly expiresAt: string;
}

async function makeToken(options: AccountOptions, account: Account, name: string): Promise<Made> {
  const { settings } = options;
  const key = generateKey();
  const ttlMs = settings.number("ttl");
  const answer: CallBody = await askEdge(options, account, "key.add", {
    tunnel: name,
    label: settings.text("label"),
    key: Buffer.from(key.publicKey).toString("base64url"),
    kind: "token",
    hosts: settings.texts("host"),
    ...(ttlMs !== undefined && { ttlMs }),
  });
  const tunnel = objects([answer["tunnel"]])[0] ?? {};
  const [id, keyId] = [text(tunnel["id"]), text(answer["keyId"])];
  if (!/^[0-9a-f-]{36}$/.test(id) || keyId === "")
    throw new TunlError("BAD_ANSWER", "The edge answered key.add without a key");
  const { host, port, fingerprint } = account.credentials;
  return {
    token: formatToken({ host, port, fingerprint, tunnel: id, key }),
    keyId,
    tunnel: text(tunnel["name"]),
    expiresAt: text(answer["expiresAt"]),
  };
}
