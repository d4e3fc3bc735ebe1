// This file is the tables of docs/CONFIG.md about `config.yml`, as they follow from the table of its keys.
import { KEY_TABLES, ONE_SERVICE } from "../../src/config/ingress/keys.ts";
import { ACCESS, IP_RULE, ORIGIN_REQUEST, RULE } from "../../src/config/ingress/keys-origin.ts";
import { scalarForm } from "../../src/config/ingress/scalars.ts";
import type { KeyRow, Shape, ValueShape } from "../../src/config/ingress/shape.ts";

type Table = { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };

function form(shape: Shape): string {
  switch (shape.is) {
    case "value":
      return `${scalarForm(shape)}${bounds(shape)}`;
    case "list":
      return `list: ${form(shape.of)}`;
    case "map":
      return "map";
    case "named":
      return "map by name";
    case "either":
      return shape.of.map(form).join(", or ");
    case "own":
      return shape.expected;
    default:
      shape satisfies never;
      return "";
  }
}

function bounds({ kind, min, max }: ValueShape): string {
  if (kind !== "integer" || min === undefined || max === undefined) return "";
  return `, ${min.toLocaleString("en-US")} to ${max.toLocaleString("en-US")}`;
}

function meaning({ about, effect }: KeyRow): string {
  if (effect.is === "later") return `${about} (not in this version)`;
  return effect.is === "warned" && about !== effect.why ? `${about}; warning` : about;
}

function keyRow(row: KeyRow): string[] {
  const standard = row.default === undefined ? "" : `\`${row.default}\``;
  return [`\`${row.name}\``, form(row.shape), standard, meaning(row)];
}

function table(rows: readonly KeyRow[]): Table {
  return { head: ["key", "value", "default", "meaning"], rows: rows.map(keyRow) };
}

/** Keys with the same reason share a row. */
function reasons(rows: readonly KeyRow[]): Table {
  const byReason = new Map<string, string[]>();
  for (const { name, effect } of rows) {
    const why = "why" in effect ? effect.why : "";
    byReason.set(why, [...(byReason.get(why) ?? []), `\`${name}\``]);
  }
  return {
    head: ["keys", "why"],
    rows: [...byReason].map(([why, names]) => [names.join(" "), why]),
  };
}

export const CONNECTOR_TABLES: Readonly<Record<string, Table>> = {
  "config.yml, keys of cloudflared": table(KEY_TABLES.shared),
  "config.yml, one service": table(KEY_TABLES.services.filter(({ name }) => ONE_SERVICE.has(name))),
  "config.yml, own keys": table(KEY_TABLES.own),
  "config.yml, without effect": reasons(KEY_TABLES.ignored),
  "config.yml, without effect and with a warning": reasons(KEY_TABLES.warned),
  "config.yml, a rule": table(RULE.rows),
  "config.yml, originRequest": table(ORIGIN_REQUEST.rows),
  "config.yml, access and ipRules": {
    head: ["key", "value", "default", "meaning"],
    rows: [ACCESS, IP_RULE].flatMap(({ name, rows }) =>
      rows.map((row) => {
        const [key = "", ...rest] = keyRow(row);
        return [`\`${name}.${key.slice(1)}`, ...rest];
      }),
    ),
  },
};
