// This file is the reader of certificate and key pairs from the owner's own PKI, `certificates.mode: files`. product.md §7.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { open } from "node:fs/promises";
import { formatPattern, parsePattern } from "../../address/index.ts";
import { messageOf, TunlError } from "../../errors.ts";
import { type Certificate, contextOf } from "./certificates.ts";

/** Paths of one pair: the chain as PEM, leaf first, and the unencrypted private key of the leaf as PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads one pair and proves that it can be served now.
 *
 * @param now Wall clock, milliseconds since 1970.
 * @returns The certificate; its id is the path of `cert`, its names are the DNS names of the leaf's SAN.
 * @throws TunlError `CERTIFICATE_REFUSED` naming the file, what is there and what was expected; `INSECURE_FILE`.
 */
export async function readCertificateFiles(
  files: CertificateFiles,
  now: number = Date.now(),
): Promise<Certificate> {
  const certText = await readPem(files.cert, "public");
  const keyText = await readPem(files.key, "secret");
  const leaf = parse(() => new X509Certificate(certText), files.cert, certText, CERTIFICATE);
  const key = parse(() => createPrivateKey(keyText), files.key, keyText, PRIVATE_KEY);
  checkKey(leaf, key, files);
  const times = checkTimes(leaf, files.cert, now);
  const names = namesOf(leaf);
  if (names.length === 0) {
    throw refused(
      `"${files.cert}" names no host in its subjectAltName, expected at least one DNS name`,
      { hint: "Have it issued anew with its names as DNS entries; a common name does not count" },
    );
  }
  const context = parse(
    () => contextOf({ cert: certText, key: keyText }),
    files.cert,
    certText,
    CERTIFICATE,
  );
  return { id: files.cert, names, context, ...times };
}

/** The canonical DNS names of a certificate; other kinds of SAN, and names no visitor can send, are left out. */
export function namesOf(certificate: X509Certificate): readonly string[] {
  const names = new Set<string>();
  // A value that could be mistaken for two entries is printed in quotes, so that it fails the canonical form.
  for (const entry of (certificate.subjectAltName ?? "").split(", ")) {
    if (!entry.startsWith("DNS:")) continue;
    const name = parsePattern(entry.slice("DNS:".length));
    if (name !== undefined) names.add(formatPattern(name));
  }
  return [...names];
}

async function readPem(path: string, kind: "public" | "secret"): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      // The open file is judged, not the path: nobody can exchange it in between.
      checkMode(path, kind, (await file.stat()).mode);
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof TunlError) throw error;
    throw refused(`Reading "${path}" failed: ${messageOf(error)}`, { cause: error });
  }
}

/** Looser than for our own secrets: a PKI may share its keys with a group (product.md §5 speaks of others). */
function checkMode(path: string, kind: "public" | "secret", mode: number): void {
  if (process.platform === "win32") return;
  const excess = mode & (kind === "secret" ? 0o006 : 0o002);
  if (excess === 0) return;
  const verb = (excess & 0o002) !== 0 ? "written" : "read";
  throw new TunlError(
    "INSECURE_FILE",
    `"${path}" can be ${verb} by everybody (mode ${(mode & 0o777).toString(8).padStart(4, "0")})`,
    { hint: `Run chmod ${kind === "secret" ? "o-rw" : "o-w"} ${path}` },
  );
}

/** What a file is expected to hold, and what to do where it does not. */
interface Expected {
  readonly what: string;
  readonly hint: string;
}

const CERTIFICATE: Expected = {
  what: "PEM certificates, the leaf first",
  hint: "Give the file that begins with -----BEGIN CERTIFICATE-----, often called fullchain.pem",
};
const PRIVATE_KEY: Expected = {
  what: "an unencrypted PEM private key",
  hint: "Give the file with -----BEGIN PRIVATE KEY-----, often called privkey.pem",
};

function parse<T>(read: () => T, path: string, text: string, { what, hint }: Expected): T {
  try {
    return read();
  } catch (error) {
    throw refused(`"${path}" holds ${contentOf(text)}, expected ${what}`, { cause: error, hint });
  }
}

/** What a file seems to hold, by its first PEM label; nothing of it is quoted. */
function contentOf(text: string): string {
  const label = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text)?.[1];
  if (label === undefined) return "no PEM";
  if (label.includes("ENCRYPTED") || /^Proc-Type:.*ENCRYPTED/m.test(text))
    return "an encrypted key";
  if (label.endsWith("PRIVATE KEY")) return "a private key that cannot be used here";
  return label === "CERTIFICATE" ? "a certificate that cannot be used here" : `PEM of another kind`;
}

function checkKey(leaf: X509Certificate, key: KeyObject, files: CertificateFiles): void {
  if (leaf.checkPrivateKey(key)) return;
  throw refused(`The key in "${files.key}" does not belong to the certificate in "${files.cert}"`, {
    hint: "The leaf certificate comes first in the chain; its own key is expected",
  });
}

function checkTimes(
  leaf: X509Certificate,
  path: string,
  now: number,
): { readonly notBefore: number; readonly notAfter: number } {
  const notBefore = Date.parse(leaf.validFrom);
  const notAfter = Date.parse(leaf.validTo);
  if (now > notAfter) {
    throw refused(`"${path}" expired on ${day(notAfter)}`, { hint: "Renew it" });
  }
  if (now < notBefore) {
    throw refused(`"${path}" is not valid before ${day(notBefore)}`, {
      hint: "Check the clock of this machine",
    });
  }
  return { notBefore, notAfter };
}

function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

function refused(message: string, details: { cause?: unknown; hint?: string } = {}): TunlError {
  return new TunlError("CERTIFICATE_REFUSED", message, details);
}
