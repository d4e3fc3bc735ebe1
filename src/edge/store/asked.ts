// This file is what callers ask of the store, brought into form or refused in words.
import { formatPattern, parsePattern } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";

/** Patterns of one scope. */
const MAX_SCOPE = 64;

export function assertBetween(what: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new TunlError("USAGE", `${what} is ${value}, expected ${least} to ${most}`);
}

export function canonicalPattern(text: string): string {
  const pattern = parsePattern(text);
  if (pattern !== undefined) return formatPattern(pattern);
  throw new TunlError(
    "HOSTNAME_NOT_GRANTED",
    `"${text}" is no hostname, expected a name such as app.example.com or *.x`,
  );
}

export function canonicalScope(scope: readonly string[]): string[] {
  assertBetween("number of patterns", scope.length, 0, MAX_SCOPE);
  return scope.map((text) => {
    const pattern = parsePattern(text);
    if (pattern !== undefined) return formatPattern(pattern);
    throw new TunlError(
      "USAGE",
      `Pattern is "${text}", expected a name such as app.example.com or *.x`,
    );
  });
}

export function notGranted(what: string): TunlError {
  return new TunlError("HOSTNAME_NOT_GRANTED", `${what} is outside of what this key may claim`, {
    hint: "Ask the edge's owner for a line with that name: tunl edge invite --host HOST",
  });
}
