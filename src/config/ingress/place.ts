// This file is where the connector's file is, and what of the files it names can be used. product.md §4, §5.
import { basename, join } from "node:path";
import { TunlError } from "../../errors.ts";
import { checkFile, findFile, readText } from "../files.ts";
import { connectorDirectories, showPath } from "../paths.ts";
import type { Surroundings } from "../paths.ts";
import type { Problem } from "../report.ts";
import type { ConnectorFile } from "./file.ts";
import type { NamedFile, OriginDraft } from "./origin.ts";
import type { RuleDraft } from "./rules.ts";
import type { IngressRule, OriginRequestOptions } from "./types.ts";

const NAMES = ["config.yml", "config.yaml"];

/** The first file of the search order; undefined: there is none. */
export function findConnectorFile(surroundings: Surroundings): string | undefined {
  for (const directory of connectorDirectories(surroundings)) {
    const path = findFile(directory, NAMES);
    if (path !== undefined) return path;
  }
  return undefined;
}

/** Where one would be looked for, in words. */
export function searchedPlaces(surroundings: Surroundings): string {
  const shown = connectorDirectories(surroundings).map((directory) =>
    showPath(directory, surroundings.home),
  );
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} or ${shown.at(-1)}`;
}

/** Where the file of this user would lie. */
export function ownPlace(surroundings: Surroundings): string {
  return showPath(
    join(connectorDirectories(surroundings)[0] as string, NAMES[0] as string),
    surroundings.home,
  );
}

/** Reads the roots that rules name, each file once. */
export class CaPools {
  readonly problems: Problem[] = [];
  readonly #texts = new Map<string, string | undefined>();

  rule({ rule, origin }: RuleDraft): IngressRule {
    return { ...rule, originRequest: { ...rule.originRequest, caPool: this.#pool(origin.caFile) } };
  }

  origin({ options, caFile }: OriginDraft): OriginRequestOptions {
    return { ...options, caPool: this.#pool(caFile) };
  }

  #pool(file: NamedFile | undefined): string | undefined {
    if (file === undefined) return undefined;
    if (this.#texts.has(file.path)) return this.#texts.get(file.path);
    const text = this.#read(file);
    this.#texts.set(file.path, text);
    return text;
  }

  #read({ path, span }: NamedFile): string | undefined {
    const wrong = checkFile(path, "config", "caPool");
    this.problems.push(...wrong.map((problem) => ({ ...problem, span })));
    if (wrong.length > 0) return undefined;
    try {
      const text = readText(path, "caPool");
      if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
      this.problems.push({
        severity: "error",
        code: "CA_POOL_INVALID",
        message: `caPool ${JSON.stringify(path)} holds no certificate in PEM form`,
        span,
      });
    } catch (error) {
      if (!(error instanceof TunlError)) throw error;
      this.problems.push({
        severity: "error",
        code: error.code,
        message: error.message,
        span,
        ...(error.hint !== undefined && { hint: error.hint }),
      });
    }
    return undefined;
  }
}

/** Judges the file of the key: its mode, and whether it is one of ours at all. What is in it is judged by who uses it. */
export function judgeCredentials(
  { credentials, values }: ConnectorFile,
  home: string,
): readonly Problem[] {
  const { file, contents } = credentials;
  const tunnel = values.get("tunnel")?.[0]?.text;
  if (contents !== undefined)
    return isForeign(contents) ? [foreign("credentials-contents", undefined, tunnel)] : [];
  if (file === undefined) return [];
  const { path, span } = file;
  const wrong = checkFile(path, "secret", "The file of credentials-file").map((problem) => ({
    ...problem,
    span,
    ...(problem.code !== "FILE_MODE" && { hint: createHint(tunnel) }),
  }));
  try {
    // Seen first: a file of another program is not helped by a better mode.
    if (isForeign(readText(path, "credentials-file")))
      return [foreign(JSON.stringify(showPath(path, home)), span, tunnel)];
  } catch (error) {
    if (!(error instanceof TunlError)) throw error;
    if (wrong.length === 0)
      return [
        {
          severity: "error",
          code: error.code,
          message: error.message,
          span,
          ...(error.hint !== undefined && { hint: error.hint }),
        },
      ];
  }
  return wrong;
}

function foreign(what: string, span: Problem["span"], tunnel: string | undefined): Problem {
  return {
    severity: "error",
    code: "FOREIGN_CREDENTIALS",
    message: `${what} ${what === "credentials-contents" ? "are" : "holds"} Cloudflare credentials (key TunnelSecret), expected tunl ones`,
    hint: createHint(tunnel),
    ...(span !== undefined && { span }),
  };
}

function createHint(tunnel: string | undefined): string {
  // A UUID there names a tunnel of Cloudflare's.
  const isName = tunnel !== undefined && !/^[0-9a-f]{8}-[0-9a-f-]{27}$/i.test(tunnel);
  return `Run tunl tunnel create ${isName ? tunnel : "NAME"} and remove this line`;
}

function isForeign(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "TunnelSecret" in value;
  } catch {
    // No JSON: not theirs, and whoever uses it says what it is.
    return false;
  }
}

/** True for the file names of the edge's configuration. */
export function isEdgeName(path: string): boolean {
  return /^edge\.ya?ml$/i.test(basename(path));
}
