// This file is a CA and leaf certificates for tests, made afresh in each run.
import "reflect-metadata";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;

export interface Pem {
  readonly key: string;
  readonly cert: string;
}

/** An authority that signs leaves. */
export class TestCa {
  readonly cert: string;
  readonly #keys: CryptoKeyPair;

  constructor(cert: string, keys: CryptoKeyPair) {
    this.cert = cert;
    this.#keys = keys;
  }

  static async make(): Promise<TestCa> {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: "CN=Test CA",
      keys,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS),
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    });
    return new TestCa(certificate.toString("pem"), keys);
  }

  /** A leaf for DNS names and addresses; `days` are from when and until when it is valid, from now on. */
  async leaf(
    dns: readonly string[],
    ip: readonly string[] = [],
    days: readonly [from: number, until: number] = [-1, 1],
  ): Promise<Pem> {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
    const certificate = await X509CertificateGenerator.create({
      subject: "CN=leaf",
      issuer: "CN=Test CA",
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() + days[0] * DAY_MS),
      notAfter: new Date(Date.now() + days[1] * DAY_MS),
      extensions: [
        new SubjectAlternativeNameExtension([
          ...dns.map((value) => ({ type: "dns" as const, value })),
          ...ip.map((value) => ({ type: "ip" as const, value })),
        ]),
      ],
    });
    const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString(
      "base64",
    );
    return {
      key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
      cert: certificate.toString("pem"),
    };
  }
}
