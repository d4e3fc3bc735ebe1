// This file is `tunl login` towards the edge: the key of an account enrolled with the code of a login line. PROTOCOL §3.1; product.md §1.2.
import { Deadlines } from "../deadlines.ts";
import type { AccountCredentials, EdgeDirectory, JoinLine } from "../identity/index.ts";
import { type ErrandLink, type ErrandOptions, linkEdge } from "./edge-link.ts";
import { endErrand, errandSession } from "./errand-session.ts";
import type { ConnectedLink } from "../session/index.ts";
import { readReady, type Ready } from "./ready.ts";
import { refusalCode, refusedLine } from "./refusal.ts";
import { fitName } from "./wished-name.ts";

export interface AccountEnrolment {
  readonly line: JoinLine;
  readonly directory: EdgeDirectory;
  /** Name of this machine, which becomes the name of the key. */
  readonly label: string;
  readonly version: string;
  readonly waitMs?: number | undefined;
  readonly lastGood?: string | undefined;
  /** The edge proved its key, and that it is the one of the line. */
  readonly onEdge: () => void;
}

/**
 * Enrols the key of an account; the same line again finds the same key.
 *
 * @returns What the edge says of the account; its credentials are on disk.
 * @throws TunlError `JOIN_REFUSED`, and then no key is left behind; those of `linkEdge`; `STATE_UNWRITABLE`.
 */
export async function enrolAccount(
  enrolment: AccountEnrolment,
  now: number,
): Promise<{ readonly credentials: AccountCredentials; readonly ready: Ready }> {
  const { line, directory, onEdge } = enrolment;
  using deadlines = new Deadlines((error) => {
    throw error;
  });
  const prepared = await directory.prepare(line, "account", now);
  const key = prepared.state === "known" ? prepared.credentials.key : prepared.pending.key;
  const link = (claim: ErrandOptions["claim"]): Promise<ErrandLink> =>
    linkEdge({
      host: line.host,
      port: line.port,
      fingerprint: line.fingerprint,
      key,
      owner: { kind: "account" },
      deadlines,
      claim,
      label: enrolment.label,
      version: enrolment.version,
      lastGood: enrolment.lastGood,
      ...(enrolment.waitMs !== undefined && { waitMs: enrolment.waitMs }),
    });
  const authenticate = (): Promise<ErrandLink> =>
    link({ kind: "auth", replaces: new Uint8Array(0) });
  const enrol = async (): Promise<ErrandLink> => {
    try {
      return await link({ kind: "enrol", code: line.code, name: fitName(enrolment.label) });
    } catch (refusal) {
      if (refusalCode(refusal) !== "AUTH_FAILED") throw refusal;
      if (prepared.state === "pending" && prepared.isNew) throw refusedLine("account", refusal);
      // The line is refused, but its key may be registered already: the reply to an earlier ENROLL was lost.
      return await authenticate().catch((error: { code?: unknown }) => {
        throw error.code === "KEY_REFUSED" ? refusedLine("account", refusal) : error;
      });
    }
  };
  let linked: ErrandLink;
  try {
    linked = prepared.state === "known" ? await authenticate() : await enrol();
  } catch (error) {
    const isRefused = error instanceof Error && "code" in error && error.code === "JOIN_REFUSED";
    if (isRefused && prepared.state === "pending") await directory.discard(prepared.pending);
    throw error;
  }
  await hangUp(linked.link, enrolment.version, deadlines);
  onEdge();
  const ready = readReady(linked.link.application);
  const credentials =
    prepared.state === "known"
      ? prepared.credentials
      : await directory.complete(prepared.pending, { kind: "account", keyId: ready.keyId }, now);
  await directory.rememberAddress(linked.address);
  return { credentials: credentials as AccountCredentials, ready };
}

/** Nothing is asked over this link. How it ends changes nothing any more: the edge has taken the key. */
async function hangUp(link: ConnectedLink, version: string, deadlines: Deadlines): Promise<void> {
  let fault: unknown;
  const session = errandSession(link, version, {
    closed: () => undefined,
    fault: (error) => (fault = error),
  });
  session.attach(link.link, link);
  await endErrand(session, link, deadlines, "The login is over");
  if (fault !== undefined) throw fault;
}
