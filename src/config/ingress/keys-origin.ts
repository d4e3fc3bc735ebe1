// This file is the keys of `originRequest` and of one rule, as tables. product.md §3.2, §3.4.
import { BALANCE, HEALTH } from "./keys-hosts.ts";
import type { KeyMap, KeyRow, Shape } from "./shape.ts";
import {
  BOOLEAN,
  HONOURED,
  LATER,
  list,
  OPTIONAL_PATH,
  OPTIONAL_TEXT,
  TEXT,
  value,
} from "./shape.ts";

const HOUR = 3_600_000;
/** Timers of the runtime fire at once above 2^31 - 1 ms, which is 596 h. */
const DURATION = value("duration", { min: 0, max: 500 * HOUR });
const PORT = value("integer", { min: 1, max: 65_535 });

const NO_JWT = {
  is: "warned",
  why: "has no effect: tunl checks the policies of its own edge and not Cloudflare's tokens",
} as const;

export const ACCESS: KeyMap = {
  name: "originRequest.access",
  isStrict: true,
  rows: [
    {
      name: "required",
      shape: BOOLEAN,
      effect: LATER,
      default: "false",
      about: "Lets through only what passed an access policy of the edge",
    },
    { name: "teamName", shape: OPTIONAL_TEXT, effect: NO_JWT, about: "Known to cloudflared only" },
    { name: "audTag", shape: list(TEXT), effect: NO_JWT, about: "Known to cloudflared only" },
    {
      name: "environment",
      shape: OPTIONAL_TEXT,
      effect: NO_JWT,
      about: "Known to cloudflared only",
    },
  ],
};

export const IP_RULE: KeyMap = {
  name: "ipRules",
  isStrict: true,
  rows: [
    { name: "prefix", shape: value("cidr"), effect: HONOURED, about: "Addresses that it is for" },
    {
      name: "ports",
      shape: list(PORT),
      effect: HONOURED,
      default: "[]",
      about: "Ports that it is for; empty: all",
    },
    { name: "allow", shape: BOOLEAN, effect: HONOURED, default: "false", about: "What it says" },
  ],
};

export const ORIGIN_REQUEST: KeyMap = {
  name: "originRequest",
  isStrict: false,
  rows: [
    row("connectTimeout", DURATION, "30s", "Connecting to the service; 0s: no limit"),
    row("tlsTimeout", DURATION, "10s", "TLS handshake with it; 0s: no limit"),
    row("tcpKeepAlive", DURATION, "30s", "Interval of keep-alive probes; 0s: 15s"),
    row("noHappyEyeballs", BOOLEAN, "false", "Address families are not raced"),
    row(
      "keepAliveConnections",
      value("integer", { min: 0, max: 100_000 }),
      "100",
      "Idle connections kept, in all and for one service",
    ),
    row("keepAliveTimeout", DURATION, "90s", "How long an idle connection is kept; 0s: no limit"),
    row(
      "httpHostHeader",
      value("host-header", { canBeEmpty: true }),
      undefined,
      "Host sent to the service; the visitor's goes to X-Forwarded-Host",
    ),
    row(
      "originServerName",
      value("server-name", { canBeEmpty: true }),
      undefined,
      "Name asked for and checked in the service's certificate; the host of the service if absent",
    ),
    row("matchSNItoHost", BOOLEAN, "false", "That name is the Host of the request"),
    row("caPool", OPTIONAL_PATH, undefined, "Roots beside the system's, PEM"),
    row(
      "noTLSVerify",
      BOOLEAN,
      "false",
      "Any certificate of the service is accepted; told at the start",
    ),
    row(
      "disableChunkedEncoding",
      BOOLEAN,
      "false",
      "Never chunked: a length that is not known is learned by reading up to 1 MiB, above that 411",
    ),
    {
      ...row(
        "bastionMode",
        BOOLEAN,
        "false",
        "As service: bastion: the client names the destination",
      ),
      effect: LATER,
    },
    {
      ...row("proxyAddress", TEXT, "127.0.0.1", "Known to cloudflared, without effect there too"),
      effect: { is: "ignored", why: "cloudflared only stores it too" },
    },
    {
      ...row(
        "proxyPort",
        value("integer", { min: 0, max: 65_535 }),
        "0",
        "Known to cloudflared, without effect there too",
      ),
      effect: { is: "ignored", why: "cloudflared only stores it too" },
    },
    {
      ...row(
        "proxyType",
        value("choice", { choices: ["socks"], canBeEmpty: true }),
        undefined,
        "socks: a TCP service speaks SOCKS5 to the client",
      ),
      effect: LATER,
    },
    {
      name: "ipRules",
      shape: list({ is: "map", of: IP_RULE }),
      effect: HONOURED,
      default: "[]",
      about: "What socks-proxy and bastion may dial, in a rule; the first that matches decides",
      isDoor: true,
    },
    {
      ...row("http2Origin", BOOLEAN, "false", "HTTP/2 is offered to an https service"),
      effect: LATER,
    },
    {
      name: "access",
      shape: { is: "map", of: ACCESS },
      effect: HONOURED,
      about: "Who may pass",
      isDoor: true,
    },
  ],
};

/** One entry of `origins`. */
const ORIGIN: KeyMap = {
  name: "origins",
  isStrict: false,
  rows: [
    { name: "service", shape: TEXT, effect: HONOURED, about: "As service of a rule" },
    row("weight", value("integer", { min: 0, max: 1_000 }), "1", "Its part of the requests"),
    row("backup", BOOLEAN, "false", "Asked only while the others fail"),
  ],
};

export const RULE: KeyMap = {
  name: "a rule",
  isStrict: false,
  rows: [
    own(
      "hostname",
      'app.example.com or "*.example.com"',
      "Whose requests it takes; absent, empty or *: every host",
    ),
    own(
      "path",
      "an expression such as ^/api/",
      "RE2 expression, searched anywhere in the decoded path",
    ),
    own("service", "a service such as http://localhost:8000", "Where the requests go"),
    {
      name: "originRequest",
      shape: { is: "map", of: ORIGIN_REQUEST },
      effect: HONOURED,
      about: "Settings of this rule, key by key over those of the top level",
    },
    row(
      "allowAmbiguousPaths",
      BOOLEAN,
      "false",
      "With path: targets that two programs may read differently are not refused",
    ),
    later("origins", list({ is: "map", of: ORIGIN }), "Several services in place of service"),
    later("balance", { is: "map", of: BALANCE }, "How requests are spread over origins"),
    later("health", { is: "map", of: HEALTH }, "How origins are watched"),
    later("stripPrefix", OPTIONAL_TEXT, "Beginning of the path that the service does not see"),
    later("private", BOOLEAN, "For tunl access only"),
    later("passthrough", BOOLEAN, "TLS ends at the service"),
    later(
      "proxyProtocol",
      value("choice", { choices: ["off", "v1", "v2"] }),
      "PROXY header towards the service",
    ),
    later("h2c", BOOLEAN, "HTTP/2 without TLS to the service"),
  ],
};

function row(name: string, shape: Shape, standard: string | undefined, about: string): KeyRow {
  return {
    name,
    shape,
    effect: HONOURED,
    about,
    ...(standard !== undefined && { default: standard }),
  };
}

function own(name: string, expected: string, about: string): KeyRow {
  return { name, shape: { is: "own", expected }, effect: HONOURED, about };
}

function later(name: string, shape: Shape, about: string): KeyRow {
  return { name, shape, effect: LATER, about };
}
