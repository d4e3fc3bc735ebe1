// This file is docs/ARCHITECTURE.md held against the tree: every path it names is there, every folder is named, and its table is that of the layers.
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { cellsOf, isThere, quoted, ROOT, textOf, withoutTicks } from "./text.ts";

const text = textOf("docs/ARCHITECTURE.md");

/** Reached by everyone, so not repeated in each row. */
const EVERYONES = new Set(["errors", "bytes", "staging", "received", "pause", "limits"]);

/** Paths of the block with the map, below the repository; folders end with a slash. */
function mapped(): string[] {
  const block = /```map\n([^]*?)```/.exec(text)?.[1] ?? "";
  const folders: string[] = [];
  const paths: string[] = [];
  for (const line of block.split("\n").filter((each) => each !== "")) {
    const depth = (/^ */.exec(line)?.[0].length ?? 0) / 2;
    const [names = ""] = line.trim().split(/ {2,}/);
    folders.length = depth;
    for (const name of names.split(" ")) {
      paths.push(`src/${[...folders, name].join("/")}`.replaceAll("//", "/"));
      if (name.endsWith("/")) folders[depth] = name.slice(0, -1);
    }
  }
  return paths;
}

/** Layers of test/layers.test.ts that exist in src, and what each may reach. */
function layers(): Map<string, string[]> {
  const source = textOf("test/layers.test.ts");
  const start = source.indexOf("const LAYERS");
  const block = source.slice(start, source.indexOf("};", start));
  const found = new Map<string, string[]>();
  for (const [, name, reach] of block.matchAll(/^ {2}"?([\w-]+)"?:\s*"([^"]*)"/gm)) {
    if (exists(name as string)) found.set(name as string, (reach as string).split(" "));
  }
  return found;
}

function exists(layer: string): boolean {
  return isThere(`src/${layer}`) || isThere(`src/${layer}.ts`);
}

describe("docs/ARCHITECTURE.md", () => {
  test("names paths that exist", () => {
    const paths = quoted(text).filter(
      (word) => /^[\w./-]+$/.test(word) && (word.includes("/") || /\.(?:ts|md|yml)$/.test(word)),
    );
    expect(paths.length).toBeGreaterThan(60);
    const missing = paths.filter((path) => !isThere(path) && !isThere(`src/${path}`));
    // Names of a user's file and of a protocol, which are no paths here.
    expect(
      missing.filter((path) => !["index.ts", "serve.ts", "edge.yml", "tunl/1"].includes(path)),
    ).toEqual([]);
  });

  test("maps files that exist", () => {
    const paths = mapped();
    expect(paths.length).toBeGreaterThan(100);
    expect(paths.filter((path) => !isThere(path))).toEqual([]);
  });

  test("maps every folder and every file at the top of src", () => {
    const entries = readdirSync(join(ROOT, "src"), { withFileTypes: true, recursive: true });
    const wanted = entries
      .map((entry) => ({ entry, path: join(entry.parentPath, entry.name).slice(ROOT.length) }))
      .filter(({ entry, path }) => entry.isDirectory() || path.split("/").length === 2)
      .map(({ entry, path }) => (entry.isDirectory() ? `${path}/` : path));
    expect(wanted.length).toBeGreaterThan(15);
    const paths = new Set(mapped());
    expect(wanted.filter((path) => !paths.has(path))).toEqual([]);
  });

  test("has the table of the layers", () => {
    const start = text.indexOf("| layer | may reach | is |");
    const rows = text.slice(start, text.indexOf("\n\n", start)).split("\n").slice(2).map(cellsOf);
    const written = new Map(
      rows.map(([layer, reach]) => [
        withoutTicks(layer),
        (reach === "nothing" ? "" : (reach ?? ""))
          .split(", ")
          .filter((name) => name !== "")
          .sort(),
      ]),
    );
    const real = new Map(
      [...layers()]
        .filter(([name]) => !EVERYONES.has(name) || written.has(name))
        .map(([name, reach]) => [
          name,
          reach.filter((each) => each !== "" && exists(each) && !EVERYONES.has(each)).sort(),
        ]),
    );
    expect(real.size).toBeGreaterThan(15);
    expect(Object.fromEntries(written)).toEqual(Object.fromEntries(real));
  });
});
