// This file is an edge's refusal of a link in words: which code of the wire is which error. product.md §8 item 3.
import { TunlError } from "../errors.ts";
import {
  HandshakeError,
  SESSION_CODES,
  type SessionCodeName,
  sessionCodeName,
} from "../session/index.ts";

/** Whose key it is, for the text. */
export type KeyOwner =
  { readonly kind: "account" } | { readonly kind: "tunnel"; readonly tunnel: string | undefined };

/** The error of a session code with which an edge refused or ended a link. */
export function refusedError(name: SessionCodeName, owner: KeyOwner): TunlError {
  if (name !== "AUTH_FAILED" && name !== "REVOKED")
    return new TunlError(name, `The edge refused the link: ${SESSION_CODES[name].sentence}`);
  if (owner.kind === "account") {
    return new TunlError("KEY_REFUSED", "The edge does not accept the key of this account", {
      hint: "Log in again: tunl edge invite --account on the edge, then here tunl login LINE --force",
    });
  }
  const whose = owner.tunnel === undefined ? "this machine" : `tunnel "${owner.tunnel}"`;
  return new TunlError("KEY_REFUSED", `The edge does not accept the key of ${whose}`, {
    hint: "Ask the edge's owner; its log says why",
  });
}

/** The refused ENROLL of a join or login line. */
export function refusedLine(kind: KeyOwner["kind"], cause: unknown): TunlError {
  const [wrong, command] =
    kind === "tunnel"
      ? ["a login line given to connect", "tunl edge invite"]
      : ["a join line given to login", "tunl edge invite --account"];
  return new TunlError(
    "JOIN_REFUSED",
    `The edge refused this line: used, expired, made by another edge, or ${wrong}`,
    { cause, hint: `Run ${command} on the edge` },
  );
}

/** The name of the code in a refusal; undefined where nothing was refused, or by a code of another revision. */
export function refusalCode(error: unknown): SessionCodeName | undefined {
  if (!(error instanceof HandshakeError)) return undefined;
  return error.sessionCode === undefined ? undefined : sessionCodeName(error.sessionCode);
}
