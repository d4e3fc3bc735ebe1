import { X509Certificate } from "node:crypto";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { loadLinkCertificate } from "../../../src/edge/certificates/link-certificate.ts";
import { memoryLog, temporaryDirectory } from "./temporary.ts";

describe("link certificate", () => {
  test("is made once and kept in the state, closed to others", async () => {
    using directory = temporaryDirectory();
    const { log, records } = memoryLog();
    const made = await loadLinkCertificate(directory.path, log);
    expect(await loadLinkCertificate(directory.path, log)).toEqual(made);
    expect(readdirSync(directory.path).sort()).toEqual(["link-cert.key", "link-cert.pem"]);
    expect(statSync(join(directory.path, "link-cert.key")).mode & 0o777).toBe(0o600);
    const certificate = new X509Certificate(made.cert);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(records).toEqual([]);
  });

  test("is made again with a warning when it is damaged", async () => {
    using directory = temporaryDirectory();
    const { log, records } = memoryLog();
    const made = await loadLinkCertificate(directory.path, log);
    writeFileSync(join(directory.path, "link-cert.pem"), "nonsense");
    const again = await loadLinkCertificate(directory.path, log);
    expect(again.key).not.toBe(made.key);
    expect(records.map(({ level }) => level)).toEqual(["warn"]);
    expect(await loadLinkCertificate(directory.path, log)).toEqual(again);
  });
});
