// This file is docs/CONFIG.md and docs/examples/edge.yml, held against the option table and the loader.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exitCodeOf, EXITS } from "../../src/cli/failure.ts";
import {
  loadConnect,
  type LoadInput,
  loadEdge,
  OPTIONS,
  ORIGIN_REQUEST_DEFAULTS,
} from "../../src/config/index.ts";
import { KEY_TABLES } from "../../src/config/ingress/keys.ts";
import { ORIGIN_REQUEST, RULE } from "../../src/config/ingress/keys-origin.ts";
import { TunlError } from "../../src/errors.ts";
import { renderTable, TABLES } from "./option-tables.ts";
import { cellsOf, quoted, ROOT, textOf } from "./text.ts";

const config = textOf("docs/CONFIG.md");
const example = textOf("docs/examples/edge.yml");
const home = mkdtempSync(join(tmpdir(), "tunl-docs-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function given(flags: Readonly<Record<string, readonly string[]>>): LoadInput {
  return {
    flags: new Map(Object.entries(flags)),
    surroundings: { environment: { TUNL_HOME: home }, isRoot: false, platform: "linux", home },
    directory: home,
    isTerminal: false,
  };
}

describe("docs/CONFIG.md", () => {
  test.each(Object.keys(TABLES))(
    "%s: the table that `node scripts/bun.mjs test/docs/option-tables.ts` prints",
    (name) => {
      const start = config.indexOf(`<!-- compared with the code: ${name} -->`);
      const found = start < 0 ? "" : config.slice(start).split("\n\n").slice(0, 2).join("\n\n");
      expect(found.trimEnd()).toBe(renderTable(name));
    },
  );

  test("names every key and every flag", () => {
    const words = new Set(quoted(config).map((word) => word.split(" ")[0]));
    const missing = OPTIONS.flatMap(({ key, flag }) => [
      ...(key === undefined || words.has(key) ? [] : [key]),
      ...(flag === undefined || config.includes(`--${flag}`) || config.includes(`--no-${flag}`)
        ? []
        : [`--${flag}`]),
    ]);
    expect(missing).toEqual([]);
  });

  test("exit codes are those of the errors", () => {
    const rows = config
      .slice(config.indexOf("## Exit codes"))
      .split("\n")
      .filter((line) => /^\| [2-8] \|/.test(line))
      .map(cellsOf);
    expect(rows).toHaveLength(7);
    for (const [code, , errors] of rows) {
      for (const error of quoted(errors ?? ""))
        expect([error, exitCodeOf(new TunlError(error, "x"))]).toEqual([error, Number(code)]);
    }
    const named = rows.flatMap(([, , errors]) => quoted(errors ?? ""));
    expect(named.toSorted()).toEqual(Object.keys(EXITS).toSorted());
  });
});

describe("docs/examples/edge.yml", () => {
  const path = join(ROOT, "docs/examples/edge.yml");

  test("loads, and says what the defaults are", () => {
    const fromFile = loadEdge(given({ config: [path] }));
    const fromDefaults = loadEdge(given({ domain: ["example.com"], tls: ["internal"] }));
    expect(fromFile.options).toEqual(fromDefaults.options);
    expect(fromFile.log).toEqual(fromDefaults.log);
    expect(fromFile.configName).toEndWith("docs/examples/edge.yml");
  });

  test("has every key of this version, some of them as a comment", () => {
    const built = OPTIONS.filter(({ isBuilt, key }) => isBuilt && key !== undefined);
    expect(built.length).toBeGreaterThan(20);
    const names = built.map(({ key }) => (key as string).split(".").at(-1) as string);
    expect(names.filter((name) => !new RegExp(`(?:^|[\\s{#])${name}:`, "m").test(example))).toEqual(
      [],
    );
  });
});

describe("docs/examples/config.yml", () => {
  const path = join(ROOT, "docs/examples/config.yml");
  const text = textOf("docs/examples/config.yml");

  test("loads, and says what the defaults are", () => {
    const { options, log, warnings } = loadConnect(given({ config: [path] }), undefined, 1);
    expect(warnings?.problems).toEqual([]);
    const standard = loadConnect(given({}), "8000", 1);
    const { ingress: _, tunnel: __, mostLinks: ___, ...rest } = options;
    expect({ ...standard.options, ...rest }).toEqual(standard.options);
    expect(log).toEqual({ ...standard.log, showsHosts: true });
    expect(options.ingress.rules.map(({ service }) => service.url)).toEqual([
      "http://localhost:4000",
      "http://localhost:8000",
      "unix:/run/admin.sock",
      "http_status:404",
    ]);
    expect(options.ingress.rules[1]?.originRequest).toEqual(ORIGIN_REQUEST_DEFAULTS);
  });

  test("has every key of this version, some of them as a comment", () => {
    const isHere = ({ effect }: { effect: { is: string } }) =>
      effect.is === "honoured" || effect.is === "warned";
    const rows = [
      ...KEY_TABLES.shared,
      ...KEY_TABLES.own,
      ...RULE.rows,
      ...ORIGIN_REQUEST.rows,
    ].filter(isHere);
    expect(rows.length).toBeGreaterThan(30);
    // Both are for services of a later version.
    const names = rows
      .map(({ name }) => name)
      .filter((name) => name !== "access" && name !== "ipRules");
    expect(names.filter((name) => !new RegExp(`(?:^|[\\s#])${name}:`, "m").test(text))).toEqual([]);
  });
});
