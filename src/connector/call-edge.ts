// This file is a call that a command makes to an edge: a link of its own, one question, the answer, the end. http.md §5.4.
import { Deadlines } from "../deadlines.ts";
import { TunlError } from "../errors.ts";
import { type CallBody, openCall } from "../exchange/index.ts";
import type { Credentials } from "../identity/index.ts";
import { type ConnectedLink, sessionCodeName } from "../session/index.ts";
import type { Lookup } from "./addresses.ts";
import { linkEdge } from "./edge-link.ts";
import { endErrand, errandSession } from "./errand-session.ts";
import { type KeyOwner, refusedError } from "./refusal.ts";

export type { CallBody };

/** A call that touches memory and one transaction; those that wait for others say how long. */
const ANSWER_MS = 30_000;
/** Codes of product.md §8; anything else is no answer of an edge. */
const CODE = /^[A-Z][A-Z0-9_]{1,63}$/;

export interface EdgeCall {
  /** Of an account, or of a tunnel for what a tunnel may ask for itself. */
  readonly credentials: Credentials;
  readonly name: string;
  readonly body: CallBody;
  /** What the edge tells before the result, as it happens. */
  readonly onEvent?: (name: string, body: CallBody) => void;
  /** From the live link to the result, ms. */
  readonly timeoutMs?: number;
  /** How long an edge that is away is dialled, ms. */
  readonly waitMs?: number;
  /** Name of this machine. */
  readonly label: string;
  readonly version: string;
  readonly lastGood?: string | undefined;
  /** Gives the call up. */
  readonly signal?: AbortSignal;
  readonly lookup?: Lookup;
}

/**
 * Makes one call.
 *
 * @returns The body of the result.
 * @throws TunlError Those of `linkEdge`; `EDGE_UNREACHABLE` when the answer does not come; else the edge's own code, text and hint.
 */
export async function callEdge(call: EdgeCall): Promise<CallBody> {
  const { credentials, signal } = call;
  const owner: KeyOwner =
    credentials.kind === "account"
      ? { kind: "account" }
      : { kind: "tunnel", tunnel: credentials.name };
  using deadlines = new Deadlines((error) => {
    throw error;
  });
  const { link } = await linkEdge({
    deadlines,
    host: credentials.host,
    port: credentials.port,
    fingerprint: credentials.fingerprint,
    key: credentials.key,
    owner,
    claim: { kind: "auth", replaces: new Uint8Array(0) },
    label: call.label,
    version: call.version,
    lastGood: call.lastGood,
    ...(call.waitMs !== undefined && { waitMs: call.waitMs }),
    ...(signal !== undefined && { signal }),
    ...(call.lookup !== undefined && { lookup: call.lookup }),
  });
  return await ask({ link, call, owner, deadlines });
}

/** A call on its live link. */
interface Asking {
  readonly link: ConnectedLink;
  readonly call: EdgeCall;
  readonly owner: KeyOwner;
  readonly deadlines: Deadlines;
}

async function ask({ link, call, owner, deadlines }: Asking): Promise<CallBody> {
  const { timeoutMs = ANSWER_MS, signal, name } = call;
  const { promise, resolve, reject } = Promise.withResolvers<CallBody>();
  // It may fail before the `await` below is reached.
  promise.catch(() => undefined);
  const fail = (error: TunlError): void => reject(error);
  const session = errandSession(link, call.version, {
    closed: ({ remote, code: number, message }) => {
      const code = remote ? sessionCodeName(number) : undefined;
      fail(code === "REVOKED" ? refusedError(code, owner) : cut(name, code ?? message));
    },
    fault: (error) => reject(error),
  });
  const deadline = deadlines.schedule(timeoutMs, () =>
    fail(unanswered(`The edge did not answer ${name} within ${timeoutMs / 1_000} s`)),
  );
  const onAbort = (): void => fail(new TunlError("CANCELLED", `${name} was given up`));
  signal?.addEventListener("abort", onAbort);
  try {
    session.attach(link.link, link);
    if (signal?.aborted) onAbort();
    const opened = openCall(session, name, call.body, false, {
      event: (event, body) => call.onEvent?.(event, body),
      result: (code, body) => (code === "" ? resolve(body) : fail(refusal(name, code, body))),
      // Streams end before the session they were part of: its own end says more.
      lost: () => void setImmediate(() => fail(cut(name, "the stream ended early"))),
    });
    if (typeof opened === "string") fail(cut(name, `no stream: ${opened}`));
    return await promise;
  } finally {
    deadline.cancel();
    signal?.removeEventListener("abort", onAbort);
    await endErrand(session, link, deadlines, "The call is over");
  }
}

/** What the edge answered in place of a result; texts come from it, and are bounded by the body they stand in. */
function refusal(name: string, code: string, body: CallBody): TunlError {
  if (!CODE.test(code))
    return new TunlError(
      "BAD_ANSWER",
      `The edge answered ${name} with the code ${JSON.stringify(code)}`,
    );
  const text = typeof body["text"] === "string" ? body["text"] : "";
  const hint = typeof body["hint"] === "string" ? body["hint"] : undefined;
  if (code === "NOT_FOUND" && text === "") {
    return new TunlError(code, `The edge does not know the call ${name}`, {
      hint: "It runs another version of tunl: compare tunl version on both machines",
    });
  }
  return new TunlError(code, text === "" ? `The edge refused ${name} with ${code}` : text, {
    hint,
  });
}

/** The session ended in the middle of a call: nobody knows whether it was carried out. */
function cut(name: string, why: string): TunlError {
  return unanswered(`The link broke before the edge answered ${name}: ${why}`);
}

function unanswered(message: string): TunlError {
  return new TunlError("EDGE_UNREACHABLE", message, {
    hint: "It may have been carried out all the same: run the same command again",
  });
}
