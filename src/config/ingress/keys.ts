// This file is THE table of top-level keys of `config.yml`: cloudflared's by its documentation and source, and ours. product.md §3.2.
import { HOSTS, PORTS } from "./keys-hosts.ts";
import { ACCESS, IP_RULE, ORIGIN_REQUEST, RULE } from "./keys-origin.ts";
import type { Effect, KeyMap, KeyRow, Shape } from "./shape.ts";
import { BOOLEAN, HONOURED, LATER, list, OPTIONAL_TEXT, PATH, TEXT, value } from "./shape.ts";

/** Keys that say what cloudflared says with them. */
const SHARED: readonly KeyRow[] = [
  row("tunnel", TEXT, "Name or UUID of the tunnel to run"),
  row("credentials-file", PATH, "Key file of the tunnel, made by tunl"),
  {
    ...row("credentials-contents", value("json"), "The same as JSON text; wins over the file"),
    isSecret: true,
  },
  row("token-file", PATH, "File with a static token; wins over credentials"),
  {
    ...row("token", TEXT, "Static token"),
    effect: {
      is: "warned",
      why: "is a secret in a configuration file",
      hint: "Write it into a file of its own, mode 0600, and name that with token-file",
    },
    isSecret: true,
  },
  row("ingress", { is: "own", expected: "a list of rules" }, "The rules, tried from the top"),
  row(
    "originRequest",
    { is: "map", of: ORIGIN_REQUEST },
    "Settings for every rule, which a rule's own replace key by key",
  ),
  {
    ...row(
      "grace-period",
      value("duration", { min: 0, max: 3_600_000 }),
      "How long requests in progress may take at the end; as --grace",
    ),
    default: "30s",
  },
  {
    ...row(
      "loglevel",
      value("choice", { choices: ["trace", "debug", "info", "warn", "error", "fatal", "panic"] }),
      "As --log-level; fatal and panic are error",
    ),
    default: "info",
  },
  row("logfile", PATH, "As --log-file"),
  row("log-directory", PATH, "Directory of the log file tunl.log"),
  {
    ...row(
      "output",
      value("choice", { choices: ["default", "json"] }),
      "json: as --log-format json",
    ),
    default: "default",
  },
  {
    ...row("metrics", value("address", { canBeOff: true }), "Prometheus"),
    effect: LATER,
    default: "off",
  },
  row("pidfile", PATH, "Written after the first link"),
  row("label", OPTIONAL_TEXT, "Name of this connector"),
  row("tag", list(value("tag"), true), "KEY=VALUE: request header X-Tunl-Tag-KEY for the service"),
  {
    ...row(
      "edge-ip-version",
      value("choice", { choices: ["auto", "4", "6"] }),
      "Address family towards the edge",
    ),
    default: "auto",
  },
  {
    ...row(
      "edge-bind-address",
      value("ip", { canBeEmpty: true }),
      "Source address towards the edge",
    ),
    effect: LATER,
  },
  { ...row("ha-connections", value("integer", { min: 1, max: 8 }), "Most links"), default: "4" },
];

/** One-service form: services. */
const SERVICES: readonly KeyRow[] = [
  row("url", TEXT, "The one service; as service of a rule, or host:port"),
  row("unix-socket", PATH, "The one service on a socket file"),
  row("hello-world", BOOLEAN, "The one service is the built-in page"),
  row("bastion", BOOLEAN, "The one service is bastion"),
  {
    ...row("socks5", BOOLEAN, "The one service speaks SOCKS5; as proxyType: socks"),
    effect: LATER,
  },
];

/** One-service form: its settings, by the names they have in `originRequest`. */
export const TWINS: Readonly<Record<string, string>> = {
  "proxy-connect-timeout": "connectTimeout",
  "proxy-tls-timeout": "tlsTimeout",
  "proxy-tcp-keepalive": "tcpKeepAlive",
  "proxy-no-happy-eyeballs": "noHappyEyeballs",
  "proxy-keepalive-connections": "keepAliveConnections",
  "proxy-keepalive-timeout": "keepAliveTimeout",
  "http-host-header": "httpHostHeader",
  "origin-server-name": "originServerName",
  "match-sni-to-host": "matchSNItoHost",
  "origin-ca-pool": "caPool",
  "no-tls-verify": "noTLSVerify",
  "no-chunked-encoding": "disableChunkedEncoding",
  "http2-origin": "http2Origin",
  "proxy-address": "proxyAddress",
  "proxy-port": "proxyPort",
};

const TWIN_ROWS: readonly KeyRow[] = Object.entries(TWINS).map(([name, twin]) => {
  const {
    shape,
    effect,
    default: standard,
  } = ORIGIN_REQUEST.rows.find((each) => each.name === twin) as KeyRow;
  return {
    name,
    shape,
    effect,
    about: `As originRequest.${twin}`,
    ...(standard !== undefined && { default: standard }),
  };
});

/** Names of the one-service form. */
export const ONE_SERVICE: ReadonlySet<string> = new Set([
  ...SERVICES.map(({ name }) => name),
  ...Object.keys(TWINS),
]);

/** Anything may stand behind a key that nothing is done with. */
const ANYTHING: Shape = { is: "own", expected: "a value" };

const IGNORED: readonly KeyRow[] = [
  ...silent(
    "links are TCP with TLS 1.3 to the edge that the credentials name",
    "protocol region retries max-edge-addr-retries heartbeat-interval heartbeat-count rpc-timeout write-stream-timeout dial-edge-timeout use-reconnect-token cacert no-prechecks compression-quality quic-disable-pmtu-discovery quic-connection-level-flow-control-limit quic-stream-level-flow-control-limit",
  ),
  ...silent(
    "links use a hybrid post-quantum key exchange whenever both ends offer it",
    "post-quantum",
  ),
  ...silent("tunl never updates itself unasked", "autoupdate-freq no-autoupdate is-autoupdated"),
  ...silent(
    "it belongs to Cloudflare's account, API or management",
    "origincert api-url api-email id features management-hostname management-diagnostics service-op-ip quick-service max-fetch-size",
  ),
  ...silent("it belongs to Cloudflare's account", "api-key api-ca-key").map((each) => ({
    ...each,
    isSecret: true,
  })),
  ...silent("one log has everything", "transport-loglevel proto-loglevel trace-output"),
  ...silent(
    "cloudflared does nothing with it either",
    "proxy-connection-timeout proxy-expect-continue-timeout ui",
  ),
  ...silent("counters are always up to date", "metrics-update-freq"),
  ...silent("tunl status and the signals are the way", "stdin-control"),
];

const WARNED: readonly KeyRow[] = [
  ...warned(
    "has no effect: tunl routes no private networks",
    "warp-routing icmpv4-src icmpv6-src max-active-flows dns-resolver-addrs",
  ),
  ...warned(
    "has no effect: names are routed by tunl route dns, or by the rules",
    "hostname name lb-pool",
  ),
  ...warned(
    "has no effect: tunl serves no DNS",
    "proxy-dns proxy-dns-port proxy-dns-address proxy-dns-upstream proxy-dns-bootstrap proxy-dns-max-upstream-conns resolver",
  ),
  ...warned(
    "has no effect: tunl is no SSH server, a rule leads to yours",
    "ssh-server local-ssh-port ssh-idle-timeout ssh-max-timeout host-key-path bucket-name region-name s3-url-host",
  ),
  ...warned(
    "has no effect: tunl is no SSH server, a rule leads to yours",
    "secret-id access-key-id session-token",
  ).map((each) => ({ ...each, isSecret: true })),
  ...warned(
    "has no effect: it belongs to cloudflared's service mode",
    "forwarders tunnels logDirectory logLevel",
  ),
];

/** Keys that cloudflared does not have. */
const OWN: readonly KeyRow[] = [
  row(
    "edge",
    { is: "either", of: [value("peer"), list(value("peer"))] },
    "Which edge; the one of the credentials if absent",
  ),
  row(
    "fingerprint",
    value("fingerprint", { canBeEmpty: true }),
    "Key that the edge must show; the one of the credentials if absent",
  ),
  {
    ...row("links", value("integer", { min: 1, max: 8, canBeAuto: true }), "How many links"),
    default: "auto",
  },
  { ...row("ha", BOOLEAN, "Always two links"), effect: LATER, default: "false" },
  {
    ...row("proxy", value("url", { canBeEmpty: true }), "Proxy towards the edge"),
    effect: LATER,
    isSecret: true,
  },
  {
    ...row(
      "accessLog",
      value("choice", { choices: ["auto", "on", "off"] }),
      "A line for each request; auto is on at a terminal",
    ),
    default: "auto",
  },
  {
    ...row(
      "kernelTuning",
      value("choice", { choices: ["on", "off"] }),
      "Links ask the kernel for bbr and a short unsent queue",
    ),
    default: "on",
  },
  {
    ...row("inspect", value("address", { canBeOff: true }), "Request inspector"),
    effect: LATER,
    default: "off",
  },
  { ...row("hosts", HOSTS, "Settings of public names"), effect: LATER, isDoor: true },
  { ...row("ports", PORTS, "Public ports on the edge"), effect: LATER },
];

export const TOP: KeyMap = {
  name: "",
  isStrict: false,
  rows: [...SHARED, ...SERVICES, ...TWIN_ROWS, ...OWN, ...IGNORED, ...WARNED],
};

/** Tables of docs/CONFIG.md. */
export const KEY_TABLES = {
  shared: SHARED,
  services: [...SERVICES, ...TWIN_ROWS],
  own: OWN,
  ignored: IGNORED,
  warned: WARNED,
} as const;

/** Every map in which a key may belong, and how it is called where a key stands in the wrong one. */
export const PLACES: readonly { readonly map: KeyMap; readonly where: string }[] = [
  { map: TOP, where: "at the top level" },
  { map: RULE, where: "in a rule of ingress" },
  { map: ORIGIN_REQUEST, where: "in originRequest" },
  { map: ACCESS, where: "in originRequest.access" },
  { map: IP_RULE, where: "in an entry of originRequest.ipRules" },
];

function row(name: string, shape: Shape, about: string): KeyRow {
  return { name, shape, effect: HONOURED, about };
}

function silent(why: string, names: string): KeyRow[] {
  return others({ is: "ignored", why }, names, `No effect: ${why}`);
}

function warned(why: string, names: string): KeyRow[] {
  return others({ is: "warned", why }, names, why);
}

function others(effect: Effect, names: string, about: string): KeyRow[] {
  return names.split(" ").map((name) => ({ name, shape: ANYTHING, effect, about }));
}
