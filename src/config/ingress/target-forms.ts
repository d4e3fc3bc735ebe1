// This file is what a wrong TARGET was probably meant to be, for the hint of its refusal. product.md §2.2.
import { isIP } from "node:net";

import { nearest } from "../nearest.ts";

/** What works for most, where nothing better is known. */
export const FALLBACK = "http://localhost:8000";
const MAX_PORT = 65_535;

/**
 * Writes a TARGET as it may be shown: without user name and password. Those stand in front of an @, and whoever
 * typed a slash or a blank too many typed it there as well: everything up to the last @ goes.
 */
export function withoutUserInfo(text: string): string {
  if (!text.includes("@") || isFile(text)) return text;
  return text.replace(/^([a-z][a-z0-9+.-]*:\/+)?.*@/is, "$1");
}

/** True for what a path of a file begins with, bare or behind `unix:`. */
export function isFile(text: string): boolean {
  return /^(?:unix(?:\+tls)?:|\/|~|\.\.?(?:\/|$))/i.test(text);
}

/** An IPv6 address without brackets, maybe with a port behind it: as it should have been written. */
export function bracketed(text: string): string | undefined {
  if (isIP(text) !== 6 && !/^[0-9a-f:.]*:[0-9a-f:.]*:[0-9]+$/i.test(text)) return undefined;
  const colon = text.lastIndexOf(":");
  const [address, port] = [text.slice(0, colon), text.slice(colon + 1)];
  // "::1:8000" is an address too, but nobody writes that one.
  if (isIP(address) === 6 && /^[0-9]+$/.test(port)) return `[${address}]:${port}`;
  return isIP(text) === 6 ? `[${text}]` : undefined;
}

/** The same URL with the scheme that was probably meant: `htp://…`. */
export function nearScheme(text: string): string | undefined {
  const [, scheme = "", rest = ""] =
    /^([a-z][a-z0-9+.-]*)(:\/\/.*)$/is.exec(withoutUserInfo(text)) ?? [];
  // ftp is as near as htp, but nobody who types it means http.
  const meant = /^h/i.test(scheme) ? nearest(scheme, ["http", "https"]) : undefined;
  return meant === undefined ? undefined : `${meant}${rest}`;
}

/** Forms that may have been meant, the likeliest first; the caller names the first one that it takes itself. */
export function likelyForms(text: string): readonly string[] {
  const typed = withoutUserInfo(text).trim();
  const unix = /^unix(?:\+tls)?:/i.exec(typed);
  if (unix !== null) return [`${unix[0].toLowerCase()}/run/app.sock`];
  if (typed.startsWith("/")) return [`unix:${typed}`, FALLBACK];
  if (isFile(typed)) return [FALLBACK];
  const word = nearest(typed.split(":", 1)[0] as string, ["hello_world", "http_status"]);
  if (word !== undefined) return [word === "http_status" ? "http_status:404" : word];
  const [, scheme = "http", rest = ""] = /^(?:(https?|wss?):\/*)?(.*)$/is.exec(typed) ?? [];
  const authority = (rest.split(/[/?#\\]/, 1)[0] as string).replace(/:$/, "");
  const digits = /^[0-9]+/.exec(authority)?.[0];
  if (digits !== undefined && /^[0-9]+[a-z]*$/i.test(authority))
    return [...(Number(digits) <= MAX_PORT ? [`${scheme}://localhost:${digits}`] : []), FALLBACK];
  const isOpen = /:(?:$|[/?#\\])/.test(rest);
  const host = bracketed(authority) ?? authority;
  const bare = host.replace(/:[^:\]]*$/, "");
  return [
    ...(isOpen ? [] : [`${scheme}://${host}`]),
    `${scheme}://${bare}:8000`,
    `${scheme}://${bare}`,
    FALLBACK,
  ];
}
