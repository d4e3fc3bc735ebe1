// This file is TARGET and `service` of an ingress rule: words of the user to where the connector dials (product.md §2.2, §3.3).
import { isIP } from "node:net";
import { domainToASCII } from "node:url";

import { TunlError } from "../errors.ts";

/** An HTTP service on TCP. */
export interface HttpTarget {
  readonly kind: "http";
  readonly isTls: boolean;
  /** Lower case, ASCII; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** As Host of a request: the port only where it is not the scheme's own. */
  readonly authority: string;
  /** Full form, the identity of the target: "http://localhost:8000". */
  readonly url: string;
}

/** An HTTP service on a socket file. */
export interface UnixTarget {
  readonly kind: "unix";
  readonly isTls: boolean;
  readonly path: string;
  readonly authority: string;
  /** "unix:/run/app.sock" or "unix+tls:/run/app.sock". */
  readonly url: string;
}

/** A service the connector answers for itself. */
export interface StaticTarget {
  readonly kind: "static";
  /** Status of an empty answer; `undefined` is the built-in page. */
  readonly status: number | undefined;
  /** "http_status:404" or "hello_world". */
  readonly url: string;
}

export type Target = HttpTarget | UnixTarget | StaticTarget;

/** What a socket file is called towards the service: it has no name of its own. */
const UNIX_AUTHORITY = "localhost";

/** Services of later phases: known words, refused with a reason of their own. */
const LATER = /^(?:socks-proxy|bastion|(?:tcp|ssh|rdp|smb|udp|socks|socks5):\/\/.*)$/i;

/**
 * Parses a TARGET: `8000`, `host:port`, `http://…`, `https://…`, `ws://…`, `wss://…`, `unix:/path`, `unix+tls:/path`,
 * `http_status:N`, `hello_world`.
 *
 * @throws TunlError `TARGET_INVALID`, with a form that works as hint; `TARGET_UNSUPPORTED` for a service that this
 *   build does not serve.
 */
export function parseTarget(text: string): Target {
  const unix = /^(unix|unix\+tls):(.*)$/is.exec(text);
  if (unix !== null) return unixTarget(text, unix[1] as string, unix[2] as string);
  const status = /^http_status:(.*)$/is.exec(text);
  if (status !== null) return statusTarget(text, status[1] as string);
  if (/^hello[_-]world$/i.test(text))
    return { kind: "static", status: undefined, url: "hello_world" };
  if (/^[0-9]+$/.test(text)) return httpTarget(text, "http", `localhost:${text}`);
  if (LATER.test(text)) {
    throw new TunlError(
      "TARGET_UNSUPPORTED",
      `Cannot serve "${text}": this version serves HTTP services`,
      {
        hint: "Give a port, host:port, http://…, https://… or unix:/path",
      },
    );
  }
  const url = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text);
  if (url === null) {
    if (!/:[0-9]+$/.test(text)) {
      throw invalid(
        text,
        "expected a port, host:port or a URL",
        `http://${text || "localhost:8000"}`,
      );
    }
    return httpTarget(text, "http", text);
  }
  const scheme = (url[1] as string).toLowerCase();
  if (!["http", "https", "ws", "wss"].includes(scheme)) {
    throw new TunlError(
      "TARGET_UNSUPPORTED",
      `Cannot serve "${text}": scheme "${scheme}" is not HTTP`,
      {
        hint: "Give a port, host:port, http://…, https://… or unix:/path",
      },
    );
  }
  return httpTarget(
    text,
    scheme === "http" || scheme === "ws" ? "http" : "https",
    url[2] as string,
  );
}

function httpTarget(text: string, scheme: "http" | "https", rest: string): HttpTarget {
  const authority = rest.endsWith("/") ? rest.slice(0, -1) : rest;
  if (authority.includes("@")) throw invalid(text, "user name and password do not belong here");
  if (/[?#]/.test(authority)) throw invalid(text, "a service has no query and no fragment");
  if (authority.includes("/")) {
    const bare = authority.slice(0, authority.indexOf("/"));
    throw invalid(text, "a service has no path, visitors bring theirs", `${scheme}://${bare}`);
  }
  const parts = /^(\[[^\]]*\]|[^:]*)(?::([0-9]{0,6}))?$/s.exec(authority);
  if (parts === null)
    throw invalid(text, "the port is not a number, or an IPv6 address lacks its brackets");
  const host = hostOf(text, parts[1] as string);
  const own = scheme === "http" ? 80 : 443;
  const port = parts[2] === undefined ? own : Number(parts[2] || Number.NaN);
  if (!(port >= 1 && port <= 65_535)) {
    throw invalid(text, `port "${parts[2] ?? ""}" is outside 1..65535`);
  }
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

function hostOf(text: string, host: string): string {
  if (host === "") throw invalid(text, "the host is missing", "http://localhost:8000");
  if (host.startsWith("[")) {
    const address = host.slice(1, -1).toLowerCase();
    if (isIP(address) !== 6 || address.includes("%")) {
      throw invalid(text, `"${host}" is not an IPv6 address`);
    }
    return address;
  }
  if (/^[0-9.]+$/.test(host) && isIP(host) !== 4) {
    // "10.1" and "010.1.2.3" mean different addresses to different parsers (dependencies.md §0 trap 4).
    throw invalid(text, `"${host}" is not an IPv4 address`);
  }
  // ASCII is checked before conversion: the converter of URLs drops tabs and line ends instead of refusing them.
  const plain = /^[a-zA-Z0-9_.\-\u0080-\u{10ffff}]+$/u.test(host);
  const ascii = plain ? domainToASCII(host) : "";
  if (
    ascii.length > 253 ||
    !/^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?$/.test(ascii) ||
    ascii.includes("..")
  ) {
    throw invalid(text, `"${host}" is not a host name`);
  }
  return ascii;
}

function unixTarget(text: string, scheme: string, path: string): UnixTarget {
  if (path === "")
    throw invalid(text, "the path of the socket file is missing", "unix:/run/app.sock");
  if (path.includes("\0")) throw invalid(text, "the path of the socket file holds a NUL");
  const isTls = scheme.length > "unix".length;
  return {
    kind: "unix",
    isTls,
    path,
    authority: UNIX_AUTHORITY,
    url: `${isTls ? "unix+tls" : "unix"}:${path}`,
  };
}

function statusTarget(text: string, digits: string): StaticTarget {
  const status = /^[0-9]{3}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(status >= 200 && status <= 999)) {
    throw invalid(text, `status "${digits}" is outside 200..999`, "http_status:404");
  }
  return { kind: "static", status, url: `http_status:${status}` };
}

function invalid(text: string, reason: string, works?: string): TunlError {
  return new TunlError(
    "TARGET_INVALID",
    `Cannot use "${text}" as target: ${reason}`,
    works === undefined ? {} : { hint: `A form that works: ${works}` },
  );
}
