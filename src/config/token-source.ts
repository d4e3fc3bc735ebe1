// This file is which static token is meant, and whether it or a join line says whom to be. product.md §2.2, §5.
import { usage } from "./settings.ts";
import type { Origin, Settings } from "./settings.ts";
import type { TokenSource } from "./types.ts";

/** What `config.yml` says of tokens. */
interface TokenKeys {
  readonly file: { readonly path: string } | undefined;
  readonly text: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The token: `--token-file`, TUNL_TOKEN, TUNL_TOKEN_FILE, then `token` and `token-file` of the file.
 *
 * @returns undefined for none, and where a join line is nearer: a flag before a variable, a variable before the file.
 * @throws TunlError `USAGE` for two keys of the same rank.
 */
export function tokenSource(
  settings: Settings,
  environment: Environment,
  keys: TokenKeys | undefined,
): TokenSource | undefined {
  const found = find(settings, environment, keys);
  if (found === undefined) return undefined;
  const { source, origin, name } = found;
  for (const flag of ["join", "credentials"]) {
    const other = settings.origin(flag);
    if (other === undefined || other !== origin) continue;
    if (flag === "credentials" && origin !== "flag") continue;
    throw usage({
      message: `${name} and ${origin === "flag" ? `--${flag}` : `TUNL_${flag.toUpperCase()}`} are two keys, and a connector has one`,
      hint: "Leave one of them out",
    });
  }
  const join = settings.origin("join");
  return join !== undefined && RANKS[join] < RANKS[origin] ? undefined : source;
}

const RANKS: Readonly<Record<Origin, number>> = { flag: 0, variable: 1, file: 2, default: 3 };

interface Found {
  readonly source: TokenSource;
  readonly origin: Origin;
  readonly name: string;
}

function find(
  settings: Settings,
  { TUNL_TOKEN }: Environment,
  keys: TokenKeys | undefined,
): Found | undefined {
  const path = settings.text("token-file");
  const origin = settings.origin("token-file");
  const file: TokenSource | undefined =
    path === undefined ? undefined : path === "-" ? { kind: "stdin" } : { kind: "file", path };
  if (file !== undefined && origin === "flag")
    return { source: file, origin, name: "--token-file" };
  if (TUNL_TOKEN !== undefined && TUNL_TOKEN !== "") {
    const source: TokenSource = { kind: "text", name: "TUNL_TOKEN", text: TUNL_TOKEN };
    return { source, origin: "variable", name: "TUNL_TOKEN" };
  }
  if (file !== undefined) return { source: file, origin: "variable", name: "TUNL_TOKEN_FILE" };
  if (keys?.text !== undefined) {
    const source: TokenSource = { kind: "text", name: "token", text: keys.text };
    return { source, origin: "file", name: "token" };
  }
  if (keys?.file === undefined) return undefined;
  return { source: { kind: "file", path: keys.file.path }, origin: "file", name: "token-file" };
}
