// This file is `originRequest` as a rule has it: its own keys over those of the top level, over the defaults. product.md §3.4.
import type { Span } from "../report.ts";
import type { Value } from "../values.ts";
import type { JudgedMap, Judged } from "./judge.ts";
import type { AccessOptions, IpRuleOptions, OriginRequestOptions } from "./types.ts";
import { ORIGIN_REQUEST_DEFAULTS } from "./types.ts";

/** A file that is named in another one. */
export interface NamedFile {
  readonly path: string;
  readonly span: Span;
}

/** Settings before the files they name were read. */
export interface OriginDraft {
  readonly options: OriginRequestOptions;
  readonly caFile: NamedFile | undefined;
}

export const ORIGIN_DRAFT: OriginDraft = { options: ORIGIN_REQUEST_DEFAULTS, caFile: undefined };

/** Puts the keys of one map over a base; lists and maps replace those of the base as a whole. */
export function withKeys(base: OriginDraft, found: JudgedMap): OriginDraft {
  const { options } = base;
  const value = (name: string): Value | undefined => scalarOf(found.get(name)?.value);
  const ms = (name: string, other: number): number => numberOf(value(name)) ?? other;
  const is = (name: string, other: boolean): boolean => booleanOf(value(name)) ?? other;
  const host = value("httpHostHeader");
  const serverName = value("originServerName");
  const proxyType = value("proxyType");
  const ca = found.get("caPool");
  const access = found.get("access")?.value;
  const ipRules = found.get("ipRules")?.value;
  return {
    options: {
      connectTimeoutMs: ms("connectTimeout", options.connectTimeoutMs),
      tlsTimeoutMs: ms("tlsTimeout", options.tlsTimeoutMs),
      tcpKeepAliveMs: ms("tcpKeepAlive", options.tcpKeepAliveMs),
      noHappyEyeballs: is("noHappyEyeballs", options.noHappyEyeballs),
      keepAliveConnections: ms("keepAliveConnections", options.keepAliveConnections),
      keepAliveTimeoutMs: ms("keepAliveTimeout", options.keepAliveTimeoutMs),
      hostHeader:
        typeof host !== "string"
          ? options.hostHeader
          : host === ""
            ? { kind: "keep" }
            : { kind: "value", value: host },
      // An empty text takes away what the top level says.
      originServerName:
        typeof serverName === "string" ? serverName || undefined : options.originServerName,
      matchSniToHost: is("matchSNItoHost", options.matchSniToHost),
      caPool: options.caPool,
      noTlsVerify: is("noTLSVerify", options.noTlsVerify),
      disableChunkedEncoding: is("disableChunkedEncoding", options.disableChunkedEncoding),
      bastionMode: is("bastionMode", options.bastionMode),
      proxyAddress:
        typeof value("proxyAddress") === "string"
          ? String(value("proxyAddress"))
          : options.proxyAddress,
      proxyPort: ms("proxyPort", options.proxyPort),
      proxyType:
        typeof proxyType === "string" ? (proxyType === "socks" ? "socks" : "") : options.proxyType,
      ipRules: Array.isArray(ipRules) ? ipRules.map(ipRuleOf) : options.ipRules,
      http2Origin: is("http2Origin", options.http2Origin),
      access: access instanceof Map ? accessOf(access) : options.access,
    },
    caFile:
      typeof ca?.value !== "string"
        ? base.caFile
        : ca.value === ""
          ? undefined
          : { path: ca.value, span: ca.tree.span },
  };
}

/** `prefix` is there: whoever judges refuses an entry without one. */
function ipRuleOf(judged: Judged): IpRuleOptions {
  const found: JudgedMap = judged instanceof Map ? judged : new Map();
  const ports = found.get("ports")?.value;
  return {
    prefix: String(scalarOf(found.get("prefix")?.value) ?? ""),
    ports: Array.isArray(ports) ? ports.filter((port) => typeof port === "number") : [],
    allow: booleanOf(scalarOf(found.get("allow")?.value)) ?? false,
  };
}

function accessOf(found: JudgedMap): AccessOptions {
  const tags = found.get("audTag")?.value;
  return {
    required: booleanOf(scalarOf(found.get("required")?.value)) ?? false,
    teamName: String(scalarOf(found.get("teamName")?.value) ?? ""),
    audTag: Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [],
    environment: String(scalarOf(found.get("environment")?.value) ?? ""),
  };
}

export function scalarOf(value: Judged): Value | undefined {
  const isScalar =
    typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return isScalar ? value : undefined;
}

export function numberOf(value: Value | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

export function booleanOf(value: Value | undefined): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}
