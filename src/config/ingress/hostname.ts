// This file is `hostname` of a rule: whose requests it takes. product.md §3.3 item 2.
import { domainToASCII } from "node:url";
import { formatPattern, parseIp, parsePattern } from "../../address/index.ts";
import { quoted } from "./quoted.ts";

/** The canonical form, or what is wrong. */
export type HostnameReading =
  { readonly hostname: string } | { readonly message: string; readonly hint?: string };

const EXPECTED = 'expected a name such as app.example.com or "*.example.com"';

/** @returns "" for every host, a canonical name, or `*.x`. */
export function readHostname(text: string): HostnameReading {
  if (text === "" || text === "*") return { hostname: "" };
  const isWildcard = text.startsWith("*.");
  const name = isWildcard ? text.slice(2) : text;
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/:?#@]+)/i.exec(text);
  if (url !== null) {
    return { message: `Hostname ${quoted(text)} is a URL, ${EXPECTED}`, hint: `Write ${url[1]}` };
  }
  if (name.includes("*")) {
    const rest = text.slice(text.lastIndexOf("*") + 1).replace(/^[^.]*\./, "");
    const works = rest === "" ? undefined : parsePattern(`*.${rest}`);
    return {
      message: `Hostname ${quoted(text)} has a * inside, expected one only as the whole first label: "*.example.com"`,
      ...(works !== undefined && { hint: `Write "${formatPattern(works)}"` }),
    };
  }
  const port = /^(.*):(\d{0,6})$/.exec(name);
  if (port !== null && parseIp(name) === undefined) {
    const bare = canonical(port[1] as string, isWildcard);
    return {
      message: `Hostname ${quoted(text)} contains a port, ${EXPECTED}`,
      ...(bare !== undefined && { hint: `Write ${isWildcard ? `"${bare}"` : bare}` }),
    };
  }
  if (/[/?#]/.test(name)) {
    const bare = canonical(name.split(/[/?#]/, 1)[0] as string, isWildcard);
    return {
      message: `Hostname ${quoted(text)} contains a path, ${EXPECTED}`,
      ...(bare !== undefined && {
        hint: `Write ${isWildcard ? `"${bare}"` : bare}, and the rest as path: of the rule`,
      }),
    };
  }
  const hostname = canonical(name, isWildcard);
  if (hostname !== undefined) return { hostname };
  const why =
    parseIp(name) !== undefined
      ? "is an IP address, and visitors come by name"
      : name.includes("_")
        ? "has an underscore, and no visitor can come by such a name"
        : "is no hostname";
  return { message: `Hostname ${quoted(text)} ${why}, ${EXPECTED}` };
}

/** Characters outside ASCII become `xn--…`; the converter folds `%41` and full-width dots too, so ASCII is judged before it. */
function canonical(name: string, isWildcard: boolean): string | undefined {
  const isAscii = /^[\u0000-\u007f]*$/.test(name);
  const isPlain = /^[a-zA-Z0-9.\-\u0080-\u{10ffff}]+$/u.test(name);
  const ascii = isAscii ? name : isPlain ? domainToASCII(name) : "";
  const pattern = parsePattern(isWildcard ? `*.${ascii}` : ascii);
  return pattern === undefined ? undefined : formatPattern(pattern);
}
