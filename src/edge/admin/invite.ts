// This file is the call `invite`: join lines for tunnels, login lines for accounts. product.md §2.1.
import { parsePattern } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import { formatJoinLine } from "../../identity/index.ts";
import { impossibleScope } from "../route/index.ts";
import { assertWhole, type CodeOrder } from "../store/index.ts";
import type { Call, CallContext } from "./context.ts";

/** What `edge invite` asks for. */
export interface Invitation {
  /** Of the tunnel or account; undefined: after the machine. */
  readonly name: string | undefined;
  /** What may be claimed; empty: any free label of the domains. */
  readonly hosts: readonly string[];
  readonly ttlMs: number;
  readonly uses: number;
  /** True makes a login line. */
  readonly isAccount?: boolean;
}

export const inviteCall: Call = async (context, _caller, body) => {
  const invitation = {
    name: body.optionalText("name"),
    hosts: body.texts("hosts"),
    ttlMs: body.number("ttlMs"),
    uses: body.number("uses", 1),
    isAccount: body.boolean("account"),
  };
  const { line, expiresAt } = await invite(context, invitation);
  const { name, isAccount } = invitation;
  // Its key is the account of one machine: a second machine is a second account, numbered.
  const isThere =
    isAccount && [...context.store.snapshot.accounts].some((row) => row.name === name);
  return { line, expiresAt: expiresAt.toISOString(), ...(isThere && { another: true }) };
};

/** Makes a join line or a login line. @throws TunlError `USAGE`, `TUNNEL_NOT_FOUND`, those of the store. */
export async function invite(
  context: CallContext,
  invitation: Invitation,
): Promise<{ line: string; expiresAt: Date }> {
  const { store, domains, fingerprint, publicPort } = context;
  const { hosts, ttlMs, uses } = invitation;
  for (const host of hosts) assertServable(host, context);
  const { code, expiresAt } = await store.createCode({
    makes: madeBy(context, invitation),
    scope: hosts,
    ttlMs,
    uses,
  });
  const host = domains[0] as string;
  return {
    line: formatJoinLine({ host, port: publicPort(), fingerprint, code }),
    expiresAt: new Date(expiresAt),
  };
}

/** A key for the tunnel of that name where there is one; a login line always makes an account of its own. */
function madeBy({ store }: CallContext, { name, isAccount }: Invitation): CodeOrder["makes"] {
  if (isAccount === true) return { kind: "account", name };
  const existing = name === undefined ? undefined : store.snapshot.findTunnel(name);
  return existing === undefined ? { kind: "tunnel", name } : { kind: "key", tunnel: existing.id };
}

/** A line for a name that no claim can ever get would fail at the other end, where nobody can mend it. */
function assertServable(host: string, { domains, reserved }: CallContext): void {
  if (parsePattern(host) === undefined) return; // The store says what is wrong with it.
  assertWhole(host, domains);
  const reason = impossibleScope({ domains, reserved }, host);
  if (reason === undefined) return;
  throw reason === "bare"
    ? new TunlError(
        "USAGE",
        `"${host}" is this edge's own domain or above it, expected a name below`,
        {
          hint: `Write --host app.${domains[0]}, or give it away with tunl edge grant TUNNEL ${host}`,
        },
      )
    : new TunlError("USAGE", `"${host}" has a reserved label, expected another one`, {
        hint: `Choose another name, or leave the label out of names.reserved in edge.yml`,
      });
}
