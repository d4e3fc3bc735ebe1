// This file is the key of a certificate and the request for it (CSR). RFC 8555 §7.4; RFC 2986.
import { webcrypto } from "node:crypto";
import { loadX509 } from "../x509.ts";

export type KeyType = "p256" | "p384" | "rsa2048";

const ALGORITHMS = {
  p256: {
    key: { name: "ECDSA", namedCurve: "P-256" },
    signature: { name: "ECDSA", hash: "SHA-256" },
  },
  p384: {
    key: { name: "ECDSA", namedCurve: "P-384" },
    signature: { name: "ECDSA", hash: "SHA-384" },
  },
  rsa2048: {
    key: {
      name: "RSASSA-PKCS1-v1_5",
      modulusLength: 2_048,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: "SHA-256",
    },
    signature: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  },
} as const satisfies Readonly<Record<KeyType, object>>;

/** A new key and what asks a CA to sign it. */
export interface CertificateRequest {
  /** DER, base64url: as `finalize` wants it. */
  readonly csr: string;
  /** PKCS #8 PEM. */
  readonly key: string;
}

/** Makes a key, never used before, and the request for these names: canonical, `*.x` for wildcards. */
export async function requestCertificate(
  names: readonly string[],
  keyType: KeyType,
): Promise<CertificateRequest> {
  const x509 = await loadX509();
  const { key, signature } = ALGORITHMS[keyType];
  const keys = (await webcrypto.subtle.generateKey(key, true, ["sign", "verify"])) as CryptoKeyPair;
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      // No subject: a common name has room for 64 characters, and nobody reads it.
      name: [],
      keys,
      signingAlgorithm: signature,
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: "dns" as const, value })),
        ),
      ],
    },
    webcrypto as Crypto,
  );
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    csr: Buffer.from(request.rawData).toString("base64url"),
    key: `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`,
  };
}
