// This file is certificates on the disk: `certs/<name>/{cert.pem,key.pem,meta.json}`, whole or not at all. reliability.md §4 item 6.
import { createHash } from "node:crypto";
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import {
  hasEntry,
  isMissing,
  makePrivateDirectory,
  readSecret,
  writeFileAtomic,
} from "../../../identity/index.ts";
import { fieldsOf } from "./client.ts";
import { parseJson } from "./transport.ts";

/** A chain, its key, and what belongs to them. */
export interface StoredCertificate {
  readonly names: readonly string[];
  /** PEM, leaf first. */
  readonly cert: string;
  /** PKCS #8 PEM. */
  readonly key: string;
  /** How the names were proven, so that the next order begins with it. */
  readonly challenge: string;
  /** Directory of the CA that made it; "" where that was not kept. */
  readonly ca: string;
}

/** What reading found. A pair that does not fit its `meta.json` is damaged: never served, ordered again. */
export type Found =
  | { readonly kind: "none" }
  | { readonly kind: "damaged"; readonly reason: string }
  | { readonly kind: "whole"; readonly certificate: StoredCertificate };

const FILES = { cert: "cert.pem", key: "key.pem" } as const;
/** Until they get their names, after `meta.json` has got its own. */
const NEXT = { cert: "cert.next.pem", key: "key.next.pem" } as const;
const META = "meta.json";

/**
 * The certificates of one state.
 *
 * A new pair is written beside the old one; `meta.json`, renamed last, holds the hashes of the pair that counts. Whatever
 * happens in between, one of the two pairs is whole: the old one before that rename, the new one after it.
 */
export class CertificateStorage {
  readonly #root: string;

  constructor(stateDirectory: string) {
    this.#root = join(stateDirectory, "certs");
  }

  /** @throws the system's error; what was there before stays whole. */
  async save(id: string, certificate: StoredCertificate): Promise<void> {
    const folder = this.#folder(id);
    await makePrivateDirectory(folder);
    // A pair that is still to get its names would be overwritten, and it is the one that counts.
    await this.#finish(folder);
    const { cert, key, names, challenge, ca } = certificate;
    await writeFileAtomic(join(folder, NEXT.key), key);
    await writeFileAtomic(join(folder, NEXT.cert), cert);
    const hashes = { certSha256: sha256(cert), keySha256: sha256(key) };
    const meta = { version: 1, names, challenge, ca, ...hashes };
    await writeFileAtomic(join(folder, META), `${JSON.stringify(meta, undefined, 2)}\n`);
    await this.#finish(folder);
  }

  /** @throws TunlError `INSECURE_FILE` for a key that others may read; the system's error. */
  async load(id: string): Promise<Found> {
    const folder = this.#folder(id);
    const text = await readSecret(join(folder, META));
    if (text === undefined) {
      const isPart = await hasEntry(join(folder, FILES.cert));
      return isPart ? { kind: "damaged", reason: `${META} is missing` } : { kind: "none" };
    }
    const { names, challenge, ca, certSha256, keySha256 } = fieldsOf(parseJson(text));
    if (!isTexts(names) || typeof certSha256 !== "string" || typeof keySha256 !== "string")
      return { kind: "damaged", reason: `${META} cannot be read` };
    const cert = await pick(folder, "cert", certSha256);
    const key = await pick(folder, "key", keySha256);
    if (cert === undefined || key === undefined) {
      const reason = `${cert === undefined ? FILES.cert : FILES.key} is not the one of ${META}`;
      return { kind: "damaged", reason };
    }
    return {
      kind: "whole",
      certificate: { names, cert, key, challenge: textOf(challenge), ca: textOf(ca) },
    };
  }

  /** Gives a pair that counts already its names. */
  async #finish(folder: string): Promise<void> {
    const text = await readSecret(join(folder, META));
    const { certSha256, keySha256 } = fieldsOf(text === undefined ? undefined : parseJson(text));
    for (const [part, hash] of [
      ["key", keySha256],
      ["cert", certSha256],
    ] as const) {
      const next = await read(join(folder, NEXT[part]));
      // Of an attempt that did not come to its end: overwritten by the next one.
      if (next === undefined || sha256(next) !== hash) continue;
      await rename(join(folder, NEXT[part]), join(folder, FILES[part]));
    }
  }

  /** `*` is no character of a file name everywhere; a hostname has no `_` behind its first label's start. */
  #folder(id: string): string {
    return join(this.#root, id.replace(/^\*\./, "wildcard_."));
  }
}

/** The file that has the hash: the one with the name, or the one that is to get it. */
async function pick(
  folder: string,
  part: "cert" | "key",
  hash: string,
): Promise<string | undefined> {
  for (const name of [FILES[part], NEXT[part]]) {
    const path = join(folder, name);
    const text = part === "key" ? await readSecret(path) : await read(path);
    if (text !== undefined && sha256(text) === hash) return text;
  }
  return undefined;
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
