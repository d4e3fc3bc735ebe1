// This file is TARGET: a word of the user to where the connector dials. product.md §2.2.
import { isIP } from "node:net";
import { domainToASCII } from "node:url";

import { TunlError } from "../../errors.ts";
import { bracketed, isFile, likelyForms, nearScheme, withoutUserInfo } from "./target-forms.ts";
import type { HttpService, StaticService, UnixService } from "./types.ts";

export type Target = HttpService | UnixService | StaticService;

/** What a socket file is called towards the service: it has no name of its own. */
const UNIX_AUTHORITY = "localhost";

/** Services of later phases: known words, refused with a reason of their own. */
const LATER = /^(?:socks-proxy|bastion|(?:tcp|ssh|rdp|smb|udp|socks|socks5):\/\/.*)$/i;

/** Forms for what is no HTTP service, in the hint of its refusal. */
const SERVED_FORMS = "Give a port, host:port, http://…, https://… or unix:/path";

/** Why a text is no target; gets its hint where the whole text is known. */
export class Unusable extends Error {}

/**
 * Parses a TARGET: `8000`, `host:port`, `http://…`, `https://…`, `ws://…`, `wss://…`, `unix:/path`, `unix+tls:/path`,
 * `http_status:N`, `hello_world`.
 *
 * @throws TunlError `TARGET_INVALID`, with a form that works as hint; `TARGET_UNSUPPORTED` for a service that this
 *   build does not serve. Neither quotes a user name or a password.
 */
export function parseTarget(text: string): Target {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    const works = likelyForms(text).find(isTarget);
    throw new TunlError(
      "TARGET_INVALID",
      `Cannot use "${withoutUserInfo(text)}" as target: ${error.message}`,
      works === undefined ? {} : { hint: `A form that works: ${works}` },
    );
  }
}

function isTarget(text: string): boolean {
  try {
    parse(text);
    return true;
  } catch (error) {
    if (error instanceof Unusable || error instanceof TunlError) return false;
    throw error;
  }
}

function parse(text: string): Target {
  const unix = /^(unix|unix\+tls):(.*)$/is.exec(text);
  if (unix !== null) return unixTarget(unix[1] as string, unix[2] as string);
  const status = /^http_status(?::(.*))?$/is.exec(text);
  if (status !== null) return statusTarget(status[1]);
  if (/^hello[_-]world$/i.test(text))
    return { kind: "static", status: undefined, url: "hello_world" };
  if (isFile(text)) throw new Unusable("a path is no service, and a socket file is unix:/path");
  const port = /^([0-9]+)\/?$/.exec(text);
  if (port !== null) return httpTarget("http", `localhost:${port[1]}`);
  if (LATER.test(text)) throw unsupported(text, "this version serves HTTP services");
  const url = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text);
  if (url === null) return bareTarget(text);
  const scheme = (url[1] as string).toLowerCase();
  if (!["http", "https", "ws", "wss"].includes(scheme))
    throw unsupported(text, `scheme "${scheme}" is not HTTP`, nearScheme(text));
  return httpTarget(scheme === "http" || scheme === "ws" ? "http" : "https", url[2] as string);
}

/** `host:port`, the only form without a scheme in which a name may stand. */
function bareTarget(text: string): HttpService {
  if (/^(?:https?|wss?):/i.test(text) && !text.includes("@"))
    throw new Unusable("two slashes have to follow the scheme");
  if (!/:[0-9]*(?:[/?#].*)?$/s.test(text) && !text.includes("@"))
    throw new Unusable("expected a port, host:port or a URL");
  return httpTarget("http", text);
}

export function httpTarget(scheme: "http" | "https", rest: string): HttpService {
  const authority = rest.endsWith("/") ? rest.slice(0, -1) : rest;
  if (authority.includes("@")) throw new Unusable("user name and password do not belong here");
  if (/[?#]/.test(authority)) throw new Unusable("a service has no query and no fragment");
  if (authority.includes("/")) throw new Unusable("a service has no path, visitors bring theirs");
  if (bracketed(authority) !== undefined) throw new Unusable("an IPv6 address stands in brackets");
  const parts = /^(\[[^\]]*\]|[^:]*)(?::([0-9]{0,6}))?$/s.exec(authority);
  if (parts === null)
    throw new Unusable("the port is not a number, or an IPv6 address lacks its brackets");
  const host = hostOf(parts[1] as string);
  const own = scheme === "http" ? 80 : 443;
  if (parts[2] === "") throw new Unusable("the port behind the colon is missing");
  const port = parts[2] === undefined ? own : Number(parts[2]);
  if (!(port >= 1 && port <= 65_535)) throw new Unusable(`port "${parts[2]}" is outside 1..65535`);
  const shown = host.includes(":") ? `[${host}]` : host;
  return {
    kind: "http",
    isTls: scheme === "https",
    host,
    port,
    authority: port === own ? shown : `${shown}:${port}`,
    url: port === own ? `${scheme}://${shown}` : `${scheme}://${shown}:${port}`,
  };
}

export function hostOf(host: string): string {
  if (host === "") throw new Unusable("the host is missing");
  if (host.startsWith("[")) {
    const address = host.slice(1, -1).toLowerCase();
    if (isIP(address) !== 6 || address.includes("%")) {
      throw new Unusable(`"${host}" is not an IPv6 address`);
    }
    return address;
  }
  if (/^[0-9.]+$/.test(host) && isIP(host) !== 4) {
    // "10.1" and "010.1.2.3" mean different addresses to different parsers (dependencies.md §0 trap 4).
    throw new Unusable(`"${host}" is not an IPv4 address`);
  }
  // ASCII is checked before conversion: the converter of URLs drops tabs and line ends instead of refusing them.
  const plain = /^[a-zA-Z0-9_.\-\u0080-\u{10ffff}]+$/u.test(host);
  const ascii = plain ? domainToASCII(host) : "";
  if (
    ascii.length > 253 ||
    !/^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?$/.test(ascii) ||
    ascii.includes("..")
  ) {
    throw new Unusable(`"${host}" is not a host name`);
  }
  return ascii;
}

function unixTarget(scheme: string, path: string): UnixService {
  if (path === "") throw new Unusable("the path of the socket file is missing");
  // A connector that a service manager starts has another working directory than the shell it was tried in.
  if (!path.startsWith("/")) throw new Unusable(`"${path}" is relative, expected an absolute path`);
  if (path.includes("\0")) throw new Unusable("the path of the socket file holds a NUL");
  const isTls = scheme.length > "unix".length;
  return {
    kind: "unix",
    isTls,
    path,
    authority: UNIX_AUTHORITY,
    url: `${isTls ? "unix+tls" : "unix"}:${path}`,
  };
}

function statusTarget(digits: string | undefined): StaticService {
  if (digits === undefined) throw new Unusable("the status behind a colon is missing");
  const status = /^[0-9]{3}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(status >= 200 && status <= 999))
    throw new Unusable(`status "${digits}" is outside 200..999`);
  return { kind: "static", status, url: `http_status:${status}` };
}

function unsupported(text: string, reason: string, meant?: string): TunlError {
  const works = meant !== undefined && isTarget(meant) ? meant : undefined;
  return new TunlError("TARGET_UNSUPPORTED", `Cannot serve "${withoutUserInfo(text)}": ${reason}`, {
    hint: works === undefined ? SERVED_FORMS : `A form that works: ${works}`,
  });
}
