import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo } from "node:net";
import { join } from "node:path";
import { connect, createServer, type PeerCertificate, type SecureContext } from "node:tls";
import { describe, expect, test } from "bun:test";
import {
  type InternalAuthority,
  startInternalAuthority,
} from "../../../src/edge/certificates/authority.ts";
import { CertificateTable } from "../../../src/edge/certificates/certificates.ts";
import { makeLeaf, makeRoot } from "../../../src/edge/certificates/internal-ca.ts";
import { TunlError } from "../../../src/errors.ts";
import { memoryLog, temporaryDirectory } from "./temporary.ts";

const DAY_MS = 86_400_000;
const hasOpenssl = Bun.which("openssl") !== null;
if (!hasOpenssl) console.warn("skip: openssl is absent, it verifies no chain");

interface Fixture extends Disposable {
  readonly directory: string;
  readonly table: CertificateTable;
  readonly authority: InternalAuthority;
  readonly records: ReturnType<typeof memoryLog>["records"];
  now: number;
}

async function start(domains: readonly string[] = ["example.com"]): Promise<Fixture> {
  const directory = temporaryDirectory();
  const table = new CertificateTable();
  const { log, records } = memoryLog();
  const time = { now: Date.now() };
  const authority = await startInternalAuthority({
    stateDirectory: directory.path,
    domains,
    table,
    log,
    clock: () => time.now,
  });
  return {
    directory: directory.path,
    table,
    authority,
    records,
    get now() {
      return time.now;
    },
    set now(value: number) {
      time.now = value;
    },
    [Symbol.dispose]() {
      authority[Symbol.dispose]();
      directory[Symbol.dispose]();
    },
  };
}

async function refusal(attempt: Promise<unknown>): Promise<TunlError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof TunlError)) throw new Error(`Expected a TunlError, got ${String(error)}`);
  return error;
}

/** Handshakes with a server that shows `context`; the client trusts `ca` alone. Resolves with what it was shown. */
async function shown(
  context: SecureContext,
  ca: string,
  servername: string,
): Promise<PeerCertificate> {
  const server = createServer(
    { SNICallback: (_name, answer) => answer(null, context) },
    (socket) => {
      socket.on("error", () => undefined);
      socket.end();
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { promise, resolve, reject } = Promise.withResolvers<PeerCertificate>();
  const deadline = setTimeout(() => reject(new Error("No handshake within 4 s")), 4_000);
  const client = connect({
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    servername,
    ca,
    rejectUnauthorized: true,
  });
  client.on("error", reject);
  client.on("secureConnect", () => resolve(client.getPeerCertificate()));
  try {
    return await promise;
  } finally {
    clearTimeout(deadline);
    client.destroy();
    server.close();
  }
}

describe("internal authority", () => {
  test("serves each domain and its wildcard with a leaf that clients of the root accept", async () => {
    using fixture = await start(["example.com", "example.org"]);
    const { table, authority } = fixture;
    for (const name of ["example.com", "app.example.com", "x.example.org"]) {
      const certificate = await shown(
        table.contextFor(name) as SecureContext,
        authority.rootPem,
        name,
      );
      expect(certificate.subject.CN).toBe(name.split(".").slice(-2).join("."));
    }
    expect([...table.names].sort()).toEqual([
      "*.example.com",
      "*.example.org",
      "example.com",
      "example.org",
    ]);
  });

  test("is not accepted by a client that does not know the root", async () => {
    using fixture = await start();
    using other = await start();
    const context = fixture.table.contextFor("example.com") as SecureContext;
    await expect(shown(context, other.authority.rootPem, "example.com")).rejects.toThrow();
  });

  test("leaves of a clock that was years ahead are made again once it is right", async () => {
    using fixture = await start();
    const { table, authority } = fixture;
    const right = fixture.now;
    fixture.now = right + 3_650 * 86_400_000;
    await authority.renew();
    expect(table.find("example.com")?.notBefore).toBeGreaterThan(right);
    fixture.now = right;
    await authority.renew();
    expect(table.find("example.com")?.notBefore).toBeLessThan(right);
    const served = table.find("example.com");
    await authority.renew();
    expect(table.find("example.com")).toBe(served as never);
  });

  test("a name that is released and granted again at once is waited for", async () => {
    using fixture = await start();
    const { table, authority } = fixture;
    authority.want("other.test");
    authority.unwant("other.test");
    authority.want("other.test");
    await authority.ready("other.test");
    expect(table.covers("other.test")).toBe(true);
  });

  test("issues one leaf per granted name outside of the wildcards", async () => {
    using fixture = await start();
    const { table, authority } = fixture;
    await authority.grant("app.example.com");
    expect(table.names).toHaveLength(2);
    await Promise.all([
      authority.grant("shop.customer.test"),
      authority.grant("shop.customer.test"),
    ]);
    await authority.grant("*.dev.customer.test");
    await authority.grant("a.dev.customer.test");
    expect([...table.names].sort()).toEqual([
      "*.dev.customer.test",
      "*.example.com",
      "a.dev.customer.test",
      "example.com",
      "shop.customer.test",
    ]);
    // A name stays covered when the wildcard above it leaves.
    authority.revoke("*.dev.customer.test");
    expect(table.covers("a.dev.customer.test")).toBe(true);
    expect(table.covers("b.dev.customer.test")).toBe(false);
    const context = table.contextFor("shop.customer.test") as SecureContext;
    const certificate = await shown(context, authority.rootPem, "shop.customer.test");
    expect(certificate.subjectaltname).toBe("DNS:shop.customer.test");
    authority.revoke("shop.customer.test");
    authority.revoke("example.com");
    expect(table.covers("shop.customer.test")).toBe(false);
    expect(table.covers("example.com")).toBe(true);
  });

  test("as a source: what is wanted comes, keeps its own leaf beside a wildcard, and is known by its state", async () => {
    using fixture = await start();
    const { table, authority } = fixture;
    authority.want("*.dev.customer.test");
    expect(authority.state("*.dev.customer.test").state).toBe("pending");
    await authority.arriving("*.dev.customer.test");
    authority.want("a.dev.customer.test");
    await authority.ready("a.dev.customer.test");
    expect(authority.arriving("a.dev.customer.test")).toBeUndefined();
    authority.unwant("*.dev.customer.test");
    expect([table.covers("a.dev.customer.test"), table.covers("b.dev.customer.test")]).toEqual([
      true,
      false,
    ]);
    expect(authority.state("a.dev.customer.test").state).toBe("ready");
    expect(authority.state("b.dev.customer.test").state).toBe("none");
    const error = await refusal(authority.ready("b.dev.customer.test"));
    expect(error.code).toBe("CERTIFICATE_FAILED");
  });

  test("resolves a second grant only once the first is served", async () => {
    using fixture = await start();
    const first = fixture.authority.grant("shop.customer.test");
    await fixture.authority.grant("shop.customer.test");
    expect(fixture.table.covers("shop.customer.test")).toBe(true);
    await first;
  });

  test("shows nothing for a name that was revoked while its leaf was made", async () => {
    using fixture = await start();
    const granted = fixture.authority.grant("shop.customer.test");
    fixture.authority.revoke("shop.customer.test");
    await granted;
    expect(fixture.table.covers("shop.customer.test")).toBe(false);
  });

  test("renews at two thirds of seven days, in place", async () => {
    using fixture = await start();
    const { table, authority } = fixture;
    const first = table.find("example.com");
    fixture.now += 4.6 * DAY_MS;
    await authority.renew();
    expect(table.find("example.com")).toBe(first as never);
    fixture.now += 0.1 * DAY_MS;
    await authority.renew();
    const second = table.find("example.com");
    expect(second?.context).not.toBe(first?.context);
    expect(second?.notAfter).toBe(fixture.now + 7 * DAY_MS);
    expect(table.names).toHaveLength(2);
  });

  test("keeps its root over a restart, and its files to itself", async () => {
    using fixture = await start();
    const before = fixture.authority.rootPem;
    expect(statSync(join(fixture.directory, "ca")).mode & 0o777).toBe(0o700);
    for (const file of ["root.pem", "root.key"]) {
      expect(statSync(join(fixture.directory, "ca", file)).mode & 0o777).toBe(0o600);
    }
    // No temporary file is left behind.
    expect(readdirSync(join(fixture.directory, "ca")).sort()).toEqual(["root.key", "root.pem"]);
    using again = await restart(fixture.directory);
    expect(again.rootPem).toBe(before);
    expect(again.rootPath).toBe(join(fixture.directory, "ca", "root.pem"));
  });

  test("never replaces a root that is damaged, and says which file", async () => {
    using fixture = await start();
    const certPath = join(fixture.directory, "ca", "root.pem");
    const keyPath = join(fixture.directory, "ca", "root.key");
    const key = readFileSync(keyPath, "utf8");
    const foreignKey = (await makeRoot(Date.now())).key;
    const cases: readonly (readonly [() => void, string])[] = [
      [() => rmSync(keyPath), `"${keyPath}" is missing`],
      [
        () => writeFileSync(keyPath, "nonsense", { mode: 0o600 }),
        "are not a PEM certificate and its key",
      ],
      [() => writeFileSync(keyPath, foreignKey), "does not belong to"],
    ];
    for (const [damage, text] of cases) {
      damage();
      const error = await refusal(restart(fixture.directory));
      expect(error.code).toBe("CA_DAMAGED");
      expect(error.message).toContain(text);
    }
    writeFileSync(keyPath, key);
    const tooLate = await refusal(restart(fixture.directory, Date.now() + 11 * 365 * DAY_MS));
    expect(tooLate.message).toContain("expired on");
    rmSync(certPath);
    expect((await refusal(restart(fixture.directory))).message).toContain(
      `"${certPath}" is missing`,
    );
  });

  test("refuses a root key that others may read, and prints the chmod", async () => {
    using fixture = await start();
    const keyPath = join(fixture.directory, "ca", "root.key");
    chmodSync(keyPath, 0o644);
    const error = await refusal(restart(fixture.directory));
    expect(error.code).toBe("INSECURE_FILE");
    expect(error.hint).toBe(`Run chmod 600 ${keyPath}`);
  });

  test.skipIf(!hasOpenssl)("makes chains that openssl verifies, for long names too", async () => {
    using directory = temporaryDirectory();
    const now = Date.now();
    const root = await makeRoot(now);
    const long = `${"a".repeat(60)}.${"b".repeat(60)}.example.com`;
    writeFileSync(join(directory.path, "root.pem"), root.cert);
    for (const names of [["example.com", "*.example.com"], [long]]) {
      const leaf = await makeLeaf(root, names, { notBefore: now - 1_000, notAfter: now + DAY_MS });
      writeFileSync(join(directory.path, "leaf.pem"), leaf.cert);
      const host = (names.at(-1) as string).replace("*", "app");
      const output = execFileSync("openssl", [
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        host,
        "-CAfile",
        join(directory.path, "root.pem"),
        join(directory.path, "leaf.pem"),
      ]);
      expect(output.toString()).toContain("leaf.pem: OK");
    }
  });

  test("lets its root sign nothing but leaves", async () => {
    const root = new X509Certificate((await makeRoot(Date.now())).cert);
    expect(root.ca).toBe(true);
    expect(root.checkIssued(root)).toBe(true);
    const years = (Date.parse(root.validTo) - Date.parse(root.validFrom)) / (365.25 * DAY_MS);
    expect(Math.round(years)).toBe(10);
  });
});

async function restart(stateDirectory: string, now?: number): Promise<InternalAuthority> {
  const options = {
    stateDirectory,
    domains: [],
    table: new CertificateTable(),
    log: memoryLog().log,
  };
  return startInternalAuthority(now === undefined ? options : { ...options, clock: () => now });
}
