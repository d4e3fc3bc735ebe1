// This file is static tokens, `tunl_t1_…`: a tunnel's key and where its edge is, in one word that needs no file. product.md §1.3, §5.
import { createHash, timingSafeEqual } from "node:crypto";
import { canonicalName } from "../address/index.ts";
import { TunlError } from "../errors.ts";
import { bin, copied, integer, MsgpackError, schema, strUpTo } from "../msgpack/index.ts";
import type { SigningKey } from "./keys.ts";
import { keyFromSeed } from "./keys.ts";

const PREFIX = "tunl_t1_";
const CHECK_BYTES = 4;
const SEED_BYTES = 32;
const HOST_BYTES = 253;
/** Longest token: all fields at their longest come to 360 bytes, 480 characters. */
const MAX_TOKEN = 600;
const FINGERPRINT = /^[a-z2-7]{26}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** [host, port, fingerprint, tunnel id, seed]. */
const BODY = schema({
  host: strUpTo(HOST_BYTES),
  port: integer(1, 65_535),
  fingerprint: strUpTo(26),
  tunnel: strUpTo(36),
  seed: copied(bin(SEED_BYTES)),
});

/** What a token says. */
export type Token = {
  /** The edge's own name, canonical. */
  readonly host: string;
  readonly port: number;
  /** Of the edge's key. */
  readonly fingerprint: string;
  /** UUID. */
  readonly tunnel: string;
  readonly key: SigningKey;
};

/** Writes a token; it is a secret from here on. */
export function formatToken({ host, port, fingerprint, tunnel, key }: Token): string {
  const body = BODY.encode({ host, port, fingerprint, tunnel, seed: key.seed });
  return PREFIX + Buffer.concat([body, checkOf(body)]).toString("base64url");
}

/**
 * Reads a token; blanks and line ends around it do not matter.
 *
 * @param source Where it stood, for errors: `TUNL_TOKEN`, a path.
 * @throws TunlError `BAD_TOKEN` saying what is wrong; it never quotes the token.
 */
export function parseToken(text: string, source: string): Token {
  const typed = text.trim();
  const refuse = (
    actual: string,
    hint = "Copy the whole token that tunl tunnel token printed",
  ): TunlError =>
    new TunlError("BAD_TOKEN", `${source} ${actual}, expected a token that begins with ${PREFIX}`, {
      hint,
    });
  if (typed === "") throw refuse("is empty");
  if (/^tunl:\/\//i.test(typed))
    throw refuse("holds a join line", "Use the line once: tunl connect TARGET --join LINE");
  if (isCloudflare(typed))
    throw refuse(
      "holds a token of Cloudflare",
      "Run tunl tunnel token NAME, it makes one of your own edge",
    );
  if (!typed.startsWith(PREFIX)) throw refuse("holds something else");
  if (typed.length > MAX_TOKEN)
    throw refuse(`has ${typed.length} characters, at most ${MAX_TOKEN}`);
  const encoded = typed.slice(PREFIX.length);
  const bytes = Buffer.from(encoded, "base64url");
  // One text for one token: what base64 would pass over is a mistake of whoever copied it.
  if (bytes.length <= CHECK_BYTES || bytes.toString("base64url") !== encoded)
    throw refuse("holds a token that was mistyped or cut");
  const body = bytes.subarray(0, -CHECK_BYTES);
  if (!timingSafeEqual(checkOf(body), bytes.subarray(-CHECK_BYTES)))
    throw refuse("holds a token that was mistyped or cut");
  const token = decode(body);
  if (token === undefined) throw refuse("holds a token of another form");
  return token;
}

function decode(body: Uint8Array): Token | undefined {
  try {
    const { host, port, fingerprint, tunnel, seed } = BODY.decode(body);
    if (canonicalName(host) !== host || !FINGERPRINT.test(fingerprint) || !UUID.test(tunnel))
      return undefined;
    return { host, port, fingerprint, tunnel, key: keyFromSeed(seed) };
  } catch (error) {
    // Its sum is right, so another program wrote it: the caller says so.
    if (error instanceof MsgpackError) return undefined;
    throw error;
  }
}

function checkOf(body: Uint8Array): Uint8Array {
  return createHash("sha256").update(body).digest().subarray(0, CHECK_BYTES);
}

/** cloudflared's tokens are JSON in base64: {"a": account, "t": tunnel, "s": secret}. */
function isCloudflare(text: string): boolean {
  return /^eyJ[A-Za-z0-9+/=_-]+$/.test(text);
}
