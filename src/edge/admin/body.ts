// This file is the bodies of calls, read member by member; unknown members are ignored. http.md §5.4.
import { TunlError } from "../../errors.ts";
import type { CallBody } from "../../exchange/index.ts";

const KEY_BYTES = 32;

/** The members of one call's body. Every reader throws TunlError `USAGE` naming the member and what was expected. */
export class Body {
  readonly #members: CallBody;

  constructor(members: CallBody) {
    this.#members = members;
  }

  text(name: string): string {
    return this.optionalText(name) ?? refuse(name, "a text");
  }

  optionalText(name: string): string | undefined {
    const value = this.#members[name];
    if (value === undefined || typeof value === "string") return value;
    return refuse(name, "a text");
  }

  texts(name: string): readonly string[] {
    const value = this.#or(name, []);
    return isTexts(value) ? value : refuse(name, "a list of texts");
  }

  number(name: string, fallback?: number): number {
    const value = this.#or(name, fallback);
    return typeof value === "number" && Number.isFinite(value) ? value : refuse(name, "a number");
  }

  optionalNumber(name: string): number | undefined {
    return this.#members[name] === undefined ? undefined : this.number(name);
  }

  boolean(name: string): boolean {
    const value = this.#or(name, false);
    return typeof value === "boolean" ? value : refuse(name, "true or false");
  }

  /** Only an absent member has a fallback: null says something, and nothing that is known here. */
  #or(name: string, fallback: unknown): unknown {
    const value = this.#members[name];
    return value === undefined ? fallback : value;
  }

  /** A public key: 32 bytes as base64url. */
  key(name: string): Uint8Array {
    const text = this.text(name);
    const bytes = /^[\w-]{43}$/.test(text) ? Buffer.from(text, "base64url") : undefined;
    // A text of this length may end in bits that belong to no byte: one key, one text.
    if (bytes?.length !== KEY_BYTES || bytes.toString("base64url") !== text)
      return refuse(name, "a public key: 32 bytes in base64url");
    return Uint8Array.from(bytes);
  }
}

export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** Characters of a text that is told: it may quote what was asked for, and with six bytes each it still fits in a body. */
const TEXT_MAX = 1_000;

export function shortText(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}

function refuse(name: string, expected: string): never {
  throw new TunlError("USAGE", `The call has no valid "${name}", expected ${expected}`);
}
