// This file is the certificate that links are shown: self-signed, made once, kept in the state. PROTOCOL §3.1.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  hasEntry,
  makePrivateDirectory,
  readSecret,
  writeFileAtomic,
} from "../../identity/index.ts";
import type { Logger } from "../../log.ts";
import { makeSelfSigned, type PemPair } from "./internal-ca.ts";

/** Connectors check the edge's key, not this: the date only has to stay out of the way. */
const LIFE_DAYS = 7_305;

/**
 * Loads `link-cert.pem` and `link-cert.key`, or makes them.
 *
 * A pair that is damaged or expired is made again with a warning: nothing is pinned to it, EDGE_AUTH is the proof.
 *
 * @param now Wall clock, milliseconds since 1970.
 * @throws TunlError `INSECURE_FILE` when others may read the key; the system's error when the state cannot be written.
 */
export async function loadLinkCertificate(
  stateDirectory: string,
  log: Logger,
  now: number = Date.now(),
): Promise<PemPair> {
  const certPath = join(stateDirectory, "link-cert.pem");
  const keyPath = join(stateDirectory, "link-cert.key");
  await makePrivateDirectory(stateDirectory);
  const cert = (await hasEntry(certPath)) ? await readFile(certPath, "utf8") : undefined;
  const key = await readSecret(keyPath);
  if (cert !== undefined && key !== undefined && isUsable(cert, key, now)) return { cert, key };
  if (cert !== undefined || key !== undefined) {
    log.warn("certificate", "The links' own certificate was damaged and is made again", {
      path: certPath,
    });
  }
  const made = await makeSelfSigned("tunl link", LIFE_DAYS, now);
  await writeFileAtomic(keyPath, made.key);
  await writeFileAtomic(certPath, made.cert);
  return made;
}

function isUsable(cert: string, key: string, now: number): boolean {
  try {
    const certificate = new X509Certificate(cert);
    return (
      certificate.checkPrivateKey(createPrivateKey(key)) && now < Date.parse(certificate.validTo)
    );
  } catch {
    // Not PEM: the caller says so in its warning.
    return false;
  }
}
