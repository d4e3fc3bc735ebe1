// This file is random names such as `brave-otter`, and the labels that nobody may claim. product.md §3.1 `names`, §6 item 1.
import { ADJECTIVES, NOUNS } from "./words.ts";

/** How a random label looks; `names.style`. */
export type NameStyle = "two-words" | "three-words" | "hex";

/** Labels only `edge grant` gives, unless the configuration says otherwise; a final `*` stands for any rest. */
export const RESERVED_LABELS: readonly string[] = [
  "www",
  "mail",
  "ns1",
  "ns2",
  "autoconfig",
  "autodiscover",
  "_*",
];

/** Digits of a name in style `hex`: 2^40 values, against a few thousand names in use. */
const HEX_DIGITS = 10;

/**
 * Draws a label.
 *
 * @param random Gives an integer from 0 up to, without, its argument; `randomInt` of node:crypto outside tests.
 * @returns An LDH label of at most 26 characters. Whether it is free is for the caller to see.
 */
export function drawName(style: NameStyle, random: (below: number) => number): string {
  const pick = (list: readonly string[]): string => list[random(list.length)] as string;
  switch (style) {
    case "two-words":
      return `${pick(ADJECTIVES)}-${pick(NOUNS)}`;
    case "three-words":
      return `${pick(ADJECTIVES)}-${pick(ADJECTIVES)}-${pick(NOUNS)}`;
    case "hex":
      return Array.from({ length: HEX_DIGITS }, () => random(16).toString(16)).join("");
    default:
      return style satisfies never;
  }
}

/** True when `label`, canonical, is one of `reserved` (`names.reserved`). */
export function isReserved(label: string, reserved: readonly string[]): boolean {
  return reserved.some((entry) =>
    entry.endsWith("*") ? label.startsWith(entry.slice(0, -1)) : label === entry,
  );
}
