// This file is configuration files judged without a start: for `ingress validate`, `ingress rule` and `config check`. product.md §2.3, §4.
import { dirname } from "node:path";
import { messageOf, TunlError } from "../errors.ts";
import { parseTree } from "./document.ts";
import { checkFile, findFile, readText } from "./files.ts";
import { readConnectorFile } from "./ingress/file.ts";
import type { ConnectorFile } from "./ingress/file.ts";
import { kindOf } from "./ingress/kind.ts";
import type { FileKind } from "./ingress/kind.ts";
import {
  CaPools,
  findConnectorFile,
  isEdgeName,
  judgeCredentials,
  ownPlace,
  searchedPlaces,
} from "./ingress/place.ts";
import type { IngressOptions } from "./ingress/types.ts";
import type { LoadInput } from "./load.ts";
import { loadEdge } from "./load.ts";
import { places, showPath } from "./paths.ts";
import type { Surroundings } from "./paths.ts";
import type { Problem, Source } from "./report.ts";
import { ConfigError } from "./report.ts";
import { Settings, usage } from "./settings.ts";
import { resolvePath } from "./values.ts";

/** A file and what is wrong with it. */
export interface CheckedFile {
  readonly kind: FileKind;
  readonly source: Source;
  readonly problems: readonly Problem[];
}

/** Rules as a file says them, the files that it names left alone. */
export interface CheckedRules {
  readonly source: Source;
  readonly problems: readonly Problem[];
  readonly ingress: IngressOptions;
}

/**
 * Judges the rules of a connector's file, or of a text.
 *
 * @throws TunlError `USAGE` (a text that is no JSON), `CONFIG_MISSING`, `CONFIG_INVALID` (unreadable).
 */
export function checkRules(input: LoadInput): CheckedRules {
  const typed = input.flags.get("rules")?.at(-1);
  if (typed !== undefined) {
    const source = { name: "--rules", text: jsonOf(typed) };
    return judgedRules(source, undefined, {
      text: typed,
      directory: input.directory,
      input,
      isJson: true,
    });
  }
  const path = chosenPath(input) ?? findConnectorFile(input.surroundings);
  if (path === undefined) throw missing(input.surroundings);
  const source = readSource(path, input.surroundings);
  return judgedRules(source, path, {
    text: source.text,
    directory: dirname(path),
    input,
    isJson: false,
  });
}

/**
 * Judges whole files, with those they name: the one given, or those that edge and connector of this machine would use.
 *
 * @param named As typed.
 * @throws TunlError `CONFIG_MISSING`, `CONFIG_INVALID` (unreadable).
 */
export function checkConfig(input: LoadInput, named: string | undefined): readonly CheckedFile[] {
  const { surroundings, directory } = input;
  const { home } = surroundings;
  if (named !== undefined) {
    const path = resolvePath(named, { directory, home });
    return [checkAny(path, kindAt(path, readSource(path, surroundings).text), input)];
  }
  const edge = findFile(places(surroundings).config, ["edge.yml", "edge.yaml"]);
  const connector = findConnectorFile(surroundings);
  const found = [
    ...(edge === undefined ? [] : [checkAny(edge, "edge", input)]),
    ...(connector === undefined ? [] : [checkAny(connector, "connector", input)]),
  ];
  if (found.length === 0) throw missing(surroundings);
  return found;
}

/** Judges the edge's file: `--config`, or the one `tunl edge` would use. @throws as `checkConfig`. */
export function checkEdge(input: LoadInput): CheckedFile {
  const path =
    chosenPath(input) ?? findFile(places(input.surroundings).config, ["edge.yml", "edge.yaml"]);
  if (path === undefined) {
    const directory = showPath(places(input.surroundings).config, input.surroundings.home);
    throw new TunlError("CONFIG_MISSING", `There is no edge.yml in ${directory}`, {
      hint: "Name a file with --config",
    });
  }
  return checkAny(path, "edge", input);
}

function judgedRules(
  source: Source,
  path: string | undefined,
  {
    text,
    directory,
    input,
    isJson,
  }: { text: string; directory: string; input: LoadInput; isJson: boolean },
): CheckedRules {
  const { home } = input.surroundings;
  const file = readConnectorFile(text, { directory, home, isJson, isStarting: false });
  const problems = [...(path === undefined ? [] : judgeMode(path, home)), ...file.problems];
  if (file.isReadable && !file.hasIngress) {
    // The error says it, and the one service is not what is judged here.
    const rest = problems.filter(({ code }) => code !== "NO_RULES");
    problems.splice(0, problems.length, ...rest, noIngress());
  }
  const { url } = file;
  if (file.hasIngress && url !== undefined) {
    const isOther = ({ code, span }: Problem) => code !== "NO_EFFECT" || span !== url;
    problems.splice(0, problems.length, ...problems.filter(isOther), {
      severity: "error",
      code: "URL_BESIDE_INGRESS",
      message: "url stands beside ingress, expected one of them",
      hint: "Write a rule for it, or remove it: with rules it is never used",
      span: url,
    });
  }
  const rules = file.rules.map(({ rule }) => rule);
  return { source, problems, ingress: { rules, file: path } };
}

function noIngress(): Problem {
  return {
    severity: "error",
    code: "NO_INGRESS",
    message: "The file has no rules, expected ingress: with at least  - service: http_status:404",
  };
}

function checkAny(path: string, kind: FileKind, input: LoadInput): CheckedFile {
  const source = readSource(path, input.surroundings);
  const problems =
    kind === "edge" ? edgeProblems(path, input) : connectorProblems(path, source, input);
  return { kind, source, problems };
}

/** What `tunl edge --config FILE` would say, with nothing else given. */
function edgeProblems(path: string, input: LoadInput): readonly Problem[] {
  const { environment } = input.surroundings;
  const own = environment["TUNL_HOME"];
  try {
    loadEdge({
      ...input,
      flags: new Map([["config", [path]]]),
      surroundings: {
        ...input.surroundings,
        environment: own === undefined ? {} : { TUNL_HOME: own },
      },
    });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    if (error instanceof TunlError) return [problemOf(error)];
    throw error;
  }
}

function connectorProblems(
  path: string,
  { text }: Source,
  { surroundings }: LoadInput,
): readonly Problem[] {
  const { home } = surroundings;
  const directory = dirname(path);
  const file = readConnectorFile(text, { directory, home, isJson: false, isStarting: false });
  const mode = judgeMode(path, home);
  if (!file.isReadable) return [...mode, ...file.problems];
  const settings = new Settings({
    command: "connect",
    flags: new Map(),
    environment: {},
    directory,
    home,
    placed: { file, of: "config.yml", directory },
  });
  return [...mode, ...file.problems, ...settings.problems, ...namedFiles(file, home)];
}

function namedFiles(file: ConnectorFile, home: string): readonly Problem[] {
  const pools = new CaPools();
  for (const draft of file.rules) pools.rule(draft);
  return [...pools.problems, ...judgeCredentials(file, home)];
}

function judgeMode(path: string, home: string): readonly Problem[] {
  return checkFile(path, "config", "This file").map((problem) => ({
    ...problem,
    hint: `Run chmod o-w ${showPath(path, home)}`,
  }));
}

/** The name decides where the keys do not. */
function kindAt(path: string, text: string): FileKind {
  return kindOf(parseTree(text).tree) ?? (isEdgeName(path) ? "edge" : "connector");
}

function chosenPath({ flags, surroundings, directory }: LoadInput): string | undefined {
  const typed = flags.get("config")?.at(-1) ?? surroundings.environment["TUNL_CONFIG"];
  if (typed === undefined || typed === "") return undefined;
  return resolvePath(typed, { directory, home: surroundings.home });
}

function readSource(path: string, { home }: Surroundings): Source {
  const name = showPath(path, home);
  return { name, text: readText(path, name) };
}

function jsonOf(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch (cause) {
    const reason = messageOf(cause);
    throw Object.assign(
      usage({
        message: `--rules is no JSON: ${reason}`,
        hint: `Write --rules '{"ingress": [{"service": "http_status:404"}]}'`,
      }),
      { cause },
    );
  }
}

function problemOf(error: TunlError): Problem {
  const { code, message, hint } = error;
  return { severity: "error", code, message, ...(hint !== undefined && { hint }) };
}

function missing(surroundings: Surroundings): TunlError {
  return new TunlError(
    "CONFIG_MISSING",
    `There is no config.yml in ${searchedPlaces(surroundings)}`,
    {
      hint: `Write ${ownPlace(surroundings)}, or name a file`,
    },
  );
}
