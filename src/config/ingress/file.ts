// This file is `config.yml` as a whole: what it says of rules and of the connection, and what is wrong with it. product.md §3.2 to §3.4, §4.
import { join } from "node:path";
import type { FileValue } from "../edge.ts";
import { parseTree } from "../document.ts";
import type { Problem, Span } from "../report.ts";
import type { Judged, JudgedMap, JudgeOptions } from "./judge.ts";
import { Judge } from "./judge.ts";
import { TOP } from "./keys.ts";
import { kindOf } from "./kind.ts";
import { oneOrigin, readOneService, warnOfOneService } from "./one-service.ts";
import type { NamedFile, OriginDraft } from "./origin.ts";
import { ORIGIN_DRAFT, withKeys } from "./origin.ts";
import type { RuleDraft } from "./rules.ts";
import { judgeAccess } from "./judge-origin.ts";
import { readRules } from "./rules.ts";

const OTHER_FILE = "This is a configuration of the edge, expected one of a connector";

/** What a file says, before the files it names were read. */
export interface ConnectorFile {
  /** False where the text is no YAML at all: then nothing below is known. */
  readonly isReadable: boolean;
  readonly rules: readonly RuleDraft[];
  /** Settings for a service that is named elsewhere: those of the top level and of the one-service form. */
  readonly origin: OriginDraft;
  /** False: the one-service form, or nothing. */
  readonly hasIngress: boolean;
  /** Where `url` stands. */
  readonly url: Span | undefined;
  /** Settings that flags have too, by the key of the file; read by `settings.ts`. */
  readonly values: ReadonlyMap<string, readonly FileValue[]>;
  readonly credentials: {
    readonly file: NamedFile | undefined;
    readonly contents: string | undefined;
  };
  readonly token: { readonly file: NamedFile | undefined; readonly text: string | undefined };
  readonly tags: readonly { readonly name: string; readonly value: string }[];
  readonly mostLinks: number | undefined;
  readonly fingerprint: string | undefined;
  readonly kernelTuning: boolean;
  readonly problems: readonly Problem[];
  /** What has no effect and surprises nobody; for level debug. */
  readonly notes: readonly string[];
}

/** Reads the text of a connector's file; never throws. */
export function readConnectorFile(text: string, options: JudgeOptions): ConnectorFile {
  const { tree, problems } = parseTree(text);
  const isReadable = tree !== undefined || problems.length === 0;
  const isOther = kindOf(tree) === "edge";
  const judge = new Judge(options, problems);
  // Of a file of the other end every key would be told, and no telling would help.
  if (isOther) judge.error("OTHER_FILE", OTHER_FILE, undefined, "Run tunl edge --config FILE");
  const top: JudgedMap = tree === undefined || isOther ? new Map() : judge.map(TOP, tree);
  const ingress = top.get("ingress");
  const edge = top.get("edge");
  if (edge?.tree.kind === "list")
    judge.later("edge with several addresses", edge.tree.span, "Name one");
  const defaults = defaultsOf(judge, top);
  const hasIngress =
    ingress !== undefined && !(ingress.tree.kind === "list" && ingress.tree.items.length === 0);
  let rules: readonly RuleDraft[] = [];
  if (hasIngress) {
    rules = readRules(judge, ingress.tree, defaults);
    warnOfOneService(judge, top);
  } else if (isReadable && !isOther && (tree === undefined || tree.kind === "map"))
    rules = [readOneService(judge, top, defaults)];
  return {
    isReadable,
    rules,
    origin: oneOrigin(top, defaults),
    hasIngress,
    url: top.get("url")?.nameSpan,
    values: valuesOf(top),
    credentials: {
      file: fileOf(top, "credentials-file"),
      contents: textOf(top, "credentials-contents"),
    },
    token: { file: fileOf(top, "token-file"), text: textOf(top, "token") },
    tags: tagsOf(top),
    mostLinks: mostLinksOf(top),
    fingerprint: textOf(top, "fingerprint") || undefined,
    kernelTuning: textOf(top, "kernelTuning") !== "off",
    problems,
    notes: judge.notes,
  };
}

/** Settings of the top level are the defaults of every rule; `ipRules` counts in a rule alone, as in cloudflared. */
function defaultsOf(judge: Judge, top: JudgedMap): OriginDraft {
  const found = top.get("originRequest")?.value;
  if (!(found instanceof Map)) return ORIGIN_DRAFT;
  const origin: JudgedMap = found;
  judgeAccess(judge, origin);
  const ipRules = origin.get("ipRules");
  if (ipRules === undefined || isEmptyList(ipRules.value)) return withKeys(ORIGIN_DRAFT, origin);
  judge.warn(
    "NO_EFFECT",
    "ipRules has no effect at the top level, it belongs in originRequest of a rule with socks-proxy",
    ipRules.nameSpan,
  );
  return withKeys(ORIGIN_DRAFT, new Map([...origin].filter(([name]) => name !== "ipRules")));
}

function isEmptyList(value: Judged): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** Keys that flags have too, under the same name in the option table. */
const SETTINGS = [
  "tunnel",
  "edge",
  "grace-period",
  "loglevel",
  "logfile",
  "log-directory",
  "output",
  "pidfile",
  "label",
  "edge-ip-version",
  "accessLog",
] as const;

function valuesOf(top: JudgedMap): Map<string, readonly FileValue[]> {
  const values = new Map<string, readonly FileValue[]>();
  for (const name of SETTINGS) {
    const found = top.get(name);
    if (found?.tree.kind !== "scalar" || found.value === "") continue;
    const { text, span } = found.tree;
    if (name === "log-directory") {
      if (!values.has("logfile")) values.set("logfile", [{ text: join(text, "tunl.log"), span }]);
      continue;
    }
    values.set(name, [{ text: translated(name, text), span }]);
  }
  return values;
}

/** cloudflared's words in ours. */
function translated(name: string, text: string): string {
  if (name === "loglevel" && (text === "fatal" || text === "panic")) return "error";
  if (name === "output" && text === "default") return "auto";
  return text;
}

function tagsOf(top: JudgedMap): ConnectorFile["tags"] {
  const tags = top.get("tag")?.value;
  if (!Array.isArray(tags)) return [];
  return tags.map((tag) => {
    const text = String(tag);
    const equals = text.indexOf("=");
    return { name: text.slice(0, equals), value: text.slice(equals + 1) };
  });
}

/** `ha-connections` bounds what `links` asks for. */
function mostLinksOf(top: JudgedMap): number | undefined {
  const counts = ["links", "ha-connections"]
    .map((name) => top.get(name)?.value)
    .filter((value) => typeof value === "number");
  return counts.length === 0 ? undefined : Math.min(...counts);
}

function textOf(top: JudgedMap, name: string): string | undefined {
  const value = top.get(name)?.value;
  return typeof value === "string" ? value : undefined;
}

function fileOf(top: JudgedMap, name: string): NamedFile | undefined {
  const found = top.get(name);
  return typeof found?.value === "string"
    ? { path: found.value, span: found.tree.span }
    : undefined;
}
