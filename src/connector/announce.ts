// This file is the names a connector asks its edge for, told on a control stream that stays open with the session. http.md §5.4.
import { TunlError } from "../errors.ts";
import { type Call, CALL_BODY_MAX, type CallBody, openCall } from "../exchange/index.ts";
import type { Session } from "../session/index.ts";

export interface Announcement {
  /** Names of the rules, those of `--host`, and `--name` below the edge's first domain. */
  readonly hosts: readonly string[];
  /** TARGET in full form, for a random name that is kept for it; "" for none. */
  readonly random: string;
  /** True: names of the tunnel that no session announced are served here, too. */
  readonly rest: boolean;
}

export interface AnnounceEvents {
  /** The edge serves the name; `url` is what to open. */
  granted(host: string, url: string): void;
  /** The edge does not: `code` and text for people. */
  refused(host: string, code: string, text: string): void;
  /**
   * Visitors of the name can be served, or why not; `state` is a word of later revisions, too.
   *
   * @param ms How long that took the edge, where it says so.
   */
  certificate(host: string, state: string, ms: number | undefined, text: string): void;
  notice(text: string): void;
  /** The call could not be made or was cut short; the session tells why. */
  lost(): void;
}

/** An announcement in force. */
export interface Announced {
  /**
   * The names are served no more. Resolves when the edge has taken notice of that, and so of all that was said before, or
   * the session is over.
   */
  withdraw(): Promise<void>;
}

/**
 * Announces; the names are served as long as the session lives. Names that do not fit into one call are told in several,
 * which stand and fall together.
 */
export function announce(
  session: Session,
  announcement: Announcement,
  events: AnnounceEvents,
): Announced {
  const over = Promise.withResolvers<void>();
  const calls: Call[] = [];
  let open = 0;
  let isLost = false;
  const withdraw = (): void => {
    for (const call of calls) call.end();
  };
  const lost = (): void => {
    open -= 1;
    if (open <= 0) over.resolve();
    if (isLost) return;
    isLost = true;
    // The others would stay in force beside those that are made anew.
    withdraw();
    events.lost();
  };
  const { random, rest } = announcement;
  const batches = inBatches(announcement.hosts);
  open = batches.length;
  for (const hosts of batches) {
    const call = openCall(session, "announce", { hosts, random, rest }, true, {
      event: (name, event) => take(name, event, events),
      // A result ends the call early, which this one is not meant to: the names are asked for again.
      result: (code) => {
        if (code !== "" && !isLost) events.notice(`The edge ended the call for names with ${code}`);
        lost();
      },
      lost,
    });
    // Never inside this call: who makes it has nothing of it yet.
    if (typeof call === "string") queueMicrotask(lost);
    else calls.push(call);
  }
  return {
    withdraw: () => {
      withdraw();
      return over.promise;
    },
  };
}

/** What a call has besides its names, bytes: keys of JSON, and TARGET, which has no names beside it. */
const BESIDES = 1_024;

/** Names by calls that can carry them; without a name one call with none. */
function inBatches(hosts: readonly string[]): readonly (readonly string[])[] {
  const batches: string[][] = [[]];
  let left = CALL_BODY_MAX - BESIDES;
  for (const host of hosts) {
    // Canonical names need no escapes: two quotes and a comma.
    const bytes = host.length + 3;
    if (bytes > left) {
      batches.push([]);
      left = CALL_BODY_MAX - BESIDES;
    }
    left -= bytes;
    batches.at(-1)?.push(host);
  }
  return batches;
}

function take(name: string, body: CallBody, events: AnnounceEvents): void {
  const text = (key: string): string => {
    const value = body[key];
    return typeof value === "string" ? value : "";
  };
  if (name === "notice") events.notice(text("text"));
  else if (name === "certificate") {
    const ms = body["ms"];
    const took = typeof ms === "number" ? ms : undefined;
    events.certificate(text("host"), text("state"), took, text("text"));
  } else if (name !== "host")
    return; // Events of later revisions are not ours to judge.
  else if (text("state") === "granted") events.granted(text("host"), text("url"));
  else events.refused(text("host"), text("code"), text("text"));
}

/** Counts the answers to one announcement. */
export class Answers {
  #left: number;
  #isServing: boolean;
  #first: TunlError | undefined;

  /** @param isServing True: there is something to stay for without any name, too. */
  constructor(count: number, isServing = false) {
    this.#left = count;
    this.#isServing = isServing;
  }

  granted(): void {
    this.#left -= 1;
    this.#isServing = true;
  }

  /** Returns what ends the process: all names were answered, none was given, and asking again would not help. */
  refused(error: TunlError): TunlError | undefined {
    this.#left -= 1;
    if (error.retryable) this.#isServing = true;
    this.#first ??= error;
    return this.#left === 0 && !this.#isServing ? this.#first : undefined;
  }
}

/** Refusals that stand until somebody changes something at the edge. */
const FINAL_REFUSALS: ReadonlySet<string> = new Set([
  "HOSTNAME_TAKEN",
  "HOSTNAME_NOT_GRANTED",
  "HOSTNAME_LIMIT",
]);

/** @param ruledBy The tunnel whose rule has the name; undefined: it stands in a flag. */
export function refusedName(host: string, code: string, text: string, ruledBy?: string): TunlError {
  const message = text === "" ? `The edge does not give ${host} to this tunnel` : text;
  return new TunlError(code, message, {
    retryable: !FINAL_REFUSALS.has(code),
    hint: hintOf(host, code, ruledBy),
  });
}

/** A refusal that ends by itself: the edge looks again, and says so. */
export const UNPROVEN = "HOSTNAME_NOT_PROVEN";

function hintOf(name: string, code: string, ruledBy: string | undefined): string {
  // A shell reads a star of its own.
  const host = name.startsWith("*") ? `'${name}'` : name;
  if (code === UNPROVEN) return "The name is served as soon as the edge sees it, without a restart";
  if (code === "HOSTNAME_TAKEN")
    return ruledBy !== undefined
      ? "Rules with this name answer nothing: choose another name"
      : "Choose another --name or --host, or ask the edge's owner for a line of the tunnel that has it: tunl edge invite --name TUNNEL";
  if (code === "HOSTNAME_LIMIT")
    return "Serve fewer names, or join as another tunnel with a new line of tunl edge invite";
  if (!name.includes("."))
    return ruledBy !== undefined
      ? "It is a label alone: write the whole name in the rules"
      : `It is a label alone: write --name ${name}, or the whole name with --host`;
  if (ruledBy !== undefined)
    return `Rules with this name answer nothing until it is granted: on the edge tunl edge grant ${ruledBy} ${host}, or tunl route dns ${ruledBy} ${host} by an account that may have it`;
  // The edge's owner may not be able to give it either: reserved labels are told there.
  return `Choose another name, or ask the edge's owner for a line that allows it, tunl edge invite --host ${host}, or for the name alone: tunl edge grant TUNNEL ${host}`;
}
