// This file is the shape of what may stand in `config.yml`: maps of known keys, and what becomes of each key. product.md §3.2.
import type { Kind } from "../option.ts";

/** What a key does in tunl. */
export type Effect =
  | { readonly is: "honoured" }
  /** Accepted; one line at level debug says why nothing comes of it. */
  | { readonly is: "ignored"; readonly why: string }
  /** Accepted with a warning: who wrote it expects something that does not happen. */
  | { readonly is: "warned"; readonly why: string; readonly hint?: string }
  /** Judged, and refused by whoever would have to do it until a later version. */
  | { readonly is: "later" };

/** What may stand behind a key. */
export type Shape =
  | {
      readonly is: "value";
      readonly kind: ValueKind;
      readonly choices?: readonly string[];
      readonly min?: number;
      readonly max?: number;
      readonly canBeOff?: boolean;
      readonly canBeAuto?: boolean;
      readonly canBeEmpty?: boolean;
    }
  | { readonly is: "list"; readonly of: Shape; readonly isScalarAllowed?: boolean }
  | { readonly is: "map"; readonly of: KeyMap }
  /** Keys that the user chooses. */
  | { readonly is: "named"; readonly kind: Kind; readonly of: Shape }
  /** The first whose node kind fits: a word, a list or a map. */
  | { readonly is: "either"; readonly of: readonly Shape[] }
  /** Read by code of its own; here only that it is known. */
  | { readonly is: "own"; readonly expected: string };

/** Kinds of `option.ts`, and those that only files have. */
export type ValueKind =
  | Kind
  | "cidr"
  | "url" // of a proxy
  | "tag" // KEY=VALUE
  | "address" // on, HOST:PORT or :PORT
  | "ip"
  | "host-header" // HOST or HOST:PORT as it is sent
  | "server-name" // hostname or IP address
  | "fingerprint";

/** One key. */
export interface KeyRow {
  readonly name: string;
  readonly shape: Shape;
  readonly effect: Effect;
  /** As a user would write it; absent = no value, which `about` explains. */
  readonly default?: string;
  /** One sentence without a period, for docs/CONFIG.md. */
  readonly about: string;
  /** True: its line is not shown in reports. */
  readonly isSecret?: boolean;
  /** True: a misspelt key that is nearest to this one is an error, not a warning. */
  readonly isDoor?: boolean;
}

/** The keys of one map. */
export interface KeyMap {
  /** As it stands behind "in"; "" is the top level. */
  readonly name: string;
  readonly rows: readonly KeyRow[];
  /** True: an unknown key is an error, for a typo here could open a door. */
  readonly isStrict: boolean;
}

export const HONOURED: Effect = { is: "honoured" };
export const LATER: Effect = { is: "later" };

/** A shape of one value. */
export function value(kind: ValueKind, bounds: Omit<ValueShape, "is" | "kind"> = {}): ValueShape {
  return { is: "value", kind, ...bounds };
}

export type ValueShape = Extract<Shape, { readonly is: "value" }>;

export const TEXT = value("text");
export const OPTIONAL_TEXT = value("text", { canBeEmpty: true });
export const BOOLEAN = value("boolean");
export const PATH = value("path");
export const OPTIONAL_PATH = value("path", { canBeEmpty: true });
export const DURATION = value("duration", { min: 0 });

/** A list of values; one alone is no list. */
export function list(of: Shape, isScalarAllowed = false): Shape {
  return { is: "list", of, isScalarAllowed };
}
