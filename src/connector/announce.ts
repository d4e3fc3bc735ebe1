// This file is the names a connector asks its edge for, told on a control stream that stays open with the session. http.md §5.4.
import { TunlError } from "../errors.ts";
import { type CallBody, openCall } from "../exchange/index.ts";
import type { Session } from "../session/index.ts";

export interface Announcement {
  /** Full names: those of `--host`, and `--name` below the edge's first domain. */
  readonly hosts: readonly string[];
  /** TARGET in full form, for a random name that is kept for it; "" for none. */
  readonly random: string;
}

export interface AnnounceEvents {
  /** The edge serves the name; `url` is what to open. */
  granted(host: string, url: string): void;
  /** The edge does not: `code` and text for people. */
  refused(host: string, code: string, text: string): void;
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

/** Announces; the names are served as long as the session lives. */
export function announce(
  session: Session,
  announcement: Announcement,
  events: AnnounceEvents,
): Announced {
  const over = Promise.withResolvers<void>();
  const lost = (): void => {
    over.resolve();
    events.lost();
  };
  const body = { hosts: announcement.hosts, random: announcement.random, rest: false };
  const call = openCall(session, "announce", body, true, {
    event: (name, event) => take(name, event, events),
    // A result ends the call early, which this one is not meant to: the names are asked for again.
    result: (code) => {
      if (code !== "") events.notice(`The edge ended the call for names with ${code}`);
      lost();
    },
    lost,
  });
  if (typeof call === "string") lost();
  return {
    withdraw: () => {
      if (typeof call !== "string") call.end();
      return over.promise;
    },
  };
}

function take(name: string, body: CallBody, events: AnnounceEvents): void {
  const text = (key: string): string => {
    const value = body[key];
    return typeof value === "string" ? value : "";
  };
  if (name === "notice") events.notice(text("text"));
  else if (name !== "host")
    return; // Events of later revisions are not ours to judge.
  else if (text("state") === "granted") events.granted(text("host"), text("url"));
  else events.refused(text("host"), text("code"), text("text"));
}

/** Counts the answers to one announcement. */
export class Answers {
  #left: number;
  #isServing = false;
  #first: TunlError | undefined;

  constructor(count: number) {
    this.#left = count;
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

export function refusedName(host: string, code: string, text: string): TunlError {
  const message = text === "" ? `The edge does not give ${host} to this tunnel` : text;
  return new TunlError(code, message, {
    retryable: !FINAL_REFUSALS.has(code),
    hint: hintOf(host, code),
  });
}

function hintOf(host: string, code: string): string {
  if (code === "HOSTNAME_TAKEN") return "Choose another --name or --host";
  if (code === "HOSTNAME_LIMIT")
    return "Serve fewer names, or join as another tunnel with a new line of tunl edge invite";
  // The edge's owner may not be able to give it either: reserved labels are told there.
  return `Choose another name, or ask the edge's owner for a line that allows it: tunl edge invite --host ${host}`;
}
