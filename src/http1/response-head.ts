// This file is bytes to response head. http.md §3.1; RFC 9112 §4; S-08.
import { CLASS, CR, FieldParser, LF, type SectionLimits, SP, VALUE } from "../headers/index.ts";
import { Http1Error } from "./faults.ts";
import { findControl, isPersistent, readContentLength, responseFraming } from "./framing.ts";
import type { ResponseHead } from "./head.ts";
import { type HeadParser, lineFault, matchVersion, readVersion, ZERO } from "./head-parser.ts";
import type { Http1Limits } from "./limits.ts";

type ResponsePhase =
  "version" | "space" | "status" | "reasonSpace" | "reason" | "lineFeed" | "fields";

/** Parses response heads; `method` is that of the request they answer. */
export class ResponseHeadParser implements HeadParser<ResponseHead> {
  method = "GET";
  readonly #limits: Http1Limits;
  readonly #section: SectionLimits;
  readonly #fields = new FieldParser();
  #phase: ResponsePhase = "version";
  #position = 0;
  #version: "1.0" | "1.1" = "1.1";
  #status = 0;
  #reasonStart = 0;
  #reasonEnd = 0;

  constructor(limits: Http1Limits) {
    this.#limits = limits;
    this.#section = { bytes: limits.headerBytes, fields: limits.headerFields };
  }

  get position(): number {
    return this.#position;
  }

  get hasBegun(): boolean {
    return this.#position > 0;
  }

  start(): void {
    this.#phase = "version";
    this.#position = 0;
    this.#status = 0;
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
        case "version":
          at = matchVersion(bytes, 0, at, stop);
          if (at === 8) this.#phase = "space";
          else if (at < stop) throw new Http1Error("BAD_VERSION", at);
          break;
        case "space":
          if (bytes[at] !== SP) throw new Http1Error("BAD_VERSION", at);
          this.#version = readVersion(bytes, 0);
          at++;
          this.#phase = "status";
          break;
        case "status": {
          // The three digits stand at 9 to 11; the first is not 0.
          const digit = bytes[at]! - ZERO;
          if (digit < 0 || digit > 9 || (at === 9 && digit === 0))
            throw new Http1Error("BAD_STATUS", at);
          this.#status = this.#status * 10 + digit;
          at++;
          if (at === 12) this.#phase = "reasonSpace";
          break;
        }
        case "reasonSpace":
          // The space is due even before an empty reason, but origins leave it out, and nothing hides behind that.
          if (bytes[at] === SP) at++;
          else if (bytes[at] !== CR) throw new Http1Error(lineFault(bytes[at]!, "BAD_STATUS"), at);
          this.#reasonStart = at;
          this.#phase = "reason";
          break;
        case "reason":
          while (at < stop && (CLASS[bytes[at]!]! & VALUE) !== 0) at++;
          if (at === stop) break;
          if (bytes[at] !== CR) throw new Http1Error(lineFault(bytes[at]!, "BAD_REASON"), at);
          this.#reasonEnd = at++;
          this.#phase = "lineFeed";
          break;
        case "lineFeed":
          if (bytes[at] !== LF) throw new Http1Error("BARE_CARRIAGE_RETURN", at - 1);
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

  head(bytes: Uint8Array): ResponseHead {
    const fields = this.#fields.block(bytes, this.#position - 2);
    const control = findControl(fields);
    const version = this.#version;
    const status = this.#status;
    const contentLength = readContentLength(fields, control.contentLength);
    const framing = responseFraming(fields, control, version, contentLength, status, this.method);
    return {
      version,
      fields,
      framing,
      contentLength,
      persistent: framing.kind !== "untilClose" && isPersistent(version, control.connection),
      status,
      reason: bytes.subarray(this.#reasonStart, this.#reasonEnd),
    };
  }
}
