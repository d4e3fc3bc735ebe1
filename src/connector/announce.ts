// This file is the names a connector asks its edge for, told on a control stream that stays open with the session. http.md §5.4.
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

/** Announces; the names are served as long as the session lives. */
export function announce(
  session: Session,
  announcement: Announcement,
  events: AnnounceEvents,
): void {
  const body = { hosts: announcement.hosts, random: announcement.random, rest: false };
  const call = openCall(session, "announce", body, true, {
    event: (name, event) => take(name, event, events),
    // A result ends the call early: the edge says why by its code.
    result: (code) =>
      code === "" ? events.lost() : events.refused("", code, "The edge refused the announcement"),
    lost: () => events.lost(),
  });
  if (typeof call === "string") events.lost();
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
