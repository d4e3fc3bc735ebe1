// This file is what happens to fields on their way: hop-by-hop removal, reserved names, and the validator both ends run.
// http.md §5.1, §7; RFC 9110 §7.6.1; S-30 to S-32, S-35, S-64.
import { TunlError } from "../errors.ts";
import {
  equalsFolded,
  type FieldFault,
  findBadTrailer,
  FRAMING,
  type HeaderBlock,
  HOP_BY_HOP,
  type LineBuffer,
  ListCursor,
  looksLikeFraming,
  nameId,
  parseLines,
  RESERVED_NAMES,
  ReservedNames,
  type SectionLimits,
  TAKEN,
  TRAILER_LIMITS,
} from "../headers/index.ts";
import { isNamed, readConnection } from "./connection-options.ts";

const TE = nameId("te");
const DATE = nameId("date");
const ALT_SVC = nameId("alt-svc");
const SET_COOKIE = nameId("set-cookie");
/** Never part of the fields of a head message. */
const NOT_CARRIED = FRAMING | HOP_BY_HOP | TAKEN;

/**
 * Fields of a head message. An origin may send 256 in 40 KiB (http.md §14); each end adds fewer than 32 lines, and its
 * additions fit because a start line, Host, framing and hop-by-hop fields have left.
 */
export const MESSAGE_LIMITS: SectionLimits = { bytes: 40 * 1024, fields: 256 + 32 };

export interface RequestFieldRules {
  /** What becomes of names with `_` or `.` (S-31). */
  readonly underscores: "drop" | "keep" | "reject";
  /** The reserved set with the configured identity headers (S-30). */
  readonly reserved: ReservedNames;
}

export const REQUEST_FIELD_RULES: RequestFieldRules = {
  underscores: "drop",
  reserved: RESERVED_NAMES,
};

/**
 * Steps 1 to 3 and 5 of http.md §7 in one pass: appends what remains of a visitor's fields to `into`, order and case kept.
 *
 * @returns True when the visitor accepts trailers (`TE: trailers`).
 * @throws TunlError `BAD_REQUEST` when `Connection` names a field that it may not remove, is not a list of tokens or has
 * more than 32 names, and for names with `_` or `.` under `reject`. `into` is then unspecified.
 */
export function keepRequestFields(
  block: HeaderBlock,
  into: LineBuffer,
  rules: RequestFieldRules = REQUEST_FIELD_RULES,
): boolean {
  const named = readConnection(block, rules.reserved, "BAD_REQUEST");
  let acceptsTrailers = false;
  const copy = new RunCopy(block, into);
  for (let index = 0; index < block.count; index++) {
    if ((block.nameClass(index) & NOT_CARRIED) !== 0) {
      if (block.nameId(index) === TE) acceptsTrailers ||= listHas(block, index, "trailers");
      copy.skip(index);
      continue;
    }
    const start = block.lineStart(index);
    const end = block.nameEnd(index);
    const isDropped =
      rules.reserved.has(block.bytes, start, end) ||
      (block.hasOddName(index) && isUnderscored(block, index, rules.underscores)) ||
      isNamed(block, index, named);
    if (isDropped) copy.skip(index);
  }
  copy.finish();
  return acceptsTrailers;
}

/**
 * Appends an origin's response fields without what belongs to its connection; order and case kept.
 * A `Connection` option that names an end-to-end field is ignored: an origin cannot delete those.
 *
 * @throws TunlError `ORIGIN_INVALID` when `Connection` is not a list of tokens or has more than 32 names. `into` is then unspecified.
 */
export function keepResponseFields(block: HeaderBlock, into: LineBuffer): void {
  const named = readConnection(block, RESERVED_NAMES, "ORIGIN_INVALID");
  const copy = new RunCopy(block, into);
  for (let index = 0; index < block.count; index++) {
    if ((block.nameClass(index) & NOT_CARRIED) !== 0 || isNamed(block, index, named))
      copy.skip(index);
  }
  copy.finish();
}

/** Seconds the origin keeps an idle connection (`Keep-Alive: timeout=5`), undefined when it does not say or says it wrongly. */
export function keepAliveSeconds(block: HeaderBlock): number | undefined {
  const index = block.find("keep-alive");
  if (index < 0) return undefined;
  const found = /(?:^|[,\s])timeout\s*=\s*"?(\d{1,9})"?\s*(?:,|$)/i.exec(block.text(index));
  return found === null ? undefined : Number(found[1]);
}

/**
 * Appends what a visitor may see of a response (S-35): no `X-Tunl-*`, `Tunl-*`, `Alt-Svc`, and no cookie that only tunl
 * sets; `Date` is added when missing.
 *
 * @param date Value of Date, an IMF-fixdate; undefined adds none.
 */
export function keepVisitorFields(
  block: HeaderBlock,
  date: string | Uint8Array | undefined,
  into: LineBuffer,
): void {
  let hasDate = false;
  const copy = new RunCopy(block, into);
  for (let index = 0; index < block.count; index++) {
    const id = block.nameId(index);
    if (id === DATE) hasDate = true;
    const isDropped =
      id === ALT_SVC || (id === SET_COOKIE ? isOurCookie(block, index) : isOurName(block, index));
    if (isDropped) copy.skip(index);
  }
  copy.finish();
  if (!hasDate && date !== undefined) into.appendField("Date", date);
}

/** Why lines that came over the tunnel are refused: the grammar, or a name that never travels as a field. */
export type ValidationFault = FieldFault | "UNFINISHED" | "FORBIDDEN_FIELD";

/**
 * The validator both ends run on the fields of a head message (S-64): grammar, no framing field or anything that looks like
 * one, no hop-by-hop field, no Host, no Expect.
 *
 * @param lines Lines without the blank line.
 */
export function validateFields(
  lines: Uint8Array,
  limits: SectionLimits = MESSAGE_LIMITS,
): HeaderBlock | ValidationFault {
  const block = parseLines(lines, limits);
  if (typeof block === "string") return block;
  for (let index = 0; index < block.count; index++) {
    if ((block.nameClass(index) & NOT_CARRIED) !== 0) return "FORBIDDEN_FIELD";
    if (looksLikeFraming(lines, block.lineStart(index), block.nameEnd(index)))
      return "FORBIDDEN_FIELD";
  }
  return block;
}

/** The same for trailers: at most 32 in 8 KiB, no framing, routing, credential or reserved name (S-04, S-64). */
export function validateTrailers(lines: Uint8Array): HeaderBlock | ValidationFault {
  const block = parseLines(lines, TRAILER_LIMITS);
  if (typeof block === "string") return block;
  return findBadTrailer(block) < 0 ? block : "FORBIDDEN_FIELD";
}

/** Copies a section in as few runs as the skipped lines allow. */
class RunCopy {
  readonly #block: HeaderBlock;
  readonly #into: LineBuffer;
  #from: number;

  constructor(block: HeaderBlock, into: LineBuffer) {
    this.#block = block;
    this.#into = into;
    this.#from = block.start;
  }

  skip(index: number): void {
    const start = this.#block.lineStart(index);
    if (start > this.#from) this.#into.append(this.#block.bytes, this.#from, start);
    this.#from = this.#block.lineEnd(index);
  }

  finish(): void {
    if (this.#block.end > this.#from)
      this.#into.append(this.#block.bytes, this.#from, this.#block.end);
  }
}

const members = new ListCursor();

/** True when a name with `_` or `.` is to be dropped. @throws TunlError `BAD_REQUEST` under `reject` */
function isUnderscored(
  block: HeaderBlock,
  index: number,
  underscores: RequestFieldRules["underscores"],
): boolean {
  if (underscores === "keep") return false;
  const end = block.nameEnd(index);
  for (let at = block.lineStart(index); at < end; at++) {
    if (block.bytes[at] !== 0x5f && block.bytes[at] !== 0x2e) continue;
    if (underscores === "drop") return true;
    throw new TunlError(
      "BAD_REQUEST",
      `Field name "${block.name(index)}" has an underscore or a dot`,
    );
  }
  return false;
}

function listHas(block: HeaderBlock, index: number, member: string): boolean {
  members.open(block.bytes, block.valueStart(index), block.valueEnd(index));
  while (members.next())
    if (equalsFolded(block.bytes, members.start, members.end, member)) return true;
  return false;
}

const OUR_NAMES = new ReservedNames([], ["x-tunl-*", "tunl-*"]);

/** True for `X-Tunl-*` and `Tunl-*` in any spelling that folds to them. */
function isOurName(block: HeaderBlock, index: number): boolean {
  return OUR_NAMES.has(block.bytes, block.lineStart(index), block.nameEnd(index));
}

const OUR_COOKIE = "__host-tunl";

/**
 * True for a cookie named `__Host-tunl*`, in any case. Signs and blanks in front are skipped: a browser keeps
 * `=__Host-tunl…` as a nameless cookie and sends its value back, where it reads like ours.
 */
function isOurCookie(block: HeaderBlock, index: number): boolean {
  const { bytes } = block;
  const end = block.valueEnd(index);
  let at = block.valueStart(index);
  while (at < end && (bytes[at] === 0x3d || bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
  return equalsFolded(bytes, at, Math.min(end, at + OUR_COOKIE.length), OUR_COOKIE);
}
