// This file is which requests ask for another protocol, and which answers grant it. http.md §9; RFC 9110 §7.8, RFC 6455 §4; S-18, S-50.
import { createHash } from "node:crypto";
import { latin1 } from "../bytes.ts";
import { type HeaderBlock, isToken } from "../headers/index.ts";
import { type Control, UPGRADING } from "./framing.ts";
import type { Framing } from "./head.ts";

const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** 16 bytes in base64: 22 digits, the last of which carries 2 bits, and two signs of padding. RFC 6455 §4.1. */
const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** Longest name of a protocol that is asked for. */
const PROTOCOL_BYTES = 64;

/** The one protocol a valid upgrade request names, lower case; undefined when the request is an ordinary one. */
export function requestedUpgrade(
  method: string,
  version: "1.0" | "1.1",
  fields: HeaderBlock,
  control: Control,
  framing: Framing,
): string | undefined {
  if (control.upgrade < 0 || version === "1.0") return undefined;
  const hasBody = framing.kind === "length" ? framing.length > 0 : framing.kind !== "none";
  if (hasBody) return undefined;
  const protocol = upgradeProtocol(fields, control);
  // One token, of a size that any protocol has and a message holds: "TLS/1.0" and the like are nothing an origin gets here.
  if (protocol?.includes("/") || (protocol?.length ?? 0) > PROTOCOL_BYTES) return undefined;
  // HTTP inside HTTP would be a second way to speak to the origin, past every check (S-18).
  if (protocol === undefined || protocol.startsWith("h2") || protocol.startsWith("http"))
    return undefined;
  if (protocol === "websocket" && !isWebSocketRequest(method, fields)) return undefined;
  return protocol;
}

/** The one protocol `Upgrade` names, lower case, if `Connection` names `Upgrade`, too. */
export function upgradeProtocol(fields: HeaderBlock, control: Control): string | undefined {
  if (control.upgrade < 0 || (control.connection & UPGRADING) === 0) return undefined;
  const start = fields.valueStart(control.upgrade);
  const end = fields.valueEnd(control.upgrade);
  const slash = fields.bytes.indexOf(0x2f, start);
  const nameEnd = slash >= 0 && slash < end ? slash : end;
  if (!isToken(fields.bytes, start, nameEnd)) return undefined;
  if (nameEnd < end && !isToken(fields.bytes, nameEnd + 1, end)) return undefined;
  return latin1(fields.bytes, start, end).toLowerCase();
}

function isWebSocketRequest(method: string, fields: HeaderBlock): boolean {
  const key = fields.find("sec-websocket-key");
  const version = fields.find("sec-websocket-version");
  return (
    method === "GET" &&
    key >= 0 &&
    fields.find("sec-websocket-key", key + 1) < 0 &&
    WEBSOCKET_KEY.test(fields.text(key)) &&
    version >= 0 &&
    fields.find("sec-websocket-version", version + 1) < 0 &&
    fields.valueIs(version, "13")
  );
}

/** The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`. RFC 6455 §4.2.2. */
export function websocketAccept(key: string): string {
  return createHash("sha1")
    .update(key + WEBSOCKET_GUID)
    .digest("base64");
}

/** True when the fields of a 101 accept the WebSocket asked for with `key`: exactly one right `Sec-WebSocket-Accept`. */
export function acceptsWebSocket(fields: HeaderBlock, key: string): boolean {
  const index = fields.find("sec-websocket-accept");
  return (
    index >= 0 &&
    fields.find("sec-websocket-accept", index + 1) < 0 &&
    fields.text(index) === websocketAccept(key)
  );
}
