// This file is the call `announce`: which names a session serves, for as long as the call is open. PROTOCOL §12.4; A-08.
import { TunlError } from "../../errors.ts";
import type { CallBody, IncomingCall, IncomingCallEvents } from "../../exchange/index.ts";
import { reached } from "../../limits.ts";
import { aliasRecord, textRecord } from "../dns/index.ts";
import type { LiveSession } from "../route/index.ts";
import { isTexts, shortText } from "./body.ts";
import { tellCertificate } from "./certificate-events.ts";
import type { CallContext } from "./context.ts";

/** Names of one announcement at most. */
const HOSTS_MAX = 1_000;

/**
 * A session says which names it serves: each is claimed and told of by an event, and so is its certificate as it
 * comes. The names are served until the call or the session ends.
 */
export function announce(
  context: CallContext,
  call: IncomingCall,
  live: LiveSession,
): IncomingCallEvents {
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
  const { names } = context.dns;
  const gone = new AbortController();
  const watches: (() => void)[] = [];
  const tellOf = (host: string): void => {
    if (isOver) return;
    // It may have gone to another tunnel meanwhile, whose proof is no news of ours.
    const tunnel = context.store.snapshot.ownerOf(host);
    if (tunnel !== undefined && tunnel !== owner.tunnel) return;
    if (!names.isServed(host)) return call.event("host", unproven(host, owner.tunnel, context));
    call.event("host", { host, state: "granted", url: urlOf(host, context.publicPort()) });
    // A name below a `*.x` of this tunnel is granted without an entry of its own.
    context.source.want(host);
    tellCertificate(context.source, host, (state) => {
      if (!isOver) call.event("certificate", state);
    });
  };
  const grant = async (
    wished: string,
    claim: () => Promise<{ readonly host: string }>,
  ): Promise<void> => {
    if (isOver) return;
    try {
      const { host } = await claim();
      if (isOver) return;
      served.push(host);
      context.store.touchHost(host);
      live.announce(call, { hosts: [...served], takesRest: rest });
      if (names.stateOf(host) === "own") return tellOf(host);
      // Announced all the same: requests are turned away as long as there is no proof.
      watches.push(names.watch(host, () => tellOf(host)));
      if (names.isServed(host)) return tellOf(host);
      // Not waited for: the names behind it are claimed meanwhile.
      names
        .checkInTurn(host, owner.tunnel, gone.signal)
        .then(() => {
          // With a proof it was told of by the watch.
          if (!names.isServed(host)) tellOf(host);
        })
        .catch((error: unknown) => {
          if (!isOver)
            call.event("host", { host, state: "failed", text: shortText(String(error)) });
        });
    } catch (error) {
      if (!(error instanceof TunlError)) throw error;
      if (!isOver)
        call.event("host", {
          host: shortText(wished),
          state: STATES[error.code] ?? "failed",
          code: error.code,
          text: shortText(error.message),
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
  work().catch((error: unknown) => call.result("INTERNAL", { text: shortText(String(error)) }));
  return {
    isKept: true,
    ended: () => {
      isOver = true;
      gone.abort(new Error("The announcement is over"));
      for (const unwatch of watches) unwatch();
      for (const host of served) context.store.touchHost(host);
      live.withdraw(call);
    },
  };
}

const STATES: Readonly<Record<string, string>> = {
  HOSTNAME_TAKEN: "taken",
  HOSTNAME_NOT_GRANTED: "notGranted",
};

/** What a connector is told of a name outside of the domains whose owner has not said yet that it is meant. */
function unproven(host: string, tunnel: string, { dns, domains }: CallContext): CallBody {
  const { value } = aliasRecord(host, tunnel, domains[0] as string);
  const proof = textRecord(host, tunnel);
  const isLost = dns.names.stateOf(host) === "suspended";
  const text = `${host} is not served ${isLost ? "any more: its proof is gone" : "yet: it has no proof"}; add the record ${host} CNAME ${value}, or where no CNAME can stand ${proof.name} TXT ${proof.value} beside an address of the edge`;
  return { host, state: "suspended", code: "HOSTNAME_NOT_PROVEN", text };
}

function urlOf(host: string, port: number): string {
  return `https://${host}${port === 443 ? "" : `:${port}`}`;
}
