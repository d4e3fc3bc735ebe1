// This file is bytes to request head. http.md §3.1; RFC 9112 §3; S-02, S-06, S-07, S-20, S-36.
import { latin1 } from "../bytes.ts";
import {
  CLASS,
  CR,
  equalsFolded,
  FieldParser,
  type HeaderBlock,
  LF,
  PATH_CHECK,
  type SectionLimits,
  SP,
  TARGET,
  TOKEN,
} from "../headers/index.ts";
import { Http1Error } from "./faults.ts";
import { findControl, isPersistent, readContentLength, refuse, requestFraming } from "./framing.ts";
import type { RequestHead } from "./head.ts";
import { type HeadParser, lineFault, matchVersion, readVersion } from "./head-parser.ts";
import { type Http1Limits, MAX_METHOD_BYTES } from "./limits.ts";
import { hasBadPath, namesHost, targetForm } from "./target.ts";
import { requestedUpgrade } from "./upgrade.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"].map((name) => ({
  name,
  folded: name.toLowerCase(),
}));
const REFUSED_METHODS = ["connect", "trace", "track"];

type RequestPhase =
  | "emptyLine"
  | "emptyLineFeed"
  | "method"
  | "target"
  | "version"
  | "lineEnd"
  | "lineFeed"
  | "fields";

/** Parses request heads. */
export class RequestHeadParser implements HeadParser<RequestHead> {
  readonly #limits: Http1Limits;
  readonly #section: SectionLimits;
  readonly #fields = new FieldParser();
  #phase: RequestPhase = "emptyLine";
  #position = 0;
  #lineStart = 0;
  #method = "";
  #targetStart = 0;
  #targetEnd = 0;
  #classes = 0;
  #versionStart = 0;
  #version: "1.0" | "1.1" = "1.1";

  constructor(limits: Http1Limits) {
    this.#limits = limits;
    this.#section = { bytes: limits.headerBytes, fields: limits.headerFields };
  }

  get position(): number {
    return this.#position;
  }

  get hasBegun(): boolean {
    return (
      this.#phase !== "emptyLine" &&
      this.#phase !== "emptyLineFeed" &&
      this.#position > this.#lineStart
    );
  }

  start(): void {
    this.#phase = "emptyLine";
    this.#position = 0;
  }

  parse(bytes: Uint8Array, end: number): boolean {
    if (this.#phase !== "fields" && !this.#parseLine(bytes, end)) return false;
    const step = this.#fields.parse(bytes, end);
    this.#position = this.#fields.position;
    if (step === "fault") throw new Http1Error(this.#fields.fault, this.#position);
    return step === "end";
  }

  #parseLine(bytes: Uint8Array, end: number): boolean {
    const limit = this.#limits.headerBytes;
    const stop = end < limit ? end : limit;
    let at = this.#position;
    while (at < stop) {
      switch (this.#phase) {
        case "emptyLine":
          this.#lineStart = at;
          if (bytes[at] === CR) {
            at++;
            this.#phase = "emptyLineFeed";
          } else this.#phase = "method";
          break;
        case "emptyLineFeed":
          if (bytes[at] !== LF) throw new Http1Error("BARE_CARRIAGE_RETURN", at - 1);
          this.#lineStart = ++at;
          this.#phase = "method";
          break;
        case "method": {
          const methodStop = Math.min(stop, this.#lineStart + MAX_METHOD_BYTES + 1);
          while (at < methodStop && (CLASS[bytes[at]!]! & TOKEN) !== 0) at++;
          if (at - this.#lineStart > MAX_METHOD_BYTES) throw new Http1Error("BAD_METHOD", at - 1);
          if (at === stop) break;
          if (bytes[at] !== SP || at === this.#lineStart)
            throw new Http1Error(lineFault(bytes[at]!, "BAD_METHOD"), at);
          this.#method = readMethod(bytes, this.#lineStart, at);
          this.#targetStart = ++at;
          this.#classes = 0;
          this.#phase = "target";
          break;
        }
        case "target": {
          const targetStop = Math.min(stop, this.#targetStart + this.#limits.targetBytes + 1);
          let classes = this.#classes;
          let found = TARGET;
          while (at < targetStop && ((found = CLASS[bytes[at]!]!) & TARGET) !== 0) {
            classes |= found;
            at++;
          }
          this.#classes = classes;
          if (at - this.#targetStart > this.#limits.targetBytes)
            throw new Http1Error("TARGET_TOO_LONG", at - 1);
          if (at === stop) break;
          // A line end here is HTTP/0.9, which has no version at all.
          if (bytes[at] === CR) throw new Http1Error("BAD_VERSION", at);
          if (bytes[at] !== SP) throw new Http1Error(lineFault(bytes[at]!, "BAD_TARGET"), at);
          this.#targetEnd = at++;
          this.#checkTarget(bytes);
          this.#versionStart = at;
          this.#phase = "version";
          break;
        }
        case "version": {
          const matched = matchVersion(bytes, this.#versionStart, at, stop);
          at = this.#versionStart + matched;
          if (matched === 8) this.#phase = "lineEnd";
          else if (at < stop) throw new Http1Error(lineFault(bytes[at]!, "BAD_VERSION"), at);
          break;
        }
        case "lineEnd":
          if (bytes[at] !== CR) throw new Http1Error(lineFault(bytes[at]!, "BAD_VERSION"), at);
          at++;
          this.#phase = "lineFeed";
          break;
        case "lineFeed":
          if (bytes[at] !== LF) throw new Http1Error("BARE_CARRIAGE_RETURN", at - 1);
          this.#version = readVersion(bytes, this.#versionStart);
          this.#position = ++at;
          this.#fields.start(at, this.#section, limit - at);
          this.#phase = "fields";
          return true;
        case "fields":
          return true;
      }
    }
    this.#position = at;
    if (at === limit) throw new Http1Error("SECTION_TOO_LARGE", at);
    return false;
  }

  #checkTarget(bytes: Uint8Array): void {
    const start = this.#targetStart;
    const end = this.#targetEnd;
    const form = targetForm(bytes, start, end);
    const isBad =
      form === "invalid" ||
      (form === "asterisk" && this.#method !== "OPTIONS") ||
      ((this.#classes & PATH_CHECK) !== 0 && hasBadPath(bytes, start, end));
    if (isBad) throw new Http1Error("BAD_TARGET", start);
  }

  head(bytes: Uint8Array): RequestHead {
    const fields = this.#fields.block(bytes, this.#position - 2);
    const control = findControl(fields);
    const version = this.#version;
    const method = this.#method;
    if (control.host < 0) throw new Http1Error("MISSING_HOST", this.#position);
    this.#checkHost(bytes, fields, control.host);
    const contentLength = readContentLength(fields, control.contentLength);
    const framing = requestFraming(fields, control, version, contentLength);
    if (control.expect >= 0 && !fields.valueIs(control.expect, "100-continue")) {
      refuse("EXPECTATION_REFUSED", fields, control.expect);
    }
    return {
      version,
      fields,
      framing,
      contentLength,
      persistent: isPersistent(version, control.connection),
      method,
      target: bytes.subarray(this.#targetStart, this.#targetEnd),
      // 1.0 does not know interim responses, and without a body there is nothing to wait for (RFC 9110 §10.1.1).
      expectContinue:
        control.expect >= 0 &&
        version === "1.1" &&
        (framing.kind === "chunked" || contentLength > 0),
      upgrade:
        control.upgrade === -1
          ? undefined
          : requestedUpgrade(method, version, fields, control, framing),
    };
  }

  #checkHost(bytes: Uint8Array, fields: HeaderBlock, host: number): void {
    if (bytes[this.#targetStart] === 0x2f) return;
    if (targetForm(bytes, this.#targetStart, this.#targetEnd) !== "absolute") return;
    const isSame = namesHost(
      bytes,
      this.#targetStart,
      this.#targetEnd,
      fields.valueStart(host),
      fields.valueEnd(host),
    );
    if (!isSame) refuse("HOST_MISMATCH", fields, host);
  }
}

function readMethod(bytes: Uint8Array, start: number, end: number): string {
  for (const method of METHODS) {
    if (method.name.length === end - start && isExactly(bytes, start, method.name))
      return method.name;
  }
  // Case is part of a method, but somebody behind us may fold it.
  for (const refused of REFUSED_METHODS) {
    if (equalsFolded(bytes, start, end, refused)) throw new Http1Error("METHOD_REFUSED", start);
  }
  return latin1(bytes, start, end);
}

function isExactly(bytes: Uint8Array, start: number, text: string): boolean {
  for (let at = 0; at < text.length; at++)
    if (bytes[start + at] !== text.charCodeAt(at)) return false;
  return true;
}
