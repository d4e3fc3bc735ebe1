// This file is whom a connector with a static token is: everything stands in the token, no file is needed. product.md §1.3, §5.
import type { ConnectorOptions, TokenSource } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import { parseToken, readSecret, type Token } from "../identity/index.ts";

/** Whoever pipes more than this pipes something else. */
const MAX_INPUT = 65_536;

/**
 * Reads a token from where it stands.
 *
 * @throws TunlError `BAD_TOKEN`, `INSECURE_FILE`, `USAGE` for a terminal as input.
 */
export async function readToken(source: TokenSource, options: ConnectorOptions): Promise<Token> {
  const token = await read(source);
  const { edge } = options;
  if (edge !== undefined && (edge.host !== token.host || edge.port !== token.port)) {
    throw new TunlError(
      "BAD_TOKEN",
      `The token is for edge ${token.host}:${token.port}, and edge is ${edge.host}:${edge.port}`,
      { hint: "Leave edge out, or take a token of that edge" },
    );
  }
  return token;
}

async function read(source: TokenSource): Promise<Token> {
  if (source.kind === "text") return parseToken(source.text, source.name);
  if (source.kind === "stdin") return parseToken(await readInput(), "Standard input");
  const text = await readSecret(source.path);
  if (text !== undefined) return parseToken(text, `"${source.path}"`);
  throw new TunlError("BAD_TOKEN", `There is no token file "${source.path}"`, {
    hint: "Make one where the account is: tunl tunnel token NAME --output FILE",
  });
}

async function readInput(): Promise<string> {
  if (process.stdin.isTTY) {
    throw new TunlError("USAGE", "--token-file - reads standard input, which is a terminal", {
      hint: "Write tunl connect TARGET --token-file - < FILE",
    });
  }
  let text = "";
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.length > MAX_INPUT) break;
  }
  return text;
}
