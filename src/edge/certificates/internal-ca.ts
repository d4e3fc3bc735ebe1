// This file is the certificates that need no other authority: roots, leaves, self-signed ones. dependencies.md §1 row 2.
import { createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { loadX509 } from "./x509.ts";

const DAY_MS = 86_400_000;
const ROOT_DAYS = 3_652;
/** Certificates begin a little earlier, for visitors whose clock is behind. */
export const BACKDATE_MS = 3_600_000;

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;
/** X.520 ub-common-name: a longer name stands in the SAN alone. */
const MAX_COMMON_NAME = 64;

/** A certificate and its private key (PKCS #8), both PEM. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate signed by its own key, for a peer that proves itself otherwise; `days` from now. */
export async function makeSelfSigned(
  commonName: string,
  days: number,
  now: number,
): Promise<PemPair> {
  const x509 = await loadX509();
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: [{ CN: [commonName] }],
      notBefore: new Date(now - BACKDATE_MS),
      notAfter: new Date(now + days * DAY_MS),
      signingAlgorithm: SIGNATURE,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ],
    },
    webcrypto as Crypto,
  );
  return { cert: pemOf(certificate), key: await exportKey(keys.privateKey) };
}

/** Makes the root of an authority for ten years; it may sign leaves only. */
export async function makeRoot(now: number): Promise<PemPair> {
  const x509 = await loadX509();
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      // The suffix tells the roots of two edges apart in a trust store.
      name: [{ CN: [`tunl internal CA ${randomBytes(4).toString("hex")}`] }],
      notBefore: new Date(now - BACKDATE_MS),
      notAfter: new Date(now + ROOT_DAYS * DAY_MS),
      signingAlgorithm: SIGNATURE,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as Crypto),
      ],
    },
    webcrypto as Crypto,
  );
  return { cert: pemOf(certificate), key: await exportKey(keys.privateKey) };
}

/**
 * Makes a server certificate signed by `root`.
 *
 * @param names Canonical names, `*.x` for wildcards; at least one.
 * @param life Wall clock, milliseconds since 1970.
 */
export async function makeLeaf(
  root: PemPair,
  names: readonly string[],
  life: { readonly notBefore: number; readonly notAfter: number },
): Promise<PemPair> {
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(root.cert);
  const signingKey = await importKey(root.key);
  const keys = await makeKeys();
  const commonName = names[0] ?? "";
  const hasSubject = commonName.length <= MAX_COMMON_NAME;
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: hasSubject ? [{ CN: [commonName] }] : [],
      issuer: issuer.subjectName.toJSON(),
      notBefore: new Date(life.notBefore),
      notAfter: new Date(life.notAfter),
      signingAlgorithm: SIGNATURE,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        // Without a subject the names must be critical (RFC 5280 §4.2.1.6).
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: "dns" as const, value })),
          !hasSubject,
        ),
        await x509.AuthorityKeyIdentifierExtension.create(
          issuer.publicKey,
          false,
          webcrypto as Crypto,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as Crypto),
      ],
    },
    webcrypto as Crypto,
  );
  return { cert: pemOf(certificate), key: await exportKey(keys.privateKey) };
}

async function makeKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
}

async function exportKey(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
}

async function importKey(pem: string): Promise<CryptoKey> {
  const der = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", der, P256, false, ["sign"]);
}

function pemOf(certificate: { toString(format: "pem"): string }): string {
  return `${certificate.toString("pem")}\n`;
}

/** 127 random bits: positive, and never starting with a zero byte, which DER would not allow (RFC 5280 §4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}
