// This file is a key that nobody knows: which one was meant, and whether the slip could open a door. product.md §3.2, §4.
import { nearest } from "../nearest.ts";
import { OPTIONS } from "../options.ts";
import { PLACES } from "./keys.ts";
import { quoted } from "./quoted.ts";
import type { KeyMap } from "./shape.ts";

/** What is said of such a key. */
export interface UnknownKey {
  readonly message: string;
  readonly hint?: string;
  /** True: what was meant says who may pass. */
  readonly isDoor: boolean;
}

/** A map with more keys than this has a table in docs/CONFIG.md instead. */
const MAX_LISTED = 12;

/** Keys that say who may pass: misspelt or in the wrong place they say nothing, and nobody would notice. */
const DOORS: readonly string[] = [
  ...new Set(
    PLACES.flatMap(({ map }) =>
      map.rows.filter(({ isDoor }) => isDoor === true).map(({ name }) => name),
    ),
  ),
];

/** Judges a key that no row of its map has. */
export function unknownKey(map: KeyMap, name: string): UnknownKey {
  const where = map.name === "" ? "" : ` in ${map.name}`;
  const names = map.rows.map((row) => row.name);
  const { meant, place } = meantKey(map, names, name);
  const isSame = meant === name;
  const advice =
    meant === undefined
      ? ""
      : isSame
        ? `, it belongs ${place}`
        : `, nearest is "${meant}"${place === undefined ? "" : ` ${place}`}`;
  const message = `Unknown key ${quoted(name)}${where}${advice}`;
  const isDoor = meant !== undefined && DOORS.includes(meant);
  if (advice !== "" || names.length > MAX_LISTED) return { message, isDoor };
  return { message, hint: `Known${where}: ${names.join(", ")}`, isDoor };
}

/** The same name in another place, the same but for case here or there, then the nearest one here, then a door elsewhere. */
function meantKey(
  map: KeyMap,
  names: readonly string[],
  name: string,
): { meant?: string; place?: string } {
  const folded = name.toLowerCase();
  const here = names.find((other) => other.toLowerCase() === folded);
  if (here !== undefined) return { meant: here };
  for (const other of PLACES) {
    if (other.map === map) continue;
    const row = other.map.rows.find((each) => each.name.toLowerCase() === folded);
    if (row !== undefined) return { meant: row.name, place: other.where };
  }
  const isOfEdge =
    map.name === "" &&
    OPTIONS.some(({ key, keyAlias }) => key?.split(".")[0] === name || keyAlias === name);
  if (isOfEdge) return { meant: name, place: "in edge.yml, the file of the edge" };
  const near = nearest(name, names);
  if (near !== undefined) return { meant: near };
  const door = nearest(name, DOORS);
  if (door === undefined) return {};
  const place = PLACES.find((other) => other.map.rows.some((row) => row.name === door))?.where;
  return { meant: door, ...(place !== undefined && { place }) };
}
