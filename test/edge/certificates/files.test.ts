import { createPrivateKey } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "bun:test";
import { readCertificateFiles } from "../../../src/edge/certificates/files.ts";
import {
  makeLeaf,
  makeRoot,
  makeSelfSigned,
  type PemPair,
} from "../../../src/edge/certificates/internal-ca.ts";
import { TunlError } from "../../../src/errors.ts";
import { temporaryDirectory } from "./temporary.ts";

const DAY_MS = 86_400_000;

describe("certificate files", () => {
  const now = Date.now();
  const life = { notBefore: now - DAY_MS, notAfter: now + DAY_MS };
  let root: PemPair;
  let leaf: PemPair;

  beforeAll(async () => {
    root = await makeRoot(now);
    leaf = await makeLeaf(root, ["Example.com", "*.example.com"], life);
  });

  /** Writes a pair and reads it. */
  async function read(
    pair: PemPair,
    at = now,
    modes = { cert: 0o644, key: 0o600 },
  ): ReturnType<typeof readCertificateFiles> {
    using directory = temporaryDirectory();
    const files = { cert: join(directory.path, "cert.pem"), key: join(directory.path, "key.pem") };
    writeFileSync(files.cert, pair.cert);
    writeFileSync(files.key, pair.key);
    chmodSync(files.cert, modes.cert);
    chmodSync(files.key, modes.key);
    return await readCertificateFiles(files, at);
  }

  async function refusal(attempt: Promise<unknown>): Promise<TunlError> {
    const error = await attempt.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof TunlError))
      throw new Error(`Expected a TunlError, got ${String(error)}`);
    return error;
  }

  test("give their names from the leaf's SANs, canonical, and its times", async () => {
    const certificate = await read({ cert: leaf.cert + root.cert, key: leaf.key });
    expect(certificate.names).toEqual(["example.com", "*.example.com"]);
    expect(certificate.id).toEndWith("cert.pem");
    // X.509 counts seconds.
    expect(certificate.notAfter).toBe(Math.floor(life.notAfter / 1_000) * 1_000);
  });

  test("are refused when the key belongs to another certificate", async () => {
    const error = await refusal(read({ cert: leaf.cert, key: root.key }));
    expect(error.code).toBe("CERTIFICATE_REFUSED");
    expect(error.message).toMatch(
      /^The key in ".*key\.pem" does not belong to the certificate in ".*cert\.pem"$/,
    );
  });

  test("are refused before and after their time, with the day", async () => {
    const late = await refusal(read(leaf, now + 2 * DAY_MS));
    expect(late.message).toContain(
      `expired on ${new Date(life.notAfter).toISOString().slice(0, 10)}`,
    );
    const early = await refusal(read(leaf, now - 2 * DAY_MS));
    expect(early.message).toContain(
      `not valid before ${new Date(life.notBefore).toISOString().slice(0, 10)}`,
    );
  });

  test("are refused without a DNS name: the common name is none", async () => {
    const error = await refusal(read(await makeSelfSigned("example.com", 1, now)));
    expect(error.message).toContain("names no host in its subjectAltName");
  });

  test("are refused when they are no PEM, naming the file", async () => {
    const told = async (cert: string, key: string): Promise<string> => {
      const { message, hint } = await refusal(read({ cert, key }));
      expect(hint).toContain("-----BEGIN ");
      return message.replace(/^".*(cert|key)\.pem"/, "$1");
    };
    const [certificate, key] = [
      "expected PEM certificates, the leaf first",
      "expected an unencrypted PEM private key",
    ];
    expect(await told("nonsense", leaf.key)).toBe(`cert holds no PEM, ${certificate}`);
    expect(await told(leaf.cert, "nonsense")).toBe(`key holds no PEM, ${key}`);
    // Swapped, and locked.
    expect(await told(leaf.key, leaf.cert)).toBe(
      `cert holds a private key that cannot be used here, ${certificate}`,
    );
    expect(await told(leaf.cert, leaf.cert)).toBe(
      `key holds a certificate that cannot be used here, ${key}`,
    );
    const locked = createPrivateKey(leaf.key).export({
      ...({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc" } as const),
      passphrase: "secret",
    });
    expect(await told(leaf.cert, String(locked))).toBe(`key holds an encrypted key, ${key}`);
  });

  test("are refused when absent, naming the path", async () => {
    const error = await refusal(
      readCertificateFiles({ cert: "/nowhere/cert.pem", key: "/nowhere/key.pem" }),
    );
    expect(error.message).toContain('"/nowhere/cert.pem"');
    expect(error.message).toContain("no such file");
  });

  test("are refused when others may read the key or write the certificate", async () => {
    const readable = await refusal(read(leaf, now, { cert: 0o644, key: 0o644 }));
    expect([readable.code, readable.message]).toEqual([
      "INSECURE_FILE",
      expect.stringContaining("key.pem"),
    ]);
    const writable = await refusal(read(leaf, now, { cert: 0o646, key: 0o600 }));
    expect([writable.code, writable.message]).toEqual([
      "INSECURE_FILE",
      expect.stringContaining("cert.pem"),
    ]);
  });
});
