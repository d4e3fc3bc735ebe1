// This file is THE table of flags and edge.yml keys, with defaults, sentences, phases and what this build has. product.md §2, §3.1.
import type { CommandName, Option } from "./option.ts";
import { ASKING_OPTIONS } from "./options-account.ts";
import { CONNECT_OPTIONS, EVERYWHERE_OPTIONS } from "./options-connect.ts";
import { CHECK_OPTIONS } from "./options-check.ts";
import { EDGE_KEYS, EDGE_OPTIONS, INVITE_OPTIONS } from "./options-edge.ts";
import { DNS_KEYS, DNS_OPTIONS } from "./options-dns.ts";
import { NAMES_KEYS } from "./options-names.ts";
import { ACCOUNT_OPTIONS } from "./options-owner.ts";
import { LATER_FLAGS, LATER_KEYS } from "./options-later.ts";

/** Every row, in the order of --help. */
export const OPTIONS: readonly Option[] = [
  ...EDGE_OPTIONS,
  ...DNS_OPTIONS,
  ...EDGE_KEYS,
  ...DNS_KEYS,
  ...NAMES_KEYS,
  ...INVITE_OPTIONS,
  ...ACCOUNT_OPTIONS,
  ...CONNECT_OPTIONS,
  ...ASKING_OPTIONS,
  ...CHECK_OPTIONS,
  ...EVERYWHERE_OPTIONS,
  ...LATER_FLAGS,
  ...LATER_KEYS,
];

/** Groups of `edge.yml` that may be `off` as a whole. */
export const GROUPS_OFF: ReadonlySet<string> = new Set(["limits.acceptPerIp"]);

/** The rows whose flag a command takes, refused ones too. */
export function optionsOf(command: CommandName): readonly Option[] {
  return OPTIONS.filter((option) => option.flag !== undefined && option.commands.includes(command));
}

/** The row of a key of `edge.yml`; aliases lead to the same row. */
export function optionOfKey(key: string): Option | undefined {
  return OPTIONS.find((option) => option.key === key || option.keyAlias === key);
}

/** Names that may stand in a group of `edge.yml` ("" is the top level), without duplicates. */
export function keysIn(group: string): readonly string[] {
  const prefix = group === "" ? "" : `${group}.`;
  const names = new Set<string>();
  for (const { key, keyAlias } of OPTIONS) {
    for (const name of [key, keyAlias]) {
      if (name?.startsWith(prefix)) names.add(name.slice(prefix.length).split(".")[0] as string);
    }
  }
  return [...names];
}
