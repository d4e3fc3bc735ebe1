// This file is a tree held against maps of known keys: values that fit, and what is wrong with the others. product.md §3.2, §4.
import type { Entry, Tree } from "../document.ts";
import type { Problem, Span } from "../report.ts";
import type { Value } from "../values.ts";
import { withoutUserInfo } from "./target-forms.ts";
import { quoted } from "./quoted.ts";
import { unknownKey } from "./unknown-key.ts";
import type { ScalarBase } from "./scalars.ts";
import { readScalar, scalarForm } from "./scalars.ts";
import { readValue } from "../values.ts";
import type { KeyMap, KeyRow, Shape } from "./shape.ts";

/** What stands behind a key, once it fits; undefined: read by code of its own. */
export type Judged = Value | readonly Judged[] | JudgedMap | undefined;

/** The keys of a map that fit. */
export type JudgedMap = ReadonlyMap<string, Found>;

/** One key that fits. */
export interface Found {
  readonly row: KeyRow | undefined;
  readonly value: Judged;
  readonly tree: Tree;
  readonly nameSpan: Span;
}

/** How a file is judged. */
export interface JudgeOptions extends ScalarBase {
  /** True: for a start, which refuses what this version does not do; false: for what the file says. */
  readonly isStarting: boolean;
}

/** A generated file may have many rules, but not so many that they are a mistake of the generator. */
export const MAX_LIST = 4_096;
const MAX_UNKNOWN = 200;

/** Judges one document; never throws. */
export class Judge {
  readonly problems: Problem[];
  /** Lines for level debug. */
  readonly notes: string[] = [];
  readonly options: JudgeOptions;
  #unknowns = 0;

  constructor(options: JudgeOptions, problems: Problem[]) {
    this.options = options;
    this.problems = problems;
  }

  /** Reads a map; an empty node is an empty map. */
  map(map: KeyMap, tree: Tree): JudgedMap {
    const found = new Map<string, Found>();
    if (tree.kind === "scalar" && tree.isEmpty) return found;
    if (tree.kind !== "map") {
      const example = `${map.rows[0]?.name}: …`;
      const what = map.name === "" ? "The file" : map.name;
      this.error(
        "NOT_A_MAP",
        `${what} holds no keys, expected a map such as ${example}`,
        tree.span,
      );
      return found;
    }
    for (const entry of this.#merged(tree.entries)) {
      const row = map.rows.find(({ name }) => name === entry.name);
      if (row === undefined) this.#unknown(map, entry);
      else this.#known(map.isStrict ? `${map.name}.${row.name}` : row.name, row, entry, found);
    }
    return found;
  }

  /** Reads one node. */
  shape(shape: Shape, tree: Tree, name: string, isSecret = false): Judged | undefined {
    switch (shape.is) {
      case "own":
        return undefined;
      case "map":
        return this.map(shape.of, tree);
      case "list":
        return this.#list(shape, tree, name);
      case "named":
        return this.#named(shape, tree, name);
      case "either": {
        const kind = tree.kind === "scalar" ? "value" : tree.kind;
        const fitting = shape.of.find(({ is }) => is === kind) ?? (shape.of[0] as Shape);
        return this.shape(fitting, tree, name, isSecret);
      }
      case "value":
        return this.#value(shape, tree, name, isSecret);
      default:
        shape satisfies never;
        return undefined;
    }
  }

  error(
    code: string,
    message: string,
    span: Span | undefined,
    hint?: string,
    isSecret = false,
  ): void {
    this.#put("error", { code, message, span, hint, isSecret });
  }

  warn(
    code: string,
    message: string,
    span: Span | undefined,
    hint?: string,
    isSecret = false,
  ): void {
    this.#put("warning", { code, message, span, hint, isSecret });
  }

  /** What is valid and not in this version: a start is refused, everybody else is told. */
  later(what: string, span: Span, hint: string, isSecret = false): void {
    if (this.options.isStarting)
      this.error("NOT_BUILT", `${what} is not in this version yet`, span, hint, isSecret);
    else
      this.warn(
        "NOT_BUILT",
        `${what} is valid, but not in this version yet: tunl connect refuses it`,
        span,
        undefined,
        isSecret,
      );
  }

  /** `<<: *anchor`, which cloudflared's parser knows: keys that do not stand in the map itself. */
  #merged(entries: readonly Entry[]): readonly Entry[] {
    if (!entries.some(({ name }) => name === "<<")) return entries;
    const all = new Map<string, Entry>();
    for (const entry of entries) if (entry.name !== "<<") all.set(entry.name, entry);
    for (const { name, value } of entries) {
      if (name !== "<<") continue;
      for (const source of value.kind === "list" ? value.items : [value]) {
        if (source.kind !== "map") {
          this.error(
            "BAD_VALUE",
            "<< is no map, expected an alias of one such as *defaults",
            source.span,
          );
          continue;
        }
        for (const entry of this.#merged(source.entries))
          if (!all.has(entry.name)) all.set(entry.name, entry);
      }
    }
    return [...all.values()];
  }

  /** @param name As messages call it: `ports` alone could be anything. */
  #known(
    name: string,
    row: KeyRow,
    { nameSpan, value: tree }: Entry,
    found: Map<string, Found>,
  ): void {
    const { shape, effect, isSecret = false } = row;
    // cloudflared takes a key without a value for an absent one.
    if (tree.kind === "scalar" && tree.isEmpty) return;
    const before = this.problems.length;
    const value = this.shape(shape, tree, name, isSecret);
    if (value === undefined && shape.is !== "own") return;
    // With an error inside nothing is used, but what belongs together is still judged together.
    found.set(row.name, { row, value, tree, nameSpan });
    if (this.problems.slice(before).some(({ severity }) => severity === "error")) return;
    if (effect.is === "ignored") this.notes.push(`${name} has no effect: ${effect.why}`);
    else if (effect.is === "warned")
      this.warn("NO_EFFECT", `${name} ${effect.why}`, nameSpan, effect.hint, isSecret);
    else if (effect.is === "later" && !isNeutral(value, row.default))
      this.later(
        name,
        nameSpan,
        `Remove ${name}${row.default === undefined ? "" : `, or set it to ${row.default}`}`,
        isSecret,
      );
  }

  #value(
    shape: Extract<Shape, { is: "value" }>,
    tree: Tree,
    name: string,
    isSecret: boolean,
  ): Value | undefined {
    const expected = (): string => scalarForm(shape);
    if (tree.kind !== "scalar") {
      this.error(
        "BAD_VALUE",
        `${name} is a ${tree.kind}, expected ${expected()}`,
        tree.span,
        undefined,
        isSecret,
      );
      return undefined;
    }
    if (tree.isEmpty) {
      this.error("BAD_VALUE", `${name} is empty, expected ${expected()}`, tree.span);
      return undefined;
    }
    const reading = readScalar(shape, tree.text, this.options);
    if ("value" in reading) return reading.value;
    const shown = isSecret ? "cannot be used" : `is ${quoted(withoutUserInfo(tree.text))}`;
    this.error(
      "BAD_VALUE",
      `${name} ${shown}, expected ${reading.expected}`,
      tree.span,
      reading.hint,
      isSecret || tree.text.includes("@"),
    );
    return undefined;
  }

  #list(
    shape: Extract<Shape, { is: "list" }>,
    tree: Tree,
    name: string,
  ): readonly Judged[] | undefined {
    const items =
      tree.kind === "list"
        ? tree.items
        : shape.isScalarAllowed === true && tree.kind === "scalar"
          ? [tree]
          : undefined;
    if (items === undefined) {
      this.error(
        "BAD_VALUE",
        `${name} is no list, expected one in brackets such as ${name}: [${tree.kind === "scalar" ? tree.text.slice(0, 64) : "…"}]`,
        tree.span,
      );
      return undefined;
    }
    if (items.length > MAX_LIST) {
      this.error(
        "LIST_TOO_LONG",
        `${name} has ${items.length} entries, allowed ${MAX_LIST}`,
        tree.span,
      );
      return undefined;
    }
    return items.map((item) => this.shape(shape.of, item, name));
  }

  #named(shape: Extract<Shape, { is: "named" }>, tree: Tree, name: string): JudgedMap | undefined {
    if (tree.kind !== "map") {
      this.error("NOT_A_MAP", `${name} holds no keys, expected a map`, tree.span);
      return undefined;
    }
    const found = new Map<string, Found>();
    for (const entry of this.#merged(tree.entries)) {
      const reading = readValue(
        { kind: shape.kind, commands: [], about: "", phase: 1, isBuilt: true },
        entry.name,
        this.options,
      );
      if (!("value" in reading)) {
        this.error(
          "BAD_VALUE",
          `A key of ${name} is ${quoted(entry.name)}, expected ${reading.expected}`,
          entry.nameSpan,
          reading.hint,
        );
        continue;
      }
      const value = this.shape(shape.of, entry.value, entry.name);
      found.set(String(reading.value), {
        row: undefined,
        value,
        tree: entry.value,
        nameSpan: entry.nameSpan,
      });
    }
    return found;
  }

  /** A key that no row has: what was meant, and whether it matters. */
  #unknown(map: KeyMap, { name, nameSpan }: Entry): void {
    this.#unknowns += 1;
    if (this.#unknowns > MAX_UNKNOWN) {
      // Advice costs more than the rest of such a file, and a slip among so many would not be seen.
      if (this.#unknowns === MAX_UNKNOWN + 1)
        this.error(
          "UNKNOWN_KEYS",
          `More than ${MAX_UNKNOWN} unknown keys, is it another file?`,
          nameSpan,
        );
      return;
    }
    const { message, hint, isDoor } = unknownKey(map, name);
    if (map.isStrict || isDoor) this.error("UNKNOWN_KEY", message, nameSpan, hint);
    else this.warn("UNKNOWN_KEY", message, nameSpan, hint);
  }

  #put(
    severity: Problem["severity"],
    {
      code,
      message,
      span,
      hint,
      isSecret,
    }: {
      code: string;
      message: string;
      span: Span | undefined;
      hint: string | undefined;
      isSecret: boolean;
    },
  ): void {
    this.problems.push({
      severity,
      code,
      message,
      ...(span !== undefined && { span }),
      ...(hint !== undefined && { hint }),
      ...(isSecret && { isSecret }),
    });
  }
}

/** True where a value says what its absence says. */
function isNeutral(value: Judged, standard: string | undefined): boolean {
  if (value === undefined || value === false || value === "" || value === "off") return true;
  if (Array.isArray(value)) return value.length === 0;
  if (value instanceof Map) return value.size === 0;
  return standard !== undefined && String(value) === standard;
}
