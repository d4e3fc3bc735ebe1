// This file is the names of tunnels, accounts and keys: a label each, numbered where one is in use. product.md §6 item 2.
import { TunlError } from "../../errors.ts";
import type { Transaction } from "./transaction.ts";

/** Room for `-NNNN` below the 63 characters of a label. */
export const MAX_NAME = 56;
const MAX_SAME_NAME = 9_999;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/** True for what a tunnel may be called by who makes it; a UUID would be mistaken for an id (`--tunnel NAME|UUID`). */
export function isName(text: string): boolean {
  return text.length <= MAX_NAME && LABEL.test(text) && !UUID.test(text);
}

/** `home`, then `home-2`: the wished name in form, numbered until `isTaken` (a query for `?1`) finds no row. */
export function freeName(
  transaction: Transaction,
  isTaken: string,
  wished: string,
  ...values: string[]
): string {
  const base = tidyName(wished);
  for (let number = 1; number <= MAX_SAME_NAME; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (transaction.one(isTaken, name, ...values) === undefined) return name;
  }
  throw new TunlError("STORE_FAILED", `No free name like "${base}" after ${MAX_SAME_NAME} tries`);
}

/** Brings a machine's name into the form of a label. */
export function tidyName(wished: string): string {
  const label = wished
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, MAX_NAME)
    .replace(/^-|-$/g, "");
  return label === "" || UUID.test(label) ? "tunnel" : label;
}
