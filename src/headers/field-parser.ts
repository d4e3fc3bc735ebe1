// This file is the strict and resumable reader of field lines, shared by heads, trailers and the validator. http.md §3.1; S-02, S-03.
import { FieldTable, type HeaderBlock } from "./block.ts";
import { CLASS, COLON, CR, HTAB, LF, skipBlanks, SP, TOKEN, VALUE } from "./grammar.ts";

/** Longest field name (S-02). */
export const MAX_NAME_BYTES = 256;

/** What can be wrong with a section; the layer above adds a status and a sentence. */
export type FieldFault =
  | "BARE_LINE_FEED"
  | "BARE_CARRIAGE_RETURN"
  | "OBS_FOLD"
  | "EMPTY_NAME"
  | "NAME_TOO_LONG"
  | "BLANK_BEFORE_COLON"
  | "BAD_NAME"
  | "BAD_VALUE"
  | "TOO_MANY_FIELDS"
  | "SECTION_TOO_LARGE";

export interface SectionLimits {
  /** Most bytes of the section, line ends and blank line included. */
  readonly bytes: number;
  /** Most fields. */
  readonly fields: number;
}

type Phase = "lineStart" | "name" | "blanks" | "value" | "lineFeed" | "blankLine" | "done";

/**
 * Reads field lines up to the blank line, however the bytes are cut.
 *
 * The bytes of one section stay at the same offsets from call to call; each byte is looked at once. On `fault` the
 * reason is in `fault` and its offset in `position`; the parser must be started anew.
 */
export class FieldParser {
  fault: FieldFault = "BAD_NAME";
  #phase: Phase = "done";
  #limits: SectionLimits = { bytes: 0, fields: 0 };
  #start = 0;
  #limit = 0;
  #position = 0;
  #line = 0;
  #nameEnd = 0;
  #valueStart = 0;
  #valueLimit = 0;
  #classes = 0;
  readonly #table = new FieldTable();

  /**
   * Begins a section whose first line stands at `start`.
   *
   * @param budget Bytes it may still take, when a start line has used some of `limits.bytes`.
   */
  start(start: number, limits: SectionLimits, budget: number = limits.bytes): void {
    this.#phase = "lineStart";
    this.#limits = limits;
    this.#start = start;
    this.#limit = start + budget;
    this.#position = start;
    this.#table.clear();
  }

  /** Offset of the next byte to read: behind the blank line after `end`, of the offending byte after `fault`. */
  get position(): number {
    return this.#position;
  }

  /** True between two lines: what was read so far is whole. */
  get isBetweenLines(): boolean {
    return this.#phase === "lineStart";
  }

  /** The fields read, from the start to `end`, a line start. */
  block(bytes: Uint8Array, end: number): HeaderBlock {
    return this.#table.block(bytes, this.#start, end);
  }

  parse(bytes: Uint8Array, end: number): "needBytes" | "end" | "fault" {
    const stop = end < this.#limit ? end : this.#limit;
    let at = this.#position;
    while (at < stop) {
      switch (this.#phase) {
        case "lineStart": {
          const byte = bytes[at]!;
          if (byte === CR) {
            at++;
            this.#phase = "blankLine";
            break;
          }
          if (byte === LF) return this.#refuse("BARE_LINE_FEED", at);
          if (byte === SP || byte === HTAB) return this.#refuse("OBS_FOLD", at);
          if (byte === COLON) return this.#refuse("EMPTY_NAME", at);
          if (this.#table.count === this.#limits.fields) return this.#refuse("TOO_MANY_FIELDS", at);
          this.#line = at;
          this.#classes = 0;
          this.#phase = "name";
          break;
        }
        case "name": {
          const nameStop = Math.min(stop, this.#line + MAX_NAME_BYTES + 1);
          let classes = this.#classes;
          let found = TOKEN;
          while (at < nameStop && ((found = CLASS[bytes[at]!]!) & TOKEN) !== 0) {
            classes |= found;
            at++;
          }
          this.#classes = classes;
          if (at - this.#line > MAX_NAME_BYTES) return this.#refuse("NAME_TOO_LONG", at - 1);
          if (at === stop) break;
          if (bytes[at] !== COLON) return this.#refuse(nameFault(bytes[at]!), at);
          this.#nameEnd = at++;
          this.#phase = "blanks";
          break;
        }
        case "blanks":
          at = skipBlanks(bytes, at, stop);
          if (at === stop) break;
          this.#valueStart = at;
          this.#phase = "value";
          break;
        case "value": {
          while (at < stop && (CLASS[bytes[at]!]! & VALUE) !== 0) at++;
          if (at === stop) break;
          const byte = bytes[at]!;
          if (byte === LF) return this.#refuse("BARE_LINE_FEED", at);
          if (byte !== CR) return this.#refuse("BAD_VALUE", at);
          this.#valueLimit = at++;
          this.#phase = "lineFeed";
          break;
        }
        case "lineFeed":
          if (bytes[at] !== LF) return this.#refuse("BARE_CARRIAGE_RETURN", at - 1);
          at++;
          this.#table.add(
            bytes,
            this.#line,
            this.#nameEnd,
            this.#valueStart,
            this.#valueLimit,
            this.#classes,
          );
          this.#phase = "lineStart";
          break;
        case "blankLine":
          if (bytes[at] !== LF) return this.#refuse("BARE_CARRIAGE_RETURN", at - 1);
          this.#position = at + 1;
          this.#phase = "done";
          return "end";
        case "done":
          return "end";
      }
    }
    this.#position = at;
    return at === this.#limit ? this.#refuse("SECTION_TOO_LARGE", at) : "needBytes";
  }

  #refuse(fault: FieldFault, at: number): "fault" {
    this.fault = fault;
    this.#position = at;
    return "fault";
  }
}

function nameFault(byte: number): FieldFault {
  if (byte === SP || byte === HTAB) return "BLANK_BEFORE_COLON";
  if (byte === LF) return "BARE_LINE_FEED";
  return byte === CR ? "BARE_CARRIAGE_RETURN" : "BAD_NAME";
}

const lineParser = new FieldParser();

/**
 * Reads lines that end without a blank line: how fields travel between the two ends.
 *
 * @returns The block over `lines` itself, or what is wrong with them; `UNFINISHED` for a blank line inside or a last
 * line without its end, which would swallow whatever is written behind it.
 */
export function parseLines(
  lines: Uint8Array,
  limits: SectionLimits,
): HeaderBlock | FieldFault | "UNFINISHED" {
  // One byte more than allowed, so that lines of exactly the limit are not taken for a section that goes on.
  lineParser.start(0, limits, limits.bytes + 1);
  const step = lineParser.parse(lines, lines.length);
  if (step === "fault") return lineParser.fault;
  if (step === "end" || !lineParser.isBetweenLines) return "UNFINISHED";
  return lineParser.block(lines, lines.length);
}
