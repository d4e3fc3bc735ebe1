// This file is the one-service form: a service and its settings as top-level keys, used where no rules are. product.md §3.2.
import { resolvePath } from "../values.ts";
import type { Found, Judge, JudgedMap } from "./judge.ts";
import { ONE_SERVICE, TWINS } from "./keys.ts";
import type { OriginDraft } from "./origin.ts";
import { withKeys } from "./origin.ts";
import type { RuleDraft } from "./rules.ts";
import { laterService, readService } from "./service.ts";
import { likelyForms } from "./target-forms.ts";
import type { ServiceOptions } from "./types.ts";

const WHOLE = { line: 1, column: 1, length: 1 };
/** As cloudflared chooses where several are there. */
const ORDER = ["hello-world", "bastion", "url", "unix-socket"] as const;
const LATER_HINT = "Name an HTTP service, or wait for a version that has it";

/** The one rule; without any service key every request is answered with 503. */
export function readOneService(judge: Judge, top: JudgedMap, defaults: OriginDraft): RuleDraft {
  const origin = oneOrigin(top, defaults);
  const chosen = ORDER.map((name) => top.get(name)).filter(
    (found) => found !== undefined && found.value !== false,
  )[0];
  for (const name of ORDER) {
    const other = top.get(name);
    if (other === undefined || other === chosen || other.value === false) continue;
    judge.warn("NO_EFFECT", `${name} has no effect beside ${chosen?.row?.name}`, other.nameSpan);
  }
  if (chosen === undefined) {
    judge.warn(
      "NO_RULES",
      "No ingress and no url: every request is answered 503",
      undefined,
      "Write ingress: with the rules, or url: with the one service",
    );
  }
  return {
    rule: {
      hostname: "",
      path: undefined,
      service: (chosen === undefined ? undefined : serviceOf(judge, chosen)) ?? {
        kind: "static",
        status: 503,
        url: "http_status:503",
      },
      originRequest: origin.options,
      allowAmbiguousPaths: false,
    },
    origin,
    span: chosen?.nameSpan ?? WHOLE,
  };
}

/** The settings of this form, over those of `originRequest`. */
export function oneOrigin(top: JudgedMap, defaults: OriginDraft): OriginDraft {
  const keys = new Map<string, Found>();
  for (const [name, twin] of Object.entries(TWINS)) {
    const found = top.get(name);
    if (found !== undefined) keys.set(twin, found);
  }
  const socks = top.get("socks5");
  if (socks?.value === true) keys.set("proxyType", { ...socks, value: "socks" });
  return withKeys(defaults, keys);
}

/** Keys of this form beside rules: known, and never used. */
export function warnOfOneService(judge: Judge, top: JudgedMap): void {
  for (const [name, { nameSpan }] of top) {
    if (!ONE_SERVICE.has(name)) continue;
    const twin = TWINS[name];
    judge.warn(
      "NO_EFFECT",
      `${name} has no effect beside ingress`,
      nameSpan,
      twin === undefined ? "Write a rule for it" : `Write ${twin} in originRequest`,
    );
  }
}

function serviceOf(
  judge: Judge,
  { row, value, tree, nameSpan }: Found,
): ServiceOptions | undefined {
  if (row?.name === "hello-world") return { kind: "static", status: undefined, url: "hello_world" };
  if (row?.name === "bastion") {
    judge.later('Service "bastion"', nameSpan, LATER_HINT);
    return { kind: "bastion", url: "bastion" };
  }
  const text = String(value);
  if (row?.name === "unix-socket") {
    const path = resolvePath(text, judge.options);
    return { kind: "unix", isTls: false, path, authority: "localhost", url: `unix:${path}` };
  }
  const first = readService(text, false, judge.options);
  if ("service" in first) {
    const later = laterService(first.service);
    if (later !== undefined) judge.later(later, tree.span, LATER_HINT);
    return first.service;
  }
  // There a URL may come without a scheme, and a path behind it is dropped.
  const bare = likelyForms(text)[0];
  const second =
    bare === undefined || text.includes("@") ? first : readService(bare, false, judge.options);
  if ("service" in second) {
    if (/[^/:]\/[^/]/.test(text))
      judge.warn(
        "NO_EFFECT",
        `The path of url has no effect: visitors bring theirs`,
        tree.span,
        `Write ${second.service.url}`,
      );
    return second.service;
  }
  judge.error(first.code, first.message, tree.span, first.hint, first.isSecret);
  return undefined;
}
