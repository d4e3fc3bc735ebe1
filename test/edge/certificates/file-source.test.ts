// This file is certificate files that change while the edge runs: renamed, half-written, wrong, gone.
import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "bun:test";
import { CertificateTable } from "../../../src/edge/certificates/certificates.ts";
import { FileSource } from "../../../src/edge/certificates/file-source.ts";
import { makeLeaf, makeRoot, type PemPair } from "../../../src/edge/certificates/internal-ca.ts";
import { TunlError } from "../../../src/errors.ts";
import { memoryLog, temporaryDirectory } from "./temporary.ts";

const DAY_MS = 86_400_000;
const START = Date.now();

let root: PemPair;
beforeAll(async () => {
  root = await makeRoot(START);
});

function leaf(names: readonly string[], days = 90): Promise<PemPair> {
  return makeLeaf(root, names, { notBefore: START - DAY_MS, notAfter: START + days * DAY_MS });
}

/** A pair in files, and the source that serves it. */
class Rig implements AsyncDisposable {
  readonly table = new CertificateTable();
  readonly records: ReturnType<typeof memoryLog>["records"];
  readonly source: FileSource;
  readonly cert: string;
  readonly key: string;
  now = START;
  readonly #directory = temporaryDirectory();

  constructor() {
    this.cert = join(this.#directory.path, "cert.pem");
    this.key = join(this.#directory.path, "key.pem");
    const { log, records } = memoryLog();
    this.records = records;
    this.source = new FileSource({
      pairs: [{ cert: this.cert, key: this.key }],
      domains: ["example.com"],
      table: this.table,
      log,
      clock: () => this.now,
      // Looks come from the test alone: one between two of its steps would be one too many.
      lookMs: DAY_MS,
    });
  }

  static async start(pair: PemPair): Promise<Rig> {
    const rig = new Rig();
    rig.write(pair);
    await rig.source.start();
    return rig;
  }

  write({ cert, key }: PemPair): void {
    this.replace(this.cert, cert);
    this.replace(this.key, key);
  }

  /** As programs that renew do it: written beside, then renamed. */
  replace(path: string, text: string): void {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  /** So many looks, as the timer makes them. */
  async look(times: number): Promise<void> {
    for (let count = 0; count < times; count++) await this.source.look();
  }

  get warnings(): string[] {
    return this.records.filter(({ level }) => level === "warn").map(({ message }) => message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]();
    this.#directory[Symbol.dispose]();
  }
}

describe("certificate files that are watched", () => {
  test("a new pair is served once it stays as it is, with the names it has", async () => {
    await using rig = await Rig.start(await leaf(["example.com", "*.example.com"]));
    const before = rig.table.find("example.com")?.context;
    await rig.look(3);
    expect(rig.table.find("example.com")?.context).toBe(before as never);
    rig.write(await leaf(["example.com", "*.example.com", "other.test"]));
    await rig.look(1);
    expect(rig.table.find("example.com")?.context).toBe(before as never);
    await rig.look(1);
    expect(rig.table.find("example.com")?.context).not.toBe(before as never);
    expect(rig.table.covers("other.test")).toBe(true);
    expect(rig.records.at(-1)?.message).toContain("is new, serves example.com");
    expect(rig.warnings).toEqual([]);
  });

  test("a pair of which one half is new is refused once, and the old one stays until both are", async () => {
    await using rig = await Rig.start(await leaf(["example.com", "*.example.com"]));
    const before = rig.table.find("example.com")?.context;
    const next = await leaf(["example.com", "*.example.com"]);
    rig.replace(rig.cert, next.cert);
    await rig.look(5);
    expect(rig.table.find("example.com")?.context).toBe(before as never);
    expect(rig.warnings).toHaveLength(1);
    expect(rig.warnings[0]).toContain("does not belong to the certificate");
    rig.replace(rig.key, next.key);
    await rig.look(2);
    expect(rig.table.find("example.com")?.context).not.toBe(before as never);
    expect(rig.warnings).toHaveLength(1);
  });

  test("a file that is being written is not read before it rests", async () => {
    await using rig = await Rig.start(await leaf(["example.com", "*.example.com"]));
    const next = await leaf(["example.com", "*.example.com"]);
    rig.replace(rig.key, next.key);
    // In place, in pieces, with a look after each.
    for (const share of [0.2, 0.4, 0.6, 0.8, 1]) {
      writeFileSync(rig.cert, next.cert.slice(0, Math.ceil(next.cert.length * share)));
      await rig.look(1);
    }
    expect(rig.warnings).toEqual([]);
    await rig.look(1);
    expect(rig.records.at(-1)?.message).toContain("is new");
  });

  test.each([
    ["gone", (rig: Rig) => rmSync(rig.cert), "no such file"],
    ["empty", (rig: Rig) => rig.replace(rig.cert, ""), "holds no PEM"],
    ["a key", (rig: Rig) => rig.replace(rig.cert, root.key), "holds a private key"],
  ])("a certificate that is %s is refused, and the old one stays", async (_, damage, words) => {
    await using rig = await Rig.start(await leaf(["example.com", "*.example.com"]));
    damage(rig);
    await rig.look(4);
    expect(rig.warnings).toHaveLength(1);
    expect(rig.warnings[0]).toContain(words);
    expect(rig.warnings[0]).toContain("stays in use");
    expect(rig.table.covers("example.com")).toBe(true);
  });

  test("a pair that is not valid yet is served when it is, without another change, and refused once", async () => {
    await using rig = await Rig.start(await leaf(["example.com", "*.example.com"]));
    const times = { notBefore: START + 3_600_000, notAfter: START + 90 * DAY_MS };
    rig.write(await makeLeaf(root, ["early.test", "example.com", "*.example.com"], times));
    await rig.look(100);
    expect(rig.warnings).toHaveLength(1);
    expect(rig.warnings[0]).toContain("is not valid before");
    rig.now = times.notBefore;
    await rig.look(31);
    expect(rig.table.covers("early.test")).toBe(true);
    expect(rig.warnings).toHaveLength(1);
  });

  test("a path that cannot be looked at is told of once, and not at every look", async () => {
    await using rig = await Rig.start(await leaf(["example.com", "*.example.com"]));
    rmSync(rig.cert);
    symlinkSync(rig.cert, rig.cert);
    await rig.look(100);
    expect(rig.warnings).toHaveLength(1);
    expect(rig.warnings[0]).toContain("ELOOP");
    expect(rig.table.covers("example.com")).toBe(true);
  });

  test("an expired pair is refused; a link that leads to a good one is followed", async () => {
    await using rig = await Rig.start(await leaf(["example.com", "*.example.com"]));
    rig.write(await leaf(["example.com"], -0.5));
    await rig.look(2);
    expect(rig.warnings[0]).toContain("expired on");
    const next = await leaf(["linked.example.com", "example.com", "*.example.com"]);
    for (const [path, text] of [
      [rig.cert, next.cert],
      [rig.key, next.key],
    ] as const) {
      writeFileSync(`${path}.1`, text, { mode: 0o600 });
      rmSync(path);
      symlinkSync(`${path}.1`, path);
    }
    await rig.look(2);
    expect(rig.table.names).toContain("linked.example.com");
  });

  test("warns 14, 7, 3 and 1 days before the end, each time once, and again after the next pair", async () => {
    await using rig = await Rig.start(await leaf(["example.com", "*.example.com"], 20));
    const warned: number[] = [];
    for (let day = 0; day <= 21; day += 0.5) {
      rig.now = START + day * DAY_MS;
      const before = rig.warnings.length;
      await rig.look(1);
      if (rig.warnings.length > before) warned.push(20 - day);
    }
    expect(warned).toEqual([14, 7, 3, 1]);
    expect(rig.warnings.every((text) => text.includes("expires on"))).toBe(true);
  });

  test("a name that no file has is not waited for", async () => {
    await using rig = await Rig.start(await leaf(["example.com", "*.example.com"]));
    await rig.source.ready("app.example.com");
    const error = await rig.source.ready("other.test").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TunlError);
    expect((error as TunlError).code).toBe("CERTIFICATE_FAILED");
    expect(rig.source.state("other.test").state).toBe("failed");
    expect(rig.source.state("app.example.com").state).toBe("ready");
  });
});
