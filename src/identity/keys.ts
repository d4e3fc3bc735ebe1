// This file is Ed25519 keys: made, kept, signed with, verified strictly. RFC 8032 §5.1; PROTOCOL §3.1; A-05.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  randomBytes,
  sign,
  verify as verifySignature,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { bug, TunlError } from "../errors.ts";
import { encodeBase32 } from "./base32.ts";
import { readSecret, writeFileAtomic } from "./files.ts";

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const FINGERPRINT_LENGTH = 26;

/** DER up to the seed (RFC 8410 §7) and up to the public key (RFC 8410 §4). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** A private key of ours. */
export interface SigningKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The RFC 8032 seed, 32 bytes; leaves the process only into a file of mode 0600. */
  readonly seed: Uint8Array;
  /** Signs the message; 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

/** Makes a new key from the system's randomness. */
export function generateKey(): SigningKey {
  return keyFromSeed(randomBytes(KEY_BYTES));
}

/**
 * Rebuilds a key.
 *
 * @param seed 32 bytes; copied.
 * @throws TunlError `BUG` for another length: callers check what they read from files.
 */
export function keyFromSeed(seed: Uint8Array): SigningKey {
  if (seed.length !== KEY_BYTES) bug(`Ed25519 seed has ${seed.length} bytes, expected 32`);
  return fromPrivate(
    createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" }),
  );
}

function fromPrivate(key: KeyObject): SigningKey {
  const seed = key.export({ format: "der", type: "pkcs8" }).subarray(PKCS8_PREFIX.length);
  const publicKey = createPublicKey(key)
    .export({ format: "der", type: "spki" })
    .subarray(SPKI_PREFIX.length);
  // Copies: views would pin the DER buffers, and Buffer's `slice` does not copy.
  return {
    seed: Uint8Array.from(seed),
    publicKey: Uint8Array.from(publicKey),
    sign: (message) => sign(undefined, message, key),
  };
}

/**
 * Verifies an Ed25519 signature strictly: S below the group order, a canonical key that is not of small order
 * (for such a key one signature fits many messages).
 *
 * @param publicKey 32 bytes, `signature` 64; other lengths verify as false.
 * @see A-05; RFC 8032 §5.1.7
 */
export function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  if (!isCanonicalPoint(publicKey) || isSmallOrder(publicKey)) return false;
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, publicKey]),
    format: "der",
    type: "spki",
  });
  return verifySignature(undefined, message, key, signature);
}

/** The y coordinates of the eight points of small order, little endian; their signs are not looked at. */
const SMALL_ORDER = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]);

function isSmallOrder(publicKey: Uint8Array): boolean {
  const y = Buffer.from(publicKey);
  y[31] = (y[31] as number) & 0x7f;
  return SMALL_ORDER.has(y.toString("hex"));
}

/** y below 2^255 − 19: the same point would otherwise have two keys, hence two fingerprints. */
function isCanonicalPoint(publicKey: Uint8Array): boolean {
  if (((publicKey[31] as number) & 0x7f) !== 0x7f || (publicKey[0] as number) < 0xed) return true;
  for (let index = 1; index < 31; index++) if (publicKey[index] !== 0xff) return true;
  return false;
}

/** First 26 characters of the lower-case base32 of SHA-256 of the key: how people and lines name an edge. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return encodeBase32(createHash("sha256").update(publicKey).digest()).slice(0, FINGERPRINT_LENGTH);
}

/** Writes a key as PKCS #8 PEM, the form of `edge.key`. */
export function formatKey(key: SigningKey): string {
  const der = Buffer.concat([PKCS8_PREFIX, key.seed]);
  return `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----\n`;
}

/** Reads what `formatKey` wrote; undefined for everything but one Ed25519 private key. */
export function parseKey(text: string): SigningKey | undefined {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    // Not PEM or no key: the caller names the file; the parser's own text could quote the secret.
    return undefined;
  }
  return key.asymmetricKeyType === "ed25519" ? fromPrivate(key) : undefined;
}

/**
 * Reads a key file.
 *
 * @returns undefined where there is no such file.
 * @throws TunlError `INSECURE_FILE` for wrong modes, `STATE_DAMAGED` for another content.
 */
export async function loadKey(path: string): Promise<SigningKey | undefined> {
  const text = await readSecret(path);
  if (text === undefined) return undefined;
  const key = parseKey(text);
  if (key !== undefined) return key;
  throw new TunlError(
    "STATE_DAMAGED",
    `Reading "${path}": no Ed25519 private key in PEM, expected one`,
    {
      hint: "Restore this file from a backup: it is the identity that every connector has pinned",
    },
  );
}

/** Writes a key file, mode 0600, complete or not at all. */
export async function saveKey(path: string, key: SigningKey): Promise<void> {
  await writeFileAtomic(path, formatKey(key));
}
