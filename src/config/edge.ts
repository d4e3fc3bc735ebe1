// This file is `edge.yml` held against the option table: which keys are there, which are unknown, which this build lacks. product.md §3.1, §4.
import type { Entry, Tree } from "./document.ts";
import { parseTree } from "./document.ts";
import { type FixedGrant, readGrants } from "./grants.ts";
import { nearest } from "./nearest.ts";
import type { Option } from "./option.ts";
import { GROUPS_OFF, keysIn, optionOfKey, OPTIONS } from "./options.ts";
import type { Problem, Span } from "./report.ts";
import { expectedForm } from "./values.ts";

/** Text of one value and where it stands. */
export interface FileValue {
  readonly text: string;
  readonly span: Span;
}

/** What a file says, not yet read as values. */
export interface EdgeFile {
  /** False where the text is no YAML at all: then nothing below is known. */
  readonly isReadable: boolean;
  /** Canonical key to its texts: one, or several for lists. A group that is `off` stands under its own name. */
  readonly values: ReadonlyMap<string, readonly FileValue[]>;
  /** `certificates.files`. */
  readonly pairs: readonly { readonly cert: FileValue; readonly key: FileValue }[];
  /** `grants`. */
  readonly grants: readonly FixedGrant[];
  readonly problems: readonly Problem[];
}

/** Longest list of a key, so that a generated file fails with a sentence and not with the memory of the machine. */
const MAX_LIST = 1_000;

/** Reads the text of an `edge.yml`; never throws. */
export function readEdgeFile(text: string): EdgeFile {
  const { tree, problems } = parseTree(text);
  const reader = new EdgeFileReader(problems);
  if (tree !== undefined) reader.group("", tree);
  const isReadable = tree !== undefined || problems.length === 0;
  return {
    isReadable,
    values: reader.values,
    pairs: reader.pairs,
    grants: reader.grants,
    problems,
  };
}

class EdgeFileReader {
  readonly values = new Map<string, readonly FileValue[]>();
  readonly pairs: { cert: FileValue; key: FileValue }[] = [];
  readonly grants: FixedGrant[] = [];
  readonly #problems: Problem[];

  constructor(problems: Problem[]) {
    this.#problems = problems;
  }

  /** Reads a map of keys; `group` is its own key, "" at the top. */
  group(group: string, tree: Tree): void {
    if (tree.kind === "scalar" && tree.isEmpty) return;
    if (tree.kind !== "map") {
      if (
        tree.kind === "scalar" &&
        GROUPS_OFF.has(group) &&
        ["off", "no", "false"].includes(tree.text)
      ) {
        this.values.set(group, [{ text: "off", span: tree.span }]);
        return;
      }
      const example =
        group === ""
          ? "domains: [example.com]"
          : `${group.split(".").at(-1)}: {${keysIn(group)[0]}: …}`;
      this.#fail(
        "NOT_A_MAP",
        `${group === "" ? "The file" : group} holds no keys, expected a map such as ${example}`,
        tree.span,
      );
      return;
    }
    for (const entry of tree.entries) this.#entry(group, entry);
  }

  #entry(group: string, { name, nameSpan, value }: Entry): void {
    const key = group === "" ? name : `${group}.${name}`;
    const option = optionOfKey(key);
    if (option === undefined) {
      if (keysIn(key).length > 0) this.group(key, value);
      else this.#unknown(group, name, nameSpan);
      return;
    }
    if (!option.isBuilt) {
      const message = option.refusal?.message ?? `${key} is not in this build yet`;
      this.#fail("NOT_BUILT", message, nameSpan, option.refusal?.hint ?? "Remove it");
      return;
    }
    const canonical = option.key as string;
    if (this.values.has(canonical)) {
      this.#fail(
        "SAME_KEY",
        `${option.keyAlias} and ${canonical} are the same key, expected one of them`,
        nameSpan,
      );
      return;
    }
    if (option.kind === "pairs") this.#readPairs(key, option, value);
    else if (option.kind === "grants") this.#readGrants(value);
    else this.#readTexts(key, option, value);
  }

  #readTexts(key: string, option: Option, tree: Tree): void {
    const items = tree.kind === "list" && option.isRepeatable ? tree.items : [tree];
    if (items.length > MAX_LIST) {
      this.#fail(
        "LIST_TOO_LONG",
        `${key} has ${items.length} entries, allowed ${MAX_LIST}`,
        tree.span,
      );
      return;
    }
    const texts: FileValue[] = [];
    for (const item of items) {
      if (item.kind !== "scalar" || item.isEmpty) {
        const found = item.kind === "scalar" ? "is empty" : `is a ${item.kind}`;
        this.#fail("BAD_VALUE", `${key} ${found}, expected ${expectedForm(option)}`, item.span);
      } else texts.push({ text: item.text, span: item.span });
    }
    if (texts.length === items.length) this.values.set(option.key as string, texts);
  }

  #readPairs(key: string, option: Option, tree: Tree): void {
    const items = tree.kind === "list" ? tree.items : [tree];
    for (const item of items) {
      const fields = new Map(
        item.kind === "map" ? item.entries.map((entry) => [entry.name, entry]) : [],
      );
      const cert = scalar(fields.get("cert")?.value);
      const certKey = scalar(fields.get("key")?.value);
      if (cert === undefined || certKey === undefined || fields.size !== 2) {
        this.#fail(
          "BAD_VALUE",
          `An entry of ${key} needs cert and key and nothing else, expected ${expectedForm(option)}`,
          item.span,
        );
      } else this.pairs.push({ cert, key: certKey });
    }
  }

  #readGrants(value: Tree): void {
    const { grants, problems } = readGrants(value);
    this.grants.push(...grants);
    this.#problems.push(...problems);
  }

  #unknown(group: string, name: string, span: Span): void {
    const where = group === "" ? "" : ` in ${group}`;
    // What is right elsewhere is meant rather than what only looks alike here.
    const flagged = keyOfFlag(name);
    const elsewhere = elsewhereOf(name);
    const near = nearest(name, keysIn(group));
    const advice =
      flagged !== undefined
        ? `, which is a flag: the key is ${flagged}`
        : elsewhere !== undefined
          ? `, it belongs in ${elsewhere}`
          : near !== undefined
            ? `, nearest is "${near}"`
            : "";
    const known = keysIn(group).filter((candidate) => isBuiltIn(group, candidate));
    const hint = advice === "" ? `Known${where}: ${known.join(", ")}` : undefined;
    this.#fail("UNKNOWN_KEY", `Unknown key "${name}"${where}${advice}`, span, hint);
  }

  #fail(code: string, message: string, span: Span, hint?: string): void {
    this.#problems.push({
      severity: "error",
      code,
      message,
      span,
      ...(hint !== undefined && { hint }),
    });
  }
}

function scalar(tree: Tree | undefined): FileValue | undefined {
  return tree?.kind === "scalar" && !tree.isEmpty
    ? { text: tree.text, span: tree.span }
    : undefined;
}

/** The key of a flag that is called otherwise: `tls` is `certificates.mode`. */
function keyOfFlag(name: string): string | undefined {
  const option = OPTIONS.find(
    ({ flag, key, commands }) => flag === name && key !== undefined && commands.includes("edge"),
  );
  const key = option?.key;
  return key?.split(".").at(-1) === name ? undefined : key;
}

/** The group where a key of this name would be right. */
function elsewhereOf(name: string): string | undefined {
  const option = OPTIONS.find(({ key }) => key?.split(".").at(-1) === name);
  const group = option?.key?.split(".").slice(0, -1).join(".");
  return group === "" ? "the top level" : group;
}

function isBuiltIn(group: string, name: string): boolean {
  const key = group === "" ? name : `${group}.${name}`;
  return OPTIONS.some(
    (option) => option.isBuilt && (option.key === key || option.key?.startsWith(`${key}.`)),
  );
}
