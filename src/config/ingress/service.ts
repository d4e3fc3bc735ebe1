// This file is `service` of a rule: a word of the user to what answers, in the order of product.md §3.3 items 5 and 6.
import type { PathBase } from "../values.ts";
import { nearest } from "../nearest.ts";
import { resolvePath } from "../values.ts";
import { FALLBACK, likelyForms, nearScheme, withoutUserInfo } from "./target-forms.ts";
import { hostOf, httpTarget, Unusable } from "./target.ts";
import type { ServiceOptions, StaticService, TcpService } from "./types.ts";

/** What a text is: a service, or why it is none and what to write. */
export type ServiceReading =
  | { readonly service: ServiceOptions }
  | {
      readonly code: string;
      readonly message: string;
      readonly hint?: string;
      readonly isSecret?: true;
    };

/** Where a scheme says which port is meant. */
const PORTS: Readonly<Record<string, number>> = { ssh: 22, rdp: 3_389, smb: 445, tcp: 7_864 };
const HTTP = new Set(["http", "https", "ws", "wss"]);
const MAX_PORT = 65_535;
/** C0, DEL and C1: none has a place in a service, and a terminal would act on them. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Reads one service.
 *
 * @param isBastion `bastionMode` of its rule: whatever is no other service is a bastion.
 */
export function readService(text: string, isBastion: boolean, base: PathBase): ServiceReading {
  const shown = JSON.stringify(withoutUserInfo(text).slice(0, 100));
  const unix = /^(unix|unix\+tls):(.*)$/is.exec(text);
  if (unix !== null) return unixService(unix[1] as string, unix[2] as string, base);
  const status = /^http_status:(.*)$/is.exec(text);
  if (status !== null) return statusService(status[1] as string);
  if (/^hello[_-]world$/i.test(text))
    return { service: { kind: "static", status: undefined, url: "hello_world" } };
  if (text === "socks-proxy") return { service: { kind: "socks", url: "socks-proxy" } };
  if (text === "bastion" || isBastion) return { service: { kind: "bastion", url: "bastion" } };
  if (text === "")
    return {
      code: "SERVICE_MISSING",
      message: "Service is empty, expected one such as http://localhost:8000",
    };
  const url = /^([a-z][a-z0-9+.-]*):\/\/([^/?#\\]*)(.*)$/is.exec(text);
  if (url === null) return withoutScheme(text, shown);
  const [scheme, authority, rest] = [
    (url[1] as string).toLowerCase(),
    url[2] as string,
    url[3] as string,
  ];
  const bare = `${scheme}://${withoutUserInfo(authority)}`;
  if (authority.includes("@")) {
    const message = "Service has a user name or a password, expected none";
    return {
      code: "SERVICE_INVALID",
      message,
      hint: `Write ${bare}, and let visitors log in`,
      isSecret: true,
    };
  }
  if (rest !== "" && rest !== "/") {
    const [what, why] = rest.startsWith("?")
      ? ["a query", ""]
      : rest.startsWith("#")
        ? ["a fragment", ""]
        : ["a path", ": visitors bring theirs"];
    return {
      code: "SERVICE_INVALID",
      message: `Service ${shown} has ${what}, expected none${why}`,
      hint: `Write ${bare}`,
    };
  }
  if (/^(?::\d*)?$/.test(authority)) {
    return {
      code: "SERVICE_INVALID",
      message: `Service ${shown} has no host, expected a form such as ${scheme}://localhost${authority.length > 1 ? authority : ":8000"}`,
    };
  }
  try {
    if (HTTP.has(scheme))
      return {
        service: httpTarget(scheme === "http" || scheme === "ws" ? "http" : "https", authority),
      };
    return tcpService(scheme, authority, shown);
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    const works = HTTP.has(scheme)
      ? likelyForms(text).find((form) => form !== FALLBACK && isHttpService(form))
      : undefined;
    return {
      code: "SERVICE_INVALID",
      message: `Service ${shown} cannot be used: ${error.message}`,
      ...(works !== undefined && { hint: `Write ${works}` }),
    };
  }
}

function isHttpService(form: string): boolean {
  const authority = /^(?:http|ws)s?:\/\/([^/?#@]+)$/.exec(form)?.[1];
  try {
    return authority !== undefined && httpTarget("http", authority).host !== "";
  } catch (error) {
    if (error instanceof Unusable) return false;
    throw error;
  }
}

function withoutScheme(text: string, shown: string): ServiceReading {
  const isOpaque = /^(?:https?|wss?|tcp|ssh|rdp|smb):(?!\d+$)/i.test(text);
  const message = isOpaque
    ? `Service ${shown} has no host, expected two slashes behind the scheme`
    : `Service ${shown} has no scheme, expected http://, https://, tcp://, unix: or http_status:`;
  const word = nearest(text, ["socks-proxy", "bastion"]);
  const form =
    word ??
    likelyForms(text).find(
      (each) => isHttpService(each) || /^(?:unix:\/|http_status:|hello_world)/.test(each),
    );
  return {
    code: "SERVICE_INVALID",
    message,
    ...(form !== undefined && { hint: `Write ${form}` }),
    ...(text.includes("@") && { isSecret: true }),
  };
}

function unixService(scheme: string, path: string, base: PathBase): ServiceReading {
  const isTls = scheme.length > "unix".length;
  const name = scheme.toLowerCase();
  if (path === "")
    return {
      code: "SERVICE_INVALID",
      message: `Service "${name}:" has no path, expected ${name}:/run/app.sock`,
    };
  if (CONTROL.test(path))
    return {
      code: "SERVICE_INVALID",
      message: "The path of the socket file holds a control character, expected none",
    };
  const whole = resolvePath(path, base);
  return {
    service: { kind: "unix", isTls, path: whole, authority: "localhost", url: `${name}:${whole}` },
  };
}

function statusService(digits: string): ServiceReading {
  const code = "SERVICE_INVALID";
  const expected = "expected 200 to 999 such as http_status:404";
  if (!/^\d{1,20}$/.test(digits))
    return {
      code,
      message: `Status ${JSON.stringify(digits.slice(0, 100))} is no number, ${expected}`,
    };
  const status = Number(digits);
  if (status >= 100 && status < 200)
    return { code, message: `Status ${digits} cannot end an answer, ${expected}` };
  if (status < 200 || status > 999)
    return { code, message: `Status ${digits} is out of range, ${expected}` };
  const service: StaticService = { kind: "static", status, url: `http_status:${status}` };
  return { service };
}

/** @throws Unusable for a host that is none. */
function tcpService(scheme: string, authority: string, shown: string): ServiceReading {
  const parts = /^(\[[^\]]*\]|[^:]*)(?::([0-9]{0,6}))?$/s.exec(authority);
  if (parts === null)
    throw new Unusable("the port is not a number, or an IPv6 address lacks its brackets");
  const host = hostOf(parts[1] as string);
  const inUrl = host.includes(":") ? `[${host}]` : host;
  const port = parts[2] === undefined || parts[2] === "" ? PORTS[scheme] : Number(parts[2]);
  if (port === undefined) {
    const meant = nearScheme(`${scheme}://${inUrl}`);
    return {
      code: "SERVICE_INVALID",
      message: `Service ${shown} has no port, and ${scheme} has none of its own: expected ${scheme}://${inUrl}:PORT`,
      ...(meant !== undefined && { hint: `If HTTP was meant, write ${meant}` }),
    };
  }
  if (!(port >= 1 && port <= MAX_PORT))
    throw new Unusable(`port "${parts[2]}" is outside 1..65535`);
  const service: TcpService = {
    kind: "tcp",
    scheme,
    host,
    port,
    url: `${scheme}://${inUrl}:${port}`,
  };
  return { service };
}

/** What a service of a later version is called; undefined for those of this one. */
export function laterService(service: ServiceOptions): string | undefined {
  switch (service.kind) {
    case "http":
    case "unix":
    case "static":
      return undefined;
    case "tcp":
      return `Service ${JSON.stringify(service.url)}, a TCP service,`;
    case "bastion":
    case "socks":
      return `Service ${JSON.stringify(service.url)}`;
    default:
      service satisfies never;
      return undefined;
  }
}
