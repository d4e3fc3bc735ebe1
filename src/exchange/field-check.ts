// This file is what both ends demand of the heads that come over the tunnel: the same strict grammar as on a socket (S-64).
import { CLASS, type HeaderBlock, TARGET, VALUE } from "../headers/index.ts";
import { validateFields, validateTrailers } from "./fields.ts";
import { BodyFault } from "./runs.ts";

/** @throws BodyFault Lines break the grammar, or name framing, hop-by-hop or routing fields. */
export function checkFields(lines: Uint8Array): HeaderBlock {
  const block = validateFields(lines);
  if (typeof block === "string") throw new BodyFault(`Received invalid fields (${block})`);
  return block;
}

/** @throws BodyFault Likewise for trailers, with their narrower rules (S-04). */
export function checkTrailers(lines: Uint8Array): Uint8Array {
  const block = validateTrailers(lines);
  if (typeof block === "string") throw new BodyFault(`Received invalid trailers (${block})`);
  return lines;
}

/** @throws BodyFault Not a reason phrase (RFC 9112 §4). */
export function checkReason(reason: Uint8Array): Uint8Array {
  for (let at = 0; at < reason.length; at++) {
    if (((CLASS[reason[at] as number] as number) & VALUE) === 0)
      throw new BodyFault("Received an invalid reason phrase");
  }
  return reason;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** @throws BodyFault Not a token (RFC 9110 §5.6.2). */
export function checkToken(what: string, text: string): string {
  if (!TOKEN.test(text)) throw new BodyFault(`Received an invalid ${what}`);
  return text;
}

/** @throws BodyFault Empty, or a byte that no request line may hold. */
export function checkTarget(target: Uint8Array): Uint8Array {
  if (target.length === 0) throw new BodyFault("Received an empty target");
  for (let at = 0; at < target.length; at++) {
    if (((CLASS[target[at] as number] as number) & TARGET) === 0)
      throw new BodyFault("Received an invalid target");
  }
  return target;
}

const AUTHORITY = /^[a-z0-9](?:[a-z0-9.-]{0,252})(?::[0-9]{1,5})?$/;

/** @throws BodyFault Not a canonical host with an optional port (S-20). */
export function checkAuthority(authority: string): string {
  if (!AUTHORITY.test(authority)) throw new BodyFault("Received an invalid authority");
  return authority;
}
