// This file is what `edge revoke WHAT` may mean: a tunnel, an account, a key, the code of a line, a name. product.md §2.1.
import { formatPattern, parsePattern } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import { CODE_BYTES, decodeBase32, parseJoinLine } from "../../identity/index.ts";
import {
  type AccountRow,
  type HostRow,
  isEnded,
  type KeyRow,
  type TunnelRow,
} from "../store/index.ts";
import type { CallContext } from "./context.ts";

export type Revocable =
  | { readonly kind: "tunnel"; readonly tunnel: TunnelRow }
  | { readonly kind: "account"; readonly account: AccountRow; readonly keys: readonly KeyRow[] }
  /** @param owner Name of the tunnel or account. */
  | { readonly kind: "key"; readonly key: KeyRow; readonly owner: string }
  | { readonly kind: "code"; readonly code: Uint8Array }
  | { readonly kind: "host"; readonly host: HostRow };

/** A word that leads too far is not listed to its end. */
const CHOICES_MAX = 20;
const WHAT_MAX = 1_024;

/**
 * Finds the one thing that is meant.
 *
 * @param what Name or UUID of a tunnel, name of an account, label of a key or `owner/label`, a code or its whole line, a name
 *   that is granted. `tunnel:NAME`, `account:NAME` and `key:LABEL` say which kind, `tunnel:NAME/LABEL` and
 *   `account:NAME/LABEL` whose key.
 * @throws TunlError `NOT_FOUND`, or `AMBIGUOUS` with every choice in a form that means one of them only.
 */
export function findRevocable(context: CallContext, what: string): Revocable {
  if (what.length > WHAT_MAX)
    throw new TunlError(
      "USAGE",
      `What is revoked has ${what.length} characters, allowed ${WHAT_MAX}`,
    );
  if (what.trim().toLowerCase().startsWith("tunl://"))
    return { kind: "code", code: parseJoinLine(what).code };
  const code = codeOf(what);
  // 128 random bits: a name of this form is still found as what it is.
  const found = [...named(context, what), ...(code === undefined ? [] : [code])];
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  if (only !== undefined) throw ambiguous(context, what, found);
  const shown = JSON.stringify(what.slice(0, 64));
  throw new TunlError(
    "NOT_FOUND",
    `Nothing here is called ${shown}: no tunnel, account, key, line or granted name`,
    { hint: "Run tunl status, it lists tunnels, keys and names" },
  );
}

function named(context: CallContext, what: string): Revocable[] {
  const kind = /^(tunnel|account|key):(.+)$/.exec(what);
  const [wanted, text] = kind === null ? [undefined, what] : [kind[1], kind[2] as string];
  const { snapshot } = context.store;
  const found: Revocable[] = [];
  const tunnel = snapshot.findTunnel(text);
  if (tunnel !== undefined) found.push({ kind: "tunnel", tunnel });
  for (const account of snapshot.accounts) {
    if (account.name !== text && account.id !== text) continue;
    const keys = [...snapshot.keysOf({ kind: "account", id: account.id })];
    found.push({ kind: "account", account, keys });
  }
  const keys = keysNamed(context, text);
  if (wanted === "tunnel" || wanted === "account")
    return [...found.filter(({ kind: one }) => one === wanted), ...keysOf(wanted, text, keys)];
  found.push(...keys);
  const pattern = parsePattern(text);
  const host = pattern === undefined ? undefined : snapshot.host(formatPattern(pattern));
  if (host !== undefined) found.push({ kind: "host", host });
  return wanted === undefined ? found : found.filter(({ kind: one }) => one === wanted);
}

/** Keys in force with this label; `owner/label` names one of them, ended ones too. */
function keysNamed(context: CallContext, text: string): Revocable[] {
  const { store } = context;
  const now = store.now();
  const slash = text.indexOf("/");
  const [owner, label] =
    slash < 0 ? [undefined, text] : [text.slice(0, slash), text.slice(slash + 1)];
  const found: Revocable[] = [];
  for (const key of store.snapshot.keys) {
    if (key.keyId !== label) continue;
    const row =
      key.owner.kind === "tunnel"
        ? store.snapshot.tunnel(key.owner.id)
        : store.snapshot.account(key.owner.id);
    if (row === undefined) continue; // Of a deleted tunnel: it was revoked with it.
    if (owner === undefined ? isEnded(key, now) : owner !== row.name && owner !== row.id) continue;
    found.push({ kind: "key", key, owner: row.name });
  }
  return found;
}

/** A tunnel and an account may have one name: `account:home/laptop` is the key of the account. */
function keysOf(
  kind: KeyRow["owner"]["kind"],
  text: string,
  keys: readonly Revocable[],
): readonly Revocable[] {
  if (!text.includes("/")) return [];
  return keys.filter((found) => found.kind === "key" && found.key.owner.kind === kind);
}

function codeOf(what: string): Revocable | undefined {
  const text = what.trim().toLowerCase();
  if (!/^[a-z2-7]{26}$/.test(text)) return undefined;
  const code = decodeBase32(text);
  return code?.length === CODE_BYTES ? { kind: "code", code } : undefined;
}

function ambiguous({ store }: CallContext, what: string, found: readonly Revocable[]): TunlError {
  const choices = found.slice(0, CHOICES_MAX).map((one) => formOf(store.snapshot, one));
  if (found.length > CHOICES_MAX) choices.push(`${found.length - CHOICES_MAX} more`);
  return new TunlError("AMBIGUOUS", `"${what}" may mean ${found.length} things`, {
    hint: `Say which: ${choices.join(", ")}`,
  });
}

/** The form that means this one and nothing else. */
function formOf(snapshot: CallContext["store"]["snapshot"], found: Revocable): string {
  switch (found.kind) {
    case "tunnel":
      return `tunnel:${found.tunnel.name}`;
    case "account":
      return `account:${found.account.name}`;
    case "key": {
      const { owner, keyId } = found.key;
      const names = [...snapshot.accounts].some(({ name }) => name === found.owner);
      const isShared = names && snapshot.findTunnel(found.owner) !== undefined;
      return `${isShared ? owner.kind : "key"}:${found.owner}/${keyId}`;
    }
    case "code":
      return "the whole line, tunl://…";
    case "host":
      return found.host.host;
    default:
      return found satisfies never;
  }
}
