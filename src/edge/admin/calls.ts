// This file is the table of calls: what a connector asks on a control stream and the owner on the local socket. http.md §5.4.
import { parsePattern } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import type { CallBody, IncomingCall, IncomingCallEvents } from "../../exchange/index.ts";
import { formatJoinLine } from "../../identity/index.ts";
import { reached, reachedLimits } from "../../limits.ts";
import { impossibleScope, type LiveSession, type Registry } from "../route/index.ts";
import type { Store } from "../store/index.ts";

/** Names of one announcement at most. */
const HOSTS_MAX = 1_000;

/** What the calls need of the edge. */
export interface CallContext {
  readonly store: Store;
  readonly registry: Registry;
  readonly domains: readonly string[];
  /** Labels that no claim gets. */
  readonly reserved: readonly string[];
  readonly fingerprint: string;
  readonly publicPort: () => number;
  readonly startedAt: Date;
  /** Makes certificates cover a name; resolves when visitors can be served. */
  readonly cover: (host: string) => Promise<void>;
  readonly certificates: () => readonly { readonly name: string; readonly expiresAt: string }[];
  /** Entries of every table of the edge, and the bytes it holds. */
  readonly figures: () => CallBody;
}

/** What `edge invite` asks for. */
export interface Invitation {
  readonly name: string | undefined;
  readonly hosts: readonly string[];
  readonly ttlMs: number;
  readonly uses: number;
}

type OwnerCall = (context: CallContext, body: CallBody) => Promise<CallBody>;
type KeyCall = (context: CallContext, call: IncomingCall, live: LiveSession) => IncomingCallEvents;

/** Calls of the owner's socket, by name. */
export const OWNER_CALLS: ReadonlyMap<string, OwnerCall> = new Map([
  ["invite", inviteCall],
  ["status", async (context: CallContext) => status(context)],
]);

/** Calls of control streams: which kind of key may make them. */
export const KEY_CALLS: ReadonlyMap<
  string,
  { readonly by: "tunnel" | "account"; readonly run: KeyCall }
> = new Map([["announce", { by: "tunnel", run: announce }]]);

/** Answers a call of a control stream: unknown names and other kinds of keys get a code, never silence. */
export function answerCall(
  context: CallContext,
  call: IncomingCall,
  live: LiveSession,
): IncomingCallEvents {
  const row = KEY_CALLS.get(call.name);
  if (row !== undefined && row.by === live.admission.kind) return row.run(context, call, live);
  call.result(row === undefined ? "NOT_FOUND" : "NOT_ALLOWED");
  return { isKept: false, ended: () => undefined };
}

async function inviteCall(context: CallContext, body: CallBody): Promise<CallBody> {
  const { line, expiresAt } = await invite(context, readInvitation(body));
  return { line, expiresAt: expiresAt.toISOString() };
}

/** Makes a join line. @throws TunlError `USAGE`, `TUNNEL_NOT_FOUND`, those of the store. */
export async function invite(
  context: CallContext,
  invitation: Invitation,
): Promise<{ line: string; expiresAt: Date }> {
  const { store, domains, fingerprint, publicPort } = context;
  const { name, hosts, ttlMs, uses } = invitation;
  for (const host of hosts) assertServable(host, context);
  const existing = name === undefined ? undefined : store.snapshot.findTunnel(name);
  const { code, expiresAt } = await store.createCode({
    makes: existing === undefined ? { kind: "tunnel", name } : { kind: "key", tunnel: existing.id },
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

/** A line for a name that no claim can ever get would fail at the other end, where nobody can mend it. */
function assertServable(host: string, { domains, reserved }: CallContext): void {
  if (parsePattern(host) === undefined) return; // The store says what is wrong with it.
  const reason = impossibleScope({ domains, reserved }, host);
  if (reason === undefined) return;
  const zones = domains.join(" or ");
  throw reason === "foreign"
    ? new TunlError("USAGE", `"${host}" is no name below ${zones}, which this edge serves`, {
        hint: `Write --host app.${domains[0]}, or start the edge with --domain for that zone too`,
      })
    : new TunlError("USAGE", `"${host}" has a reserved label, expected another one`, {
        hint: `Choose another name, or leave the label out of names.reserved in edge.yml`,
      });
}

function readInvitation(body: CallBody): Invitation {
  const { name, hosts = [], ttlMs, uses = 1 } = body;
  if (name !== undefined && typeof name !== "string") throw usage("name", "a text");
  if (!isTexts(hosts)) throw usage("hosts", "a list of names");
  if (typeof ttlMs !== "number") throw usage("ttlMs", "a number of milliseconds");
  if (typeof uses !== "number") throw usage("uses", "a number");
  return { name, hosts, ttlMs, uses };
}

function usage(field: string, expected: string): TunlError {
  return new TunlError("USAGE", `The call has no valid "${field}", expected ${expected}`);
}

/**
 * A session says which names it serves: each is claimed, covered by a certificate, and told of by an event. The names
 * are served until the call or the session ends.
 */
function announce(context: CallContext, call: IncomingCall, live: LiveSession): IncomingCallEvents {
  const { hosts = [], random = "", rest = false } = call.body;
  if (
    !isTexts(hosts) ||
    hosts.length > HOSTS_MAX ||
    typeof random !== "string" ||
    typeof rest !== "boolean"
  ) {
    if (isTexts(hosts) && hosts.length > HOSTS_MAX) reached("announcedHosts");
    call.result("USAGE");
    return { isKept: false, ended: () => undefined };
  }
  let isOver = false;
  const served: string[] = [];
  const owner = { tunnel: live.admission.id, keyId: live.admission.keyId };
  const grant = async (
    wished: string,
    claim: () => Promise<{ readonly host: string }>,
  ): Promise<void> => {
    if (isOver) return;
    try {
      const { host } = await claim();
      await context.cover(host);
      if (isOver) return;
      served.push(host);
      context.store.touchHost(host);
      live.announce(call, { hosts: [...served], takesRest: rest });
      call.event("host", { host, state: "granted", url: urlOf(host, context.publicPort()) });
    } catch (error) {
      if (!(error instanceof TunlError)) throw error;
      if (error.code === "HOSTNAME_LIMIT") reached("hostsOfTunnel");
      if (!isOver)
        call.event("host", {
          host: wished,
          state: STATES[error.code] ?? "failed",
          code: error.code,
          text: error.message,
        });
    }
  };
  if (rest) live.announce(call, { hosts: [], takesRest: true });
  const work = async (): Promise<void> => {
    for (const host of hosts) await grant(host, () => context.store.claimHost(owner, host));
    if (random === "") return;
    // A line that was made for certain names only is an invitation to serve those.
    const { scope = [] } = context.store.snapshot.key(live.key) ?? {};
    const exact = scope.filter((name) => !name.startsWith("*."));
    if (exact.length === 0 || exact.length < scope.length)
      await grant(random, () => context.store.randomHost(owner, random));
    else for (const host of exact) await grant(host, () => context.store.claimHost(owner, host));
  };
  work().catch((error: unknown) => call.result("INTERNAL", { text: String(error) }));
  return {
    isKept: true,
    ended: () => {
      isOver = true;
      for (const host of served) context.store.touchHost(host);
      live.withdraw(call);
    },
  };
}

const STATES: Readonly<Record<string, string>> = {
  HOSTNAME_TAKEN: "taken",
  HOSTNAME_NOT_GRANTED: "notGranted",
};

function urlOf(host: string, port: number): string {
  return `https://${host}${port === 443 ? "" : `:${port}`}`;
}

function status(context: CallContext): CallBody {
  const { store, registry, domains, fingerprint, startedAt } = context;
  const tunnels = [...store.snapshot.tunnels].map((tunnel) => {
    const sessions = [...registry.of(tunnel.id)];
    return {
      name: tunnel.name,
      id: tunnel.id,
      connectors: sessions.length,
      links: sessions.reduce((sum, { session }) => sum + session.stats().links, 0),
      streams: sessions.reduce((sum, { session }) => sum + session.streams, 0),
      congestion: [...new Set(sessions.map(({ session }) => session.tuning?.congestion ?? ""))],
      hosts: [...store.snapshot.hosts]
        .filter(({ tunnel: owner }) => owner === tunnel.id)
        .map(({ host }) => host),
    };
  });
  return {
    pid: process.pid,
    startedAt: startedAt.toISOString(),
    domains,
    fingerprint,
    tunnels,
    certificates: context.certificates(),
    ...context.figures(),
    limits: reachedLimits(),
  };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
