// This file is `ingress`: the list of rules, each judged on its own, and all of them by their order. product.md §3.3.
import { TunlError } from "../../errors.ts";
import { compileExpression } from "../../expression.ts";
import type { Tree } from "../document.ts";
import type { Span } from "../report.ts";
import { judgeAccess, judgeOrigin } from "./judge-origin.ts";
import { readHostname } from "./hostname.ts";
import type { Found, Judge, JudgedMap } from "./judge.ts";
import { MAX_LIST } from "./judge.ts";
import { quoted } from "./quoted.ts";
import { RULE } from "./keys-origin.ts";
import type { OriginDraft } from "./origin.ts";
import { booleanOf, scalarOf, withKeys } from "./origin.ts";
import { laterService, readService } from "./service.ts";
import type { IngressRule, ServiceOptions } from "./types.ts";

/** A rule before the files it names were read. */
export interface RuleDraft {
  readonly rule: IngressRule;
  readonly origin: OriginDraft;
  /** Where the rule begins. */
  readonly span: Span;
}

/** What of a rule decides about its place. */
interface Placed {
  readonly isCatchAll: boolean;
  /** In canonical form; "" for every host, and for one that is none. */
  readonly hostname: string;
  readonly hasPath: boolean;
  readonly span: Span;
  readonly shown: string;
}

/** What stands in for a service that could not be read, so that the rest of its rule is judged. */
const NONE: ServiceOptions = { kind: "static", status: 503, url: "http_status:503" };
const LATER_HINT = "Take the rule out until a version that has it is installed";

/** Reads the list of rules. */
export function readRules(judge: Judge, tree: Tree, defaults: OriginDraft): readonly RuleDraft[] {
  if (tree.kind !== "list") {
    judge.error(
      "BAD_VALUE",
      "ingress is no list, expected one such as  - service: http_status:404",
      tree.span,
    );
    return [];
  }
  if (tree.items.length > MAX_LIST) {
    judge.error(
      "LIST_TOO_LONG",
      `ingress has ${tree.items.length} rules, allowed ${MAX_LIST}`,
      tree.span,
    );
    return [];
  }
  const drafts: RuleDraft[] = [];
  const places: Placed[] = [];
  for (const [index, item] of tree.items.entries()) {
    const read = readRule(judge, item, index, defaults);
    if (read === undefined) continue;
    drafts.push(read.draft);
    places.push(read.placed);
  }
  // With a rule missing, what is last is not known.
  if (places.length === tree.items.length) {
    judgeOrder(judge, places);
    judgeCovered(judge, places);
  }
  return drafts;
}

function readRule(
  judge: Judge,
  tree: Tree,
  number: number,
  defaults: OriginDraft,
): { draft: RuleDraft; placed: Placed } | undefined {
  if (tree.kind !== "map") {
    judge.error(
      "NOT_A_MAP",
      `Rule #${number} holds no keys, expected a map such as  - service: http_status:404`,
      tree.span,
    );
    return undefined;
  }
  const found = judge.map(RULE, tree);
  const origin = originOf(judge, found, defaults);
  const hostname = hostnameOf(judge, found.get("hostname"));
  const path = pathOf(judge, found.get("path"), number);
  const service = serviceOf(judge, found, { number, origin, span: tree.span });
  const { bastionMode } = origin.options;
  judgeOrigin(judge, found, { origin, service, number });
  const rule: IngressRule = {
    hostname: hostname ?? "",
    path,
    service: service ?? NONE,
    originRequest:
      service?.kind === "bastion" && !bastionMode
        ? { ...origin.options, bastionMode: true }
        : origin.options,
    allowAmbiguousPaths: booleanOf(scalarOf(found.get("allowAmbiguousPaths")?.value)) ?? false,
  };
  const hasPath = (textOf(found.get("path")) ?? "") !== "" || isNode(found.get("path"));
  const isCatchAll = hostname === "" && !hasPath;
  const shown = [textOf(found.get("hostname")), textOf(found.get("path"))]
    .map((text) => (text === undefined ? [] : [quoted(text)]))
    .flat()
    .join(" and path ");
  return {
    draft: { rule, origin, span: tree.span },
    placed: { isCatchAll, hostname: hostname ?? "", hasPath, span: tree.span, shown },
  };
}

/** A rule behind one that takes all of its host never has its turn: no mistake that stops anything, but hardly meant. */
function judgeCovered(judge: Judge, places: readonly Placed[]): void {
  /** Number of the first rule that takes every request of a host, or of all below it. */
  const takers = new Map<string, number>();
  for (const [number, { hostname, hasPath, span }] of places.entries()) {
    if (hostname === "") continue;
    const by = coveringOf(hostname).find((pattern) => takers.has(pattern));
    if (by !== undefined) {
      const taker = `rule #${takers.get(by)}`;
      judge.warn(
        "DEAD_RULE",
        `Rule #${number} can never be reached: ${taker} takes every request of ${quoted(by)}`,
        span,
        `Put it in front of ${taker}, or remove it`,
      );
    } else if (!hasPath) takers.set(hostname, number);
  }
}

/** The host itself and every wildcard above it: `a.b.c` is taken by `a.b.c`, `*.b.c` and `*.c`. */
function coveringOf(hostname: string): string[] {
  const labels = hostname.replace(/^\*\./, "").split(".");
  const above = labels.map((_, index) => `*.${labels.slice(index + 1).join(".")}`);
  return [hostname, ...above.slice(0, -1)];
}

/** Only the last rule catches all, and the last rule does. */
function judgeOrder(judge: Judge, places: readonly Placed[]): void {
  const last = places.length - 1;
  const first = places.findIndex(({ isCatchAll }) => isCatchAll);
  if (first !== -1 && first < last) {
    const dead =
      last - first === 1
        ? `rule #${last}`
        : last - first === 2
          ? `rules #${last - 1} and #${last}`
          : `rules #${first + 1} to #${last}`;
    judge.error(
      "DEAD_RULES",
      `Rule #${first} matches every host, ${dead} can never be reached`,
      places[first]?.span,
      `Move rule #${first} to the end`,
    );
    return;
  }
  if (first === last) return;
  const { shown, span } = places[last] as Placed;
  judge.error(
    "NO_CATCH_ALL",
    `Last rule matches only ${shown}, expected a catch-all such as  service: http_status:404`,
    span,
  );
}

function originOf(judge: Judge, found: JudgedMap, defaults: OriginDraft): OriginDraft {
  const own = found.get("originRequest")?.value;
  if (!(own instanceof Map)) return defaults;
  judgeAccess(judge, own);
  return withKeys(defaults, own);
}

function hostnameOf(judge: Judge, found: Found | undefined): string | undefined {
  if (found === undefined) return "";
  const text = textOf(found);
  if (text === undefined) {
    judge.error(
      "BAD_VALUE",
      `hostname is a ${found.tree.kind}, expected a name such as app.example.com`,
      found.tree.span,
    );
    return undefined;
  }
  const reading = readHostname(text);
  if ("hostname" in reading) return reading.hostname;
  judge.error("HOSTNAME_INVALID", reading.message, found.tree.span, reading.hint);
  return undefined;
}

function pathOf(judge: Judge, found: Found | undefined, number: number): string | undefined {
  if (found === undefined) return undefined;
  const text = textOf(found);
  if (text === undefined) {
    judge.error(
      "BAD_VALUE",
      `path is a ${found.tree.kind}, expected an expression such as ^/api/`,
      found.tree.span,
    );
    return undefined;
  }
  if (text === "") return undefined;
  try {
    compileExpression(text);
    return text;
  } catch (error) {
    if (!(error instanceof TunlError)) throw error;
    judge.error(
      "EXPRESSION_INVALID",
      `path of rule #${number} is no RE2 expression: ${error.message}`,
      found.tree.span,
      adviceOf(text),
    );
    return undefined;
  }
}

/** The commonest wrong expressions are patterns of a shell. */
function adviceOf(path: string): string | undefined {
  if (/^\*/.test(path)) {
    const ending = path.replace(/^\*+/, "").replace(/[.]/g, "\\$&");
    return `A path is an expression and no pattern: write '${ending}$' for what ends so`;
  }
  if (/\(\?[=!<]|\\[1-9]/.test(path))
    return "RE2 has no look-around and no back-references; write rules in the order that decides instead";
  return undefined;
}

function serviceOf(
  judge: Judge,
  found: JudgedMap,
  { number, origin, span }: { number: number; origin: OriginDraft; span: Span },
): ServiceOptions | undefined {
  const { bastionMode } = origin.options;
  const service = found.get("service");
  if (service === undefined) {
    if (bastionMode) return { kind: "bastion", url: "bastion" };
    if (found.has("origins")) return undefined;
    judge.error(
      "SERVICE_MISSING",
      `Rule #${number} has no service, expected one such as http://localhost:8000`,
      span,
    );
    return undefined;
  }
  const text = textOf(service);
  if (text === undefined) {
    judge.error(
      "BAD_VALUE",
      `service is a ${service.tree.kind}, expected one such as http://localhost:8000`,
      service.tree.span,
    );
    return undefined;
  }
  const reading = readService(text, bastionMode, judge.options);
  if (!("service" in reading)) {
    judge.error(reading.code, reading.message, service.tree.span, reading.hint, reading.isSecret);
    return undefined;
  }
  const later = laterService(reading.service);
  if (later !== undefined) judge.later(later, service.tree.span, LATER_HINT);
  return reading.service;
}

function isNode(found: Found | undefined): boolean {
  return found !== undefined && found.tree.kind !== "scalar";
}

function textOf(found: Found | undefined): string | undefined {
  return found?.tree.kind === "scalar" ? found.tree.text : undefined;
}
