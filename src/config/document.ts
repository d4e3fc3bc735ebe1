// This file is a YAML document as a tree of texts with places; the only importer of `yaml`. product.md §3, §4.
import { isAlias, isMap, isNode, isScalar, isSeq, parseDocument } from "yaml";
import type { Document, Node as YamlNode, Pair } from "yaml";
import type { Problem, Span } from "./report.ts";

/** One node. The text of a scalar is its value as written without quotes: what it means is the reader's business. */
export type Tree =
  | {
      readonly kind: "scalar";
      readonly text: string;
      readonly isQuoted: boolean;
      readonly isEmpty: boolean;
      readonly span: Span;
    }
  | { readonly kind: "list"; readonly items: readonly Tree[]; readonly span: Span }
  | { readonly kind: "map"; readonly entries: readonly Entry[]; readonly span: Span };

/** One key and what it holds. */
export interface Entry {
  readonly name: string;
  readonly nameSpan: Span;
  readonly value: Tree;
}

/** Longest file that is read: 20,000 brackets already take 160 ms to parse. */
export const MAX_FILE_BYTES = 262_144;
/** Deepest nesting; `edge.yml` needs 4. Also what ends an alias that contains itself. */
const MAX_DEPTH = 16;
/** Most nodes, aliases counted as often as they are used. */
const MAX_NODES = 100_000;

const WHOLE: Span = { line: 1, column: 1, length: 1 };

/**
 * Parses one YAML 1.2 document.
 *
 * @returns The tree, undefined for an empty file or one that does not parse, and what is wrong with it.
 */
export function parseTree(text: string): { tree: Tree | undefined; problems: Problem[] } {
  const problems: Problem[] = [];
  // `logLevel: "error"` keeps the library from printing process warnings of its own.
  const document = parseDocument(text, {
    prettyErrors: false,
    // The library compares each key with all before it: 20,000 of them take seconds. `Scan` looks them up.
    uniqueKeys: false,
    version: "1.2",
    logLevel: "error",
    strict: true,
  });
  const spanOf = placeFinder(text);
  const { duplicates, anchors } = new Scan(document);
  const mistakes = [
    ...document.errors.map(({ code, message, pos }) => ({ code: code as string, message, pos })),
    ...[...duplicates].map(([at, { end }]) => ({
      code: DUPLICATE,
      message: "",
      pos: [at, end] as const,
    })),
  ].toSorted((left, right) => left.pos[0] - right.pos[0]);
  // One mistake is often several errors of the parser: the first of a line is the one that helps.
  const lines = new Set<number>();
  for (const { code, message, pos } of mistakes) {
    const span = spanOf(pos[0], pos[1]);
    if (lines.has(span.line)) continue;
    lines.add(span.line);
    const hint = YAML_HINTS[code];
    problems.push({
      severity: "error",
      code: `YAML_${code}`,
      message:
        code === DUPLICATE
          ? duplicateMessage(duplicates.get(pos[0]) as Duplicate, spanOf)
          : yamlMessage(code, message),
      span,
      ...(hint !== undefined && { hint }),
    });
  }
  // `%YAML 1.1` would turn `yes` into true and 010 into 8.
  const directive = (text.split(/^---/m, 1)[0] as string).search(/^%/m);
  if (directive !== -1) {
    const span = spanOf(directive, text.length);
    problems.push({
      severity: "error",
      code: "YAML_DIRECTIVE",
      message: "A % line changes what words mean, expected none",
      hint: "Remove the line",
      span,
    });
  }
  if (problems.length > 0 || document.contents === null) return { tree: undefined, problems };
  const tree = new Walker(anchors, spanOf, problems).walk(document.contents as YamlNode, 0);
  return { tree: problems.length > 0 ? undefined : tree, problems };
}

/**
 * Makes the function from offsets to places.
 *
 * The library's own LineCounter loses a line end inside of broken flow collections, and then every later place is wrong.
 */
function placeFinder(text: string): (from: number, to: number) => Span {
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (from, to) => {
    // The number of starts at or before the offset, which is the line counted from 1.
    let line = 0;
    for (let above = starts.length; line < above;) {
      const middle = (line + above) >>> 1;
      if ((starts[middle] as number) <= from) line = middle + 1;
      else above = middle;
    }
    const end = starts[line] === undefined ? text.length : (starts[line] as number) - 1;
    return {
      line,
      column: from - (starts[line - 1] as number) + 1,
      length: Math.max(1, Math.min(to, end) - from),
    };
  };
}

class Walker {
  readonly #spanOf: (from: number, to: number) => Span;
  readonly #problems: Problem[];
  readonly #anchors: Anchors;
  #nodes = 0;

  constructor(anchors: Anchors, spanOf: (from: number, to: number) => Span, problems: Problem[]) {
    this.#anchors = anchors;
    this.#spanOf = spanOf;
    this.#problems = problems;
  }

  walk(node: YamlNode | null | undefined, depth: number): Tree | undefined {
    const span = this.#place(node);
    this.#nodes += 1;
    if (depth > MAX_DEPTH || this.#nodes > MAX_NODES) {
      // Said once: every other branch would say the same.
      if (this.#nodes < Infinity)
        this.#fail(
          "YAML_TOO_LARGE",
          depth > MAX_DEPTH
            ? `Nested deeper than ${MAX_DEPTH} levels`
            : `More than ${MAX_NODES} values`,
          span,
        );
      this.#nodes = Infinity;
      return undefined;
    }
    if (node === null || node === undefined)
      return { kind: "scalar", text: "", isQuoted: false, isEmpty: true, span };
    if (isAlias(node)) return this.#alias(node, depth, span);
    if (isMap(node)) {
      const entries = node.items.map((pair) =>
        this.#entry(pair as Pair<YamlNode, YamlNode | null>, depth),
      );
      return { kind: "map", entries: entries.filter((entry) => entry !== undefined), span };
    }
    if (isSeq(node)) {
      const items = node.items.map((item) => this.walk(item as YamlNode, depth + 1));
      return { kind: "list", items: items.filter((item) => item !== undefined), span };
    }
    if (isScalar(node)) {
      const isQuoted = node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE";
      const text = typeof node.value === "string" ? node.value : (node.source ?? "");
      return { kind: "scalar", text, isQuoted, isEmpty: node.value === null, span };
    }
    this.#fail("YAML_NODE", "Not a value", span);
    return undefined;
  }

  #entry(pair: Pair<YamlNode, YamlNode | null>, depth: number): Entry | undefined {
    const { key, value } = pair;
    const nameSpan = this.#place(key);
    if (!isScalar(key) || key.value === null) {
      this.#fail("YAML_KEY", "A key must be a word", nameSpan);
      return undefined;
    }
    const name = typeof key.value === "string" ? key.value : (key.source ?? "");
    const tree =
      value === null
        ? ({ kind: "scalar", text: "", isQuoted: false, isEmpty: true, span: nameSpan } as const)
        : this.walk(value, depth + 1);
    return tree === undefined ? undefined : { name, nameSpan, value: tree };
  }

  /** `*.example.com` without quotes is an alias of an anchor that nobody set: by far the commonest YAML mistake here. */
  #alias(node: YamlNode & { source: string }, depth: number, span: Span): Tree | undefined {
    const at = node.range?.[0] ?? 0;
    // An anchor may be set again: an alias means the last one before it.
    const target = this.#anchors.get(node.source)?.findLast(({ from }) => from < at);
    if (target !== undefined) return this.walk(target.node, depth + 1);
    this.#fail(
      "YAML_ALIAS",
      `An unquoted * starts a YAML alias, expected "*${node.source}" in quotes`,
      span,
    );
    return undefined;
  }

  #place(node: YamlNode | null | undefined): Span {
    const range = node?.range;
    return range === null || range === undefined ? WHOLE : this.#spanOf(range[0], range[1]);
  }

  #fail(code: string, message: string, span: Span): void {
    this.#problems.push({ severity: "error", code, message, span });
  }
}

const DUPLICATE = "DUPLICATE_KEY";

/** Nodes by the name of their anchor, in the order of the text; the library looks through the whole document for each alias. */
type Anchors = ReadonlyMap<string, readonly { readonly from: number; readonly node: YamlNode }[]>;

interface Duplicate {
  readonly name: string;
  /** Offset behind the key. */
  readonly end: number;
  /** Offset of the first key of this name. */
  readonly first: number;
}

/** What has to be known of a document before it is walked. */
class Scan {
  readonly anchors = new Map<string, { from: number; node: YamlNode }[]>();
  /** The keys that stand in their map again, by their offsets. */
  readonly duplicates = new Map<number, Duplicate>();

  constructor(document: Document.Parsed) {
    this.#node(document.contents, 0);
  }

  /** Not deeper than the walk, which refuses what is below. */
  #node(node: unknown, depth: number): void {
    if (depth > MAX_DEPTH || !isNode(node)) return;
    if ("anchor" in node && node.anchor !== undefined) {
      const named = this.anchors.get(node.anchor);
      const found = { from: node.range?.[0] ?? 0, node: node as YamlNode };
      if (named === undefined) this.anchors.set(node.anchor, [found]);
      else named.push(found);
    }
    if (isSeq(node)) for (const item of node.items) this.#node(item, depth + 1);
    if (!isMap(node)) return;
    const firsts = new Map<unknown, number>();
    for (const { key, value } of node.items) {
      this.#node(key, depth + 1);
      this.#node(value, depth + 1);
      if (!isScalar(key) || !key.range) continue;
      const [from, end] = key.range;
      const first = firsts.get(key.value);
      if (first === undefined) firsts.set(key.value, from);
      else this.duplicates.set(from, { name: key.source ?? String(key.value), end, first });
    }
  }
}

function duplicateMessage(
  { name, first }: Duplicate,
  spanOf: (from: number, to: number) => Span,
): string {
  return `Key "${name}" stands here again, first in line ${spanOf(first, first + 1).line}`;
}

const YAML_HINTS: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY:
    "Put a value with a colon in quotes; let keys of one level begin in the same column",
  BAD_INDENT: "Let keys of one level begin in the same column, and close every bracket",
  UNEXPECTED_TOKEN: "Check the quotes of this line, and the column in which it begins",
};

/** The library's sentences for the mistakes people make, in ours; the rest as it comes, on one line. */
function yamlMessage(code: string, message: string): string {
  if (code === "MISSING_CHAR")
    return "A quote or bracket was opened and is not closed before this place";
  if (message.startsWith("Alias cannot be an empty string"))
    return 'An unquoted * starts a YAML alias, expected "*" in quotes';
  if (code === "TAB_AS_INDENT") return "A tab indents this line, expected spaces";
  if (code === "RESOURCE_EXHAUSTION") return "Nested too deeply";
  if (code === "MULTIPLE_DOCS") return "A second document begins here, expected one";
  if (code === "BLOCK_AS_IMPLICIT_KEY") return "A second key begins inside of this value";
  if (code === "BAD_INDENT" && message.startsWith("All mapping items"))
    return "This key begins in another column than those before it";
  return `Not valid YAML: ${message.split("\n")[0]?.replace(/\.$/, "")}`;
}
