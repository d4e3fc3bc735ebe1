// This file is which of the two files a text is: by the keys that only one of them has. product.md §2.3.
import type { Tree } from "../document.ts";
import { OPTIONS } from "../options.ts";
import { TOP } from "./keys.ts";

export type FileKind = "edge" | "connector";

/** @returns undefined where none of its keys, or as many of both, say so. */
export function kindOf(tree: Tree | undefined): FileKind | undefined {
  const names = tree?.kind === "map" ? tree.entries.map(({ name }) => name) : [];
  const connectors = names.filter((name) => isConnectors(name) && !isEdges(name)).length;
  const edges = names.filter((name) => isEdges(name) && !isConnectors(name)).length;
  if (connectors === edges) return undefined;
  return connectors > edges ? "connector" : "edge";
}

function isConnectors(name: string): boolean {
  return TOP.rows.some((row) => row.name === name);
}

function isEdges(name: string): boolean {
  return OPTIONS.some(({ key, keyAlias }) => key?.split(".")[0] === name || keyAlias === name);
}
