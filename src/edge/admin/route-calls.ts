// This file is the calls about hostnames, by the account whose tunnels have them: led here by the DNS, listed, given back. http.md §5.4; product.md §6.
import { formatPattern, parsePattern } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import type { CallBody } from "../../exchange/index.ts";
import { reached } from "../../limits.ts";
import { type EdgeDns, leadHere, leadsWhere } from "../dns/index.ts";
import type { HostRow } from "../store/index.ts";
import { shortText } from "./body.ts";
import type { Call, CallContext } from "./context.ts";
import { byOf } from "./context.ts";
import { keyOf, ownTunnel } from "./tunnel-calls.ts";

/** Calls that wait for a record at a time: each asks the servers of a zone every few seconds. */
export const DNS_WAITS_MAX = 64;
const MAX_TIMEOUT_MS = 86_400_000;
const DEFAULT_TIMEOUT_MS = 600_000;
/** How long one certificate is waited for, whatever is left of the time for the record, ms. */
const CERTIFICATE_MS = 120_000;
const DAY_MS = 86_400_000;
/** A list says what the DNS says within this time, and of so many names at a time. */
const LIST_MS = 10_000;
const LIST_AT_ONCE = 16;

/** `route.dns`: granted, led here, covered by a certificate. */
export class RouteDns {
  #waiting = 0;

  /** Calls that wait now. */
  get waiting(): number {
    return this.#waiting;
  }

  readonly call: Call = async (context, caller, body, tell, signal) => {
    const { store, dns, source } = context;
    const tunnel = ownTunnel(context, caller, body.text("tunnel"));
    const overwrite = body.boolean("overwrite");
    const proof = proofOf(body.optionalText("proof"));
    const timeoutMs = timeoutOf(body.number("timeoutMs", DEFAULT_TIMEOUT_MS));
    const row = await store.routes.claim(keyOf(caller), tunnel.id, body.text("host"));
    const { host } = row;
    tell("granted", { host, tunnel: tunnel.name });
    const isForeign = dns.names.isForeign(host);
    await this.#wait(host, timeoutMs, signal, async (until) => {
      const order = { host, tunnel: tunnel.id, isForeign, overwrite, proof };
      const found = await leadHere(
        dns,
        {
          ...order,
          tell: (event) => tell("dns", { ...event, text: event.text && shortText(event.text) }),
        },
        until,
      );
      // Waiting may have taken long: the name may be another tunnel's, or nobody's.
      const now = rowOf(context, row);
      if (found !== undefined) await dns.names.settle(now, found);
    });
    source.want(host);
    // Failed before, when the record was not there: now it is.
    source.retry(host);
    await this.#certificate(context, host, tell, signal);
    return { url: urlOf(host, context.publicPort()) };
  };

  async #wait(
    host: string,
    timeoutMs: number,
    signal: AbortSignal,
    work: (until: AbortSignal) => Promise<void>,
  ): Promise<void> {
    if (this.#waiting >= DNS_WAITS_MAX) {
      reached("dnsWaits");
      throw new TunlError("CALL_LIMIT", "Too many names wait for their records on this edge", {
        retryable: true,
        hint: "Try again in a few minutes",
      });
    }
    const late = AbortSignal.timeout(timeoutMs);
    this.#waiting += 1;
    try {
      await work(AbortSignal.any([late, signal]));
    } catch (error) {
      if (!late.aborted) throw error;
      const seconds = Math.round(timeoutMs / 1_000);
      throw new TunlError("DNS_TIMEOUT", `${host} does not lead here after ${seconds} s`, {
        cause: error,
        hint: "Add the record, then run the same command again: the name stays yours",
      });
    } finally {
      this.#waiting -= 1;
    }
  }

  async #certificate(
    { source }: CallContext,
    host: string,
    tell: (event: string, body: CallBody) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const startedAt = performance.now();
    if (source.state(host).state !== "ready") tell("certificate", { host, state: "pending" });
    const late = AbortSignal.timeout(CERTIFICATE_MS);
    try {
      await source.ready(host, AbortSignal.any([late, signal]));
    } catch (error) {
      const isLate = late.aborted && !(error instanceof TunlError);
      const text = isLate
        ? `No certificate for ${host} within ${CERTIFICATE_MS / 1_000} s, it is tried on`
        : error instanceof Error
          ? error.message
          : String(error);
      tell("certificate", { host, state: "failed", text: shortText(text) });
      if (!isLate) throw error;
      throw new TunlError("CERTIFICATE_FAILED", text, {
        hint: "Run tunl route list to see what becomes of it",
      });
    }
    const { notAfter } = source.state(host);
    const expiresAt = notAfter === undefined ? undefined : new Date(notAfter).toISOString();
    const ms = Math.round(performance.now() - startedAt);
    tell("certificate", { host, state: "ready", ms, expiresAt });
  }
}

export const routeList: Call = async (context, caller, body, tell, signal) => {
  const { store, registry } = context;
  if (caller.kind !== "account") return {};
  const named = body.optionalText("tunnel");
  const tunnels =
    named === undefined
      ? [...store.snapshot.tunnelsOf(caller.id)]
      : [ownTunnel(context, caller, named)];
  const rows = tunnels.flatMap(({ id, name }) =>
    [...store.snapshot.hostsOf(id)].map((row) => ({ row, tunnel: name })),
  );
  const until = AbortSignal.any([signal, AbortSignal.timeout(LIST_MS)]);
  const next = rows.values();
  const work = async (): Promise<void> => {
    for (const { row, tunnel } of next) {
      const { host, how } = row;
      const connectors = [...registry.of(row.tunnel)].filter((live) => live.serves(host)).length;
      const dns = await dnsText(context.dns, host, until);
      tell("route", {
        host,
        tunnel,
        how,
        connectors,
        dns,
        certificate: certificateOf(context, host),
      });
    }
  };
  await Promise.all(Array.from({ length: LIST_AT_ONCE }, work));
  return {};
};

export const routeDelete: Call = async (context, caller, body) => {
  const { store, dns } = context;
  const pattern = parsePattern(body.text("host"));
  const host = pattern === undefined ? body.text("host") : formatPattern(pattern);
  const held = store.snapshot.host(host);
  const tunnel = held === undefined ? undefined : store.snapshot.tunnel(held.tunnel);
  const isOwn = caller.kind === "owner" || (tunnel !== undefined && tunnel.account === caller.id);
  const row = isOwn ? await store.routes.release(byOf(caller), host) : undefined;
  if (row === undefined || tunnel === undefined) {
    throw new TunlError("HOSTNAME_NOT_FOUND", `No tunnel of yours has ${host}`, {
      hint: "Run tunl route list to see your names",
    });
  }
  // What could not be removed now is removed later; the name is free all the same.
  const { state, text } = await dns.records.remove(host);
  return { host, tunnel: tunnel.name, record: state, ...(text !== "" && { text }) };
};

/** The entry as it is now. @throws TunlError `HOSTNAME_TAKEN`, `HOSTNAME_NOT_FOUND`. */
function rowOf({ store }: CallContext, { host, tunnel }: HostRow): HostRow {
  const row = store.snapshot.host(host);
  if (row?.tunnel === tunnel) return row;
  if (row === undefined)
    throw new TunlError("HOSTNAME_NOT_FOUND", `${host} was taken from its tunnel meanwhile`);
  throw new TunlError("HOSTNAME_TAKEN", `${host} went to another tunnel meanwhile`);
}

/** What the DNS says about a name, in a few words. */
async function dnsText(dns: EdgeDns, host: string, signal: AbortSignal): Promise<string> {
  const state = dns.names.stateOf(host);
  if (state === "unproven") return "no proof yet";
  const since = dns.names.failedSince(host);
  const days = since === undefined ? 0 : Math.floor((Date.now() - since) / DAY_MS);
  if (state === "suspended") return `suspended, no proof for ${days} days`;
  if (since !== undefined) return `proof is missing for ${days} days`;
  try {
    const { isHere, text } = await leadsWhere(dns, host, signal);
    return isHere ? "leads here" : shortText(text);
  } catch (error) {
    if (signal.aborted) return "not asked in time";
    throw error;
  }
}

function certificateOf({ source }: CallContext, host: string): CallBody {
  const { state, notAfter } = source.state(host);
  const days = notAfter === undefined ? undefined : Math.floor((notAfter - Date.now()) / DAY_MS);
  return { state, ...(days !== undefined && { days }) };
}

function proofOf(text: string | undefined): "auto" | "cname" | "txt" {
  if (text === undefined || text === "auto") return "auto";
  if (text === "cname" || text === "txt") return text;
  throw new TunlError("USAGE", 'The call has no valid "proof", expected auto, cname or txt');
}

function timeoutOf(timeoutMs: number): number {
  if (timeoutMs >= 0 && timeoutMs <= MAX_TIMEOUT_MS) return timeoutMs;
  throw new TunlError("USAGE", `timeoutMs is ${timeoutMs}, expected 0 to ${MAX_TIMEOUT_MS}`);
}

function urlOf(host: string, port: number): string {
  return `https://${host}${port === 443 ? "" : `:${port}`}`;
}
