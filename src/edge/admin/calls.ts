// This file is the table of calls: what a connector or an account asks on a control stream and the owner on the local socket. http.md §5.4.
import { TunlError } from "../../errors.ts";
import type { CallBody, IncomingCall, IncomingCallEvents } from "../../exchange/index.ts";
import type { LiveSession } from "../route/index.ts";
import { announce } from "./announce.ts";
import { Body, shortText } from "./body.ts";
import type { CallTraffic } from "./call-traffic.ts";
import type { Call, CallContext, Caller } from "./context.ts";
import { inviteCall } from "./invite.ts";
import { keyAdd, keyRevoke, keyRotate } from "./key-calls.ts";
import { grantCall, revokeCall } from "./owner-calls.ts";
import { RouteDns, routeDelete, routeList } from "./route-calls.ts";
import { status } from "./status.ts";
import { tunnelCreate, tunnelDelete, tunnelInfo, tunnelList } from "./tunnel-calls.ts";

/** One row: who may make the call, and whether it changes anything. */
interface CallRow {
  readonly by: readonly Caller["kind"][];
  /** True: it counts as a change of its account. */
  readonly isChange: boolean;
  readonly run: Call;
}

const change = (by: CallRow["by"], run: Call): CallRow => ({ by, isChange: true, run });
const question = (by: CallRow["by"], run: Call): CallRow => ({ by, isChange: false, run });

/** Every call but `announce`, which stays open and is no question with an answer. */
const CALLS: ReadonlyMap<string, CallRow> = new Map([
  ["tunnel.create", change(["account"], tunnelCreate)],
  ["tunnel.list", question(["account"], tunnelList)],
  ["tunnel.info", question(["account"], tunnelInfo)],
  ["tunnel.delete", change(["account"], tunnelDelete)],
  ["key.add", change(["account"], keyAdd)],
  ["key.rotate", change(["account", "tunnel"], keyRotate)],
  ["key.revoke", change(["account"], keyRevoke)],
  ["route.dns", change(["account"], new RouteDns().call)],
  ["route.list", question(["account"], routeList)],
  ["route.delete", change(["account"], routeDelete)],
  ["invite", change(["owner"], inviteCall)],
  ["grant", change(["owner"], grantCall)],
  ["revoke", change(["owner"], revokeCall)],
  ["status", question(["owner"], status)],
]);

/** Answers a call of the owner's socket; undefined for an unknown name. @throws TunlError of the call. */
export async function answerOwner(
  context: CallContext,
  name: string,
  body: CallBody,
): Promise<CallBody | undefined> {
  const row = CALLS.get(name);
  if (row === undefined || !row.by.includes("owner")) return undefined;
  return await row.run(context, OWNER, new Body(body), () => undefined, NEVER);
}

const OWNER: Caller = { kind: "owner" };
const NEVER = new AbortController().signal;

/** Answers a call of a control stream: unknown names and other kinds of keys get a code, never silence. */
export function answerCall(
  context: CallContext,
  traffic: CallTraffic,
  call: IncomingCall,
  live: LiveSession,
): IncomingCallEvents {
  const { kind, id } = live.admission;
  if (call.name === "announce" && kind === "tunnel") return announce(context, call, live);
  const row = CALLS.get(call.name);
  if (row === undefined || !row.by.includes(kind)) {
    const isKnown = call.name === "announce" || row?.by.some((one) => one !== "owner");
    call.result(isKnown === true ? "NOT_ALLOWED" : "NOT_FOUND");
    return NOTHING_LEFT;
  }
  const leave = traffic.enter(id, row.isChange);
  if (leave === undefined) {
    refuse(call, busy());
    return NOTHING_LEFT;
  }
  const gone = new AbortController();
  const caller: Caller = { kind, id, key: live.key, live };
  const tell = (event: string, body: CallBody): void => {
    if (!gone.signal.aborted) call.event(event, body);
  };
  const work = async (): Promise<CallBody> =>
    row.run(context, caller, new Body(call.body), tell, gone.signal);
  work()
    .then((answer) => call.result("", answer))
    // An answer that is too long for its message ends here as well.
    .catch((error: unknown) => refuse(call, error));
  return {
    isKept: false,
    ended: () => {
      gone.abort();
      leave();
    },
  };
}

const NOTHING_LEFT: IncomingCallEvents = { isKept: false, ended: () => undefined };

function refuse(call: IncomingCall, error: unknown): void {
  if (!(error instanceof TunlError))
    return call.result("INTERNAL", { text: shortText(String(error)) });
  const { code, message, hint } = error;
  call.result(code, {
    text: shortText(message),
    ...(hint !== undefined && { hint: shortText(hint) }),
  });
}

function busy(): TunlError {
  return new TunlError("CALL_LIMIT", "Too many calls at once, or too many changes in a while", {
    retryable: true,
    hint: "Try again in a minute",
  });
}
