// This file is the certificate that answers TLS-ALPN-01: self-signed, with the digest of the key authorization in a critical extension. RFC 8737 §3.
import { createHash, webcrypto } from "node:crypto";
import type { PemPair } from "../internal-ca.ts";
import { loadX509 } from "../x509.ts";

const ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31";
const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;

/** @param now Wall clock, milliseconds since 1970. */
export async function makeChallengeCertificate(
  name: string,
  keyAuthorization: string,
  now: number,
): Promise<PemPair> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const digest = createHash("sha256").update(keyAuthorization).digest();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: "01",
      name: "CN=tunl challenge",
      // Nobody judges the dates (RFC 8737 §3), but a clock that is wrong shall not be what fails.
      notBefore: new Date(now - DAY_MS),
      notAfter: new Date(now + DAY_MS),
      signingAlgorithm: SIGNATURE,
      keys,
      extensions: [
        new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }]),
        // An OCTET STRING of 32 bytes.
        new x509.Extension(ACME_IDENTIFIER, true, new Uint8Array([0x04, 0x20, ...digest])),
      ],
    },
    webcrypto as Crypto,
  );
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----\n`;
  return { cert: certificate.toString("pem"), key };
}
