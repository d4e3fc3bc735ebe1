// This file is config.yml as somebody's editor, generator or enemy leaves it: whatever stands there, a report comes back, in time.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readConnectorFile } from "../../../src/config/ingress/file.ts";
import { TOP } from "../../../src/config/ingress/keys.ts";
import { ORIGIN_REQUEST, RULE } from "../../../src/config/ingress/keys-origin.ts";
import { formatProblems, MAX_PROBLEMS } from "../../../src/config/report.ts";

const IS_LONG = process.env["TUNL_SLOW"] === "1";
const SEED = Number(process.env["TUNL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = IS_LONG ? 60_000 : 1_500;
/** A file of 256 KiB is the longest; on a busy machine it may take so long. */
const MOST_MS = 15_000;

const FOLDER = fileURLToPath(new URL("../cloudflared/", import.meta.url));
const SAMPLES = readdirSync(FOLDER).map((name) => readFileSync(`${FOLDER}${name}`, "utf8"));
const WORDS = [
  ...[TOP, RULE, ORIGIN_REQUEST].flatMap(({ rows }) => rows.map(({ name }) => `${name}: `)),
  ..."*a &a *.b <<: !!binary !!set ? | > --- ... %YAML [ ] { } , # ' \" \t \r\n \u0000 \ud800 \u202e ~ null true 1e999 0x10 -1 30s http:// unix: ://@ http_status: ^( (?! *".split(
    " ",
  ),
  "\n- ",
  "\n  ",
  "a".repeat(300),
];

/** mulberry32: good enough to shuffle texts, and the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function mutated(random: (below: number) => number): string {
  let text = SAMPLES[random(SAMPLES.length)] as string;
  for (let count = 1 + random(6); count > 0; count--) {
    const at = random(text.length + 1);
    const length = random(20);
    const word = WORDS[random(WORDS.length)] as string;
    const kind = random(4);
    if (kind === 0) text = text.slice(0, at) + word + text.slice(at);
    else if (kind === 1) text = text.slice(0, at) + text.slice(at + length);
    else if (kind === 2) text = text.slice(0, at) + text.slice(at, at + length) + text.slice(at);
    else text = text.slice(0, at) + String.fromCharCode(random(0x250)) + text.slice(at + 1);
  }
  return text;
}

function report(text: string, isStarting: boolean): string {
  const file = readConnectorFile(text, { directory: "/", home: "/h", isJson: false, isStarting });
  const told = formatProblems({ name: "config.yml", text }, file.problems);
  const lines = text.split("\n").length;
  for (const { message, span } of file.problems) {
    if (message === "" || message.includes("\n"))
      throw new Error(`A message is empty or has lines: ${message}`);
    if (span !== undefined && (span.line < 1 || span.line > lines || span.column < 1))
      throw new Error(`A place is outside: ${JSON.stringify(span)}`);
  }
  const hasErrors = file.problems.some(({ severity }) => severity === "error");
  if (!hasErrors) {
    // What may be used is whole: the last rule catches all.
    const last = file.rules.at(-1)?.rule;
    if (last === undefined || last.hostname !== "" || last.path !== undefined)
      throw new Error("A file without errors has no last rule");
  }
  return told;
}

describe("config.yml of any content", () => {
  test(`is read or refused, and nothing is thrown (TUNL_SEED=${SEED})`, () => {
    const random = randomFrom(SEED);
    let refused = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const text = mutated(random);
      try {
        if (report(text, random(2) === 0).includes("✖")) refused += 1;
      } catch (error) {
        throw new Error(`TUNL_SEED=${SEED}, round ${round}: ${JSON.stringify(text)}`, {
          cause: error,
        });
      }
    }
    expect(refused).toBeGreaterThan(ROUNDS / 10);
    expect(refused).toBeLessThan(ROUNDS);
  }, 120_000);

  const size = 262_144;
  const fill = (piece: string, before = "", after = ""): string =>
    before + piece.repeat(Math.floor((size - before.length - after.length) / piece.length)) + after;
  const unknown = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join("\n");
  test.each([
    ["brackets", fill("[")],
    ["braces", fill("{a: ")],
    ["unknown keys", unknown],
    [
      "unknown keys near known ones",
      Array.from({ length: 18_000 }, (_, index) => `tunnl${index}: 1`).join("\n"),
    ],
    ["empty rules", fill("- \n", "ingress:\n")],
    ["rules without anything", fill("- {}\n", "ingress:\n")],
    ["long words", fill("a", "tunnel: ")],
    ["a long expression", fill("(a|b)*", "ingress: [{path: '", "', service: http://a}]")],
    ["a long key", fill("a", "", ": 1")],
    [
      "aliases of aliases",
      `a: &a [${"x,".repeat(9)}]\nb: &b [${"*a,".repeat(9)}]\nc: &c [${"*b,".repeat(9)}]\nd: &d [${"*c,".repeat(9)}]\ne: &e [${"*d,".repeat(9)}]\nf: &f [${"*e,".repeat(9)}]\ningress: *f\n`,
    ],
    ["an anchor in itself", "originRequest: &a\n  <<: *a\n  access: *a\n"],
    [
      "merges of merges",
      `x: &a {noTLSVerify: true}\n${Array.from({ length: 2_000 }, (_, index) => `y${index}: {<<: [*a, *a, *a]}`).join("\n")}\n`,
    ],
    ["commas", fill(",", "tag: [", "]")],
    ["quotes", fill("'")],
    ["line ends", fill("\n")],
    ["document ends", fill("---\n")],
    ["tabs", fill("\t")],
    ["NULs", fill("\u0000")],
  ])("%s are bounded in time and in words", (_, text) => {
    expect(text.length).toBeLessThanOrEqual(size);
    const startedAt = performance.now();
    const told = report(text, true);
    expect(performance.now() - startedAt).toBeLessThan(MOST_MS);
    expect((told.match(/^[✖⚠]/gm) ?? []).length).toBeLessThanOrEqual(MAX_PROBLEMS);
    expect(told.length).toBeLessThan(20_000);
  });
});
