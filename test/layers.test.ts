// This file is the table of who may import whom, held against the source text. style.md §4, dependencies.md §4 rule 3.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const SRC = fileURLToPath(new URL("../src", import.meta.url));

/** What each layer may reach. A file directly in `src` is a layer of its own. */
const LAYERS: Readonly<Record<string, string>> = {
  errors: "",
  // Cheap copies; reached by every layer, like errors.
  bytes: "",
  // Memory of socket writes, shared by whoever writes to sockets.
  staging: "errors",
  // Memory of what sockets deliver: said by whoever reads them, and by whoever was the last to look at its bytes.
  received: "",
  // Stops the reading of a socket.
  pause: "",
  // Counts what held somebody back; reached by every layer, like errors.
  limits: "",
  "log-events": "",
  log: "log-events",
  metrics: "",
  deadlines: "",
  descriptors: "",
  // The owner's socket, which both ends open.
  "control-socket": "errors",
  ui: "",
  msgpack: "bytes errors",
  address: "bytes errors",
  headers: "bytes errors",
  http1: "headers bytes received errors",
  http2: "headers bytes errors",
  // Codes of failed dials in words, for both ends.
  "system-words": "",
  // Path expressions, which config judges and the connector asks.
  expression: "errors",
  config: "address expression bytes errors",
  identity: "msgpack address bytes errors",
  wire: "msgpack bytes received limits errors",
  session: "wire identity bytes staging pause received limits errors",
  exchange: "session headers msgpack bytes staging received limits errors",
  edge: "exchange session http1 http2 headers identity config address ui log metrics deadlines descriptors control-socket system-words bytes pause received limits errors",
  connector:
    "exchange session http1 http2 headers identity config address ui log metrics deadlines descriptors control-socket system-words expression bytes pause received limits errors",
  cli: "edge connector identity config address log-events log metrics bytes limits errors",
  main: "cli edge connector identity config address log metrics bytes errors",
};

/** Calculations only: no module of the system but these two, no clock, no chance, no timer. */
const PURE = [
  "msgpack/",
  "address/",
  "headers/",
  "wire/",
  "http1/",
  "http2/",
  "session/core/",
  "edge/listen/client-hello.ts",
  "connector/ingress.ts",
  "connector/backoff.ts",
  "edge/certificates/acme/budget.ts",
  "edge/certificates/acme/coverage.ts",
  "edge/certificates/acme/schedule.ts",
];
const PURE_MODULES = new Set(["node:buffer", "node:crypto"]);
const IMPURE_WORDS =
  /\b(?:Date|performance|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|process|Bun|fetch|randomBytes|randomUUID|getRandomValues)\b/;

/** Each package has one adapter; nobody else names it. */
const ADAPTERS: Readonly<Record<string, string>> = {
  "@msgpack/msgpack": "msgpack/",
  "@peculiar/x509": "edge/certificates/x509.ts",
  "reflect-metadata": "edge/certificates/x509.ts",
  jose: "edge/certificates/acme/jose.ts",
  citty: "cli/command.ts",
  consola: "cli/pretty.ts",
  dns2: "edge/dns/message.ts",
  re2js: "expression.ts",
  yaml: "config/document.ts",
};

interface SourceFile {
  /** Below `src`. */
  readonly path: string;
  readonly code: string;
  readonly imports: readonly string[];
}

const files = readSources();

function readSources(): SourceFile[] {
  const paths = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith(".ts"),
  );
  return paths.map((path) => {
    const text = readFileSync(join(SRC, path), "utf8");
    return { path, code: withoutComments(text), imports: importsOf(withoutComments(text)) };
  });
}

/** Blanks comments, keeps strings: a word in an explanation is no use of it. */
function withoutComments(text: string): string {
  return text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (all, literal?: string) => literal ?? " ",
  );
}

/** Blanks strings too. */
function withoutStrings(code: string): string {
  return code.replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""');
}

/** Every specifier: static, type-only, re-exported, lazy, and modules named by address. */
function importsOf(code: string): string[] {
  const patterns = [
    /\b(?:import|export)\b[^;"'()]*?\bfrom\s*["']([^"']+)["']/g,
    /\bimport\s*["']([^"']+)["']/g,
    /\bimport\s*\(\s*["']([^"']+)["']/g,
    /\bnew URL\(\s*["'](\.[^"']+\.[jt]s)["']/g,
    /\brequire\s*\(\s*["']([^"']+)["']/g,
  ];
  return patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map(([, specifier]) => specifier as string),
  );
}

function layerOf(path: string): string {
  return (path.split("/")[0] as string).replace(/\.ts$/, "");
}

/** Every import of a file of ours: from, to (both below `src`). */
function ownImports(): { from: string; to: string }[] {
  return files.flatMap(({ path, imports }) =>
    imports
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => ({ from: path, to: relative(SRC, join(SRC, dirname(path), specifier)) })),
  );
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] as string);
}

describe("layers", () => {
  test("sees source files in every folder that exists", () => {
    const folders = readdirSync(SRC, { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    const empty = folders.filter(
      ({ name }) => !files.some(({ path }) => path.startsWith(`${name}/`)),
    );
    expect(folders.length).toBeGreaterThan(3);
    expect(empty.map(({ name }) => name)).toEqual([]);
    expect(ownImports().length).toBeGreaterThan(20);
  });

  test("finds imports in every form", () => {
    const code = withoutComments(`
      import a from "./a.ts"; import type { B } from './b.ts'; export { c } from "./c.ts"; export type * from "./d.ts";
      const e = await import("./e.ts"); import "./f.ts"; type G = typeof import("./g.ts");
      new Worker(new URL("./h.ts", import.meta.url)); // import x from "./comment.ts"
      import {
        i,
      } from "./i.ts"; /* import "./comment.ts" */ const url = "https://x"; import j from "./j.ts";`);
    expect(importsOf(code).sort()).toEqual([..."abcdefghij"].map((name) => `./${name}.ts`));
  });

  test("knows the layer of every file", () => {
    expect(
      [...new Set(files.map(({ path }) => layerOf(path)))].filter(
        (layer) => LAYERS[layer] === undefined,
      ),
    ).toEqual([]);
  });

  test("imports go down the table of style.md §4", () => {
    const wrong = ownImports().filter(({ from, to }) => {
      const [layer, target] = [layerOf(from), layerOf(to)];
      return layer !== target && !(LAYERS[layer] ?? "").split(" ").includes(target);
    });
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  test("imports across folders go through index.ts", () => {
    const wrong = ownImports().filter(({ from, to }) => {
      const isAcross = layerOf(from) !== layerOf(to) && to.includes("/");
      // main.ts loads one command, not the door with all of them.
      const isCommand = from === "main.ts" && to.startsWith("cli/");
      return isAcross && !isCommand && to !== `${layerOf(to)}/index.ts`;
    });
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  test("every import of ours leads to a file, with its ending", () => {
    const wrong = ownImports().filter(({ from, to }) => {
      // In the executable a worker is found under its built name (platform.md §9).
      const isBuilt = from.startsWith("edge/store/") && to.endsWith(".js");
      return !isBuilt && !to.startsWith("..") && !existsSync(join(SRC, to));
    });
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  test("pure folders name no clock, chance, timer, process or system module", () => {
    const pure = files.filter(({ path }) => PURE.some((prefix) => path.startsWith(prefix)));
    expect(pure.length).toBeGreaterThan(0);
    const wrong = pure.flatMap(({ path, code, imports }) => {
      const modules = imports.filter(
        (specifier) =>
          !specifier.startsWith(".") &&
          !PURE_MODULES.has(specifier) &&
          ADAPTERS[packageOf(specifier)] === undefined,
      );
      const word = IMPURE_WORDS.exec(withoutStrings(code))?.[0];
      return [
        ...modules.map((module) => `${path} imports ${module}`),
        ...(word === undefined ? [] : [`${path} names ${word}`]),
      ];
    });
    expect(wrong).toEqual([]);
  });

  test("each npm package has one adapter", () => {
    const users = new Map<string, Set<string>>();
    for (const { path, imports } of files) {
      for (const specifier of imports.filter(
        (name) => !name.startsWith(".") && !/^(?:node|bun):|^bun$/.test(name),
      )) {
        const name = packageOf(specifier);
        users.set(name, (users.get(name) ?? new Set()).add(path));
      }
    }
    const wrong = [...users].flatMap(([name, paths]) => {
      const adapter = ADAPTERS[name];
      if (adapter === undefined)
        return [`${name} has no adapter in the list, used by ${[...paths].join(", ")}`];
      const strangers = [...paths].filter((path) => !path.startsWith(adapter));
      return [
        ...strangers.map((path) => `${path} imports ${name}`),
        ...(paths.size > 1 ? [`${name} is imported by ${[...paths].join(" and ")}`] : []),
      ];
    });
    expect(wrong).toEqual([]);
  });

  test("a file opens with the sentence that says what it is, an index with @module", () => {
    const wrong = files.filter(({ path }) => {
      const text = readFileSync(join(SRC, path), "utf8");
      return path.endsWith("index.ts")
        ? !/^\/\*\*[\s\S]*?@module/.test(text)
        : !/^\/\/ This file is /.test(text);
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});
