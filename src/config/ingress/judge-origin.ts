// This file is what keys of `originRequest` mean together and beside a service: `access` and `ipRules`. product.md §3.3, §3.4.
import { parseCidr } from "./cidr.ts";
import type { Judge, JudgedMap } from "./judge.ts";
import type { OriginDraft } from "./origin.ts";
import { quoted } from "./quoted.ts";
import type { ServiceOptions } from "./types.ts";

/** What single keys cannot say: which of `access` and `ipRules` need each other. */
export function judgeAccess(judge: Judge, origin: JudgedMap): void {
  const access = origin.get("access");
  if (access?.value instanceof Map) {
    const value = (name: string) =>
      access.value instanceof Map ? access.value.get(name)?.value : undefined;
    const tags = value("audTag");
    const hasTags = Array.isArray(tags) && tags.length > 0;
    if (value("required") === true && hasTags && !value("teamName"))
      judge.error(
        "ACCESS_INVALID",
        "access has audTag and no teamName, expected both or neither",
        access.nameSpan,
      );
  }
  const rules = origin.get("ipRules");
  if (rules?.tree.kind !== "list" || !Array.isArray(rules.value)) return;
  for (const [index, item] of rules.tree.items.entries()) {
    const judged: unknown = rules.value[index];
    if (!(judged instanceof Map)) continue;
    if (item.kind === "map" && !item.entries.some(({ name }) => name === "prefix")) {
      judge.error(
        "IP_RULE_INVALID",
        `Entry ${index + 1} of ipRules has no prefix, expected a CIDR such as 10.0.0.0/8`,
        item.span,
      );
      continue;
    }
    const text = (judged as JudgedMap).get("prefix")?.tree;
    const cidr = text?.kind === "scalar" ? parseCidr(text.text) : undefined;
    if (cidr?.hasHostBits === true)
      judge.warn(
        "IP_RULE_HOST_BITS",
        `prefix is ${quoted(text?.kind === "scalar" ? text.text : "")}, which means ${cidr.canonical}`,
        text?.span,
      );
  }
}

/** What only the rule says: whether its service looks at `ipRules`. */
export function judgeOrigin(
  judge: Judge,
  found: JudgedMap,
  {
    origin,
    service,
    number,
  }: { origin: OriginDraft; service: ServiceOptions | undefined; number: number },
): void {
  const own = found.get("originRequest")?.value;
  const ipRules = own instanceof Map ? (own as JudgedMap).get("ipRules") : undefined;
  if (
    ipRules !== undefined &&
    service !== undefined &&
    service.kind !== "socks" &&
    service.kind !== "bastion"
  )
    judge.warn(
      "NO_EFFECT",
      `ipRules has no effect: rule #${number} is neither socks-proxy nor bastion`,
      ipRules.nameSpan,
    );
  if (service?.kind === "socks" && origin.options.ipRules.length === 0)
    judge.warn(
      "NO_IP_RULES",
      `Rule #${number} has no ipRules: socks-proxy dials nothing without one`,
      found.get("service")?.nameSpan,
    );
}
