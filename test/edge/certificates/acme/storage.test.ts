// This file is certificates on the disk: whole or not at all, whatever stops the process, and never damaged ones. reliability.md §4 item 6; R-17.
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "bun:test";
import {
  CertificateStorage,
  type StoredCertificate,
} from "../../../../src/edge/certificates/acme/storage.ts";
import { isInstalled, run, SEARCH_PATH } from "../../../binary/program.ts";
import { temporaryDirectory } from "../temporary.ts";

const NAME = "a.example.com";

/** The pair of a generation: what is in it is nothing to the storage. */
function pair(generation: number): StoredCertificate {
  return {
    names: [NAME],
    cert: `certificate ${generation}\n`.repeat(100),
    key: `key ${generation}\n`.repeat(100),
    challenge: "http-01",
    ca: "https://ca.example.com/directory",
  };
}

describe("certificate storage", () => {
  test("gives back what was saved, the newest, with private modes and nothing else beside it", async () => {
    using directory = temporaryDirectory();
    const storage = new CertificateStorage(directory.path);
    expect(await storage.load(NAME)).toEqual({ kind: "none" });
    for (const generation of [1, 2, 3]) {
      await storage.save(NAME, pair(generation));
      expect(await storage.load(NAME)).toEqual({ kind: "whole", certificate: pair(generation) });
    }
    const folder = join(directory.path, "certs", NAME);
    expect(readdirSync(folder).sort()).toEqual(["cert.pem", "key.pem", "meta.json"]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(folder))
      expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  });

  test("a wildcard has a folder of its own, which no name can have", async () => {
    using directory = temporaryDirectory();
    const storage = new CertificateStorage(directory.path);
    await storage.save("*.example.com", { ...pair(1), names: ["example.com", "*.example.com"] });
    await storage.save("example.com", pair(2));
    expect(readdirSync(join(directory.path, "certs")).sort()).toEqual([
      "example.com",
      "wildcard_.example.com",
    ]);
  });

  test.each<[string, (folder: string) => void]>([
    ["another key", (folder) => writeFileSync(join(folder, "key.pem"), "key 2\n")],
    ["half a chain", (folder) => writeFileSync(join(folder, "cert.pem"), "certificate 1\n")],
    ["no key", (folder) => rmSync(join(folder, "key.pem"))],
    ["no meta.json", (folder) => rmSync(join(folder, "meta.json"))],
    ["an empty meta.json", (folder) => writeFileSync(join(folder, "meta.json"), "")],
    ["a meta.json of another kind", (folder) => writeFileSync(join(folder, "meta.json"), "[1]")],
  ])("a folder with %s is damaged, and mended by the next certificate", async (_, damage) => {
    using directory = temporaryDirectory();
    const storage = new CertificateStorage(directory.path);
    await storage.save(NAME, pair(1));
    damage(join(directory.path, "certs", NAME));
    expect((await storage.load(NAME)).kind).toBe("damaged");
    await storage.save(NAME, pair(2));
    expect(await storage.load(NAME)).toEqual({ kind: "whole", certificate: pair(2) });
  });

  test("names of unfinished writes are passed over; a key that others may read is refused", async () => {
    using directory = temporaryDirectory();
    const storage = new CertificateStorage(directory.path);
    await storage.save(NAME, pair(1));
    const folder = join(directory.path, "certs", NAME);
    for (const file of [".meta.json.0123456789ab.tmp", ".cert.next.pem.0123456789ab.tmp"])
      writeFileSync(join(folder, file), "half");
    writeFileSync(join(folder, "cert.next.pem"), "half");
    expect(await storage.load(NAME)).toEqual({ kind: "whole", certificate: pair(1) });
    chmodSync(join(folder, "key.pem"), 0o644);
    await expect(storage.load(NAME)).rejects.toMatchObject({ code: "INSECURE_FILE" });
  });

  test("a disk that takes nothing is an error, and what was there stays whole", async () => {
    using directory = temporaryDirectory();
    const storage = new CertificateStorage(directory.path);
    mkdirSync(join(directory.path, "certs"));
    writeFileSync(join(directory.path, "certs", NAME), "a file in the way");
    await expect(storage.save(NAME, pair(1))).rejects.toThrow();
    rmSync(join(directory.path, "certs", NAME));
    await storage.save(NAME, pair(1));
    expect(await storage.load(NAME)).toEqual({ kind: "whole", certificate: pair(1) });
  });

  const hasStrace = isInstalled("strace");
  test.skipIf(!hasStrace || process.platform !== "linux")(
    "kill -9 at any write, fsync and rename leaves the old pair or the new one, whole (R-17)",
    async () => {
      using directory = temporaryDirectory();
      const before = join(directory.path, "before");
      await new CertificateStorage(before).save(NAME, pair(1));
      const program = fileURLToPath(new URL("store-certificate.ts", import.meta.url));
      /** Saves generation 2 over 1 in a copy, and is killed as it makes the call; what is there then. */
      const killed = async (
        flags: readonly string[],
        label: string,
      ): Promise<[boolean, string]> => {
        const state = join(directory.path, label);
        cpSync(before, state, { recursive: true });
        const words = flags.map((flag) => flag.replace("FOLDER", join(state, "certs", NAME)));
        const { code } = await run(
          ["strace", "-f", "-qq", "-o", "/dev/null", ...words, process.execPath, program, state],
          { environment: { PATH: SEARCH_PATH, TUNL_PAIR: JSON.stringify(pair(2)) } },
        );
        const found = await new CertificateStorage(state).load(NAME);
        if (found.kind !== "whole") throw new Error(`${label}: ${JSON.stringify(found)}`);
        const generation = found.certificate.cert.split(/\s/)[1] as string;
        // Chain and key are of one generation, and the next save works on whatever was left.
        expect(found.certificate).toEqual(pair(Number(generation)));
        await new CertificateStorage(state).save(NAME, pair(3));
        expect(await new CertificateStorage(state).load(NAME)).toEqual({
          kind: "whole",
          certificate: pair(3),
        });
        return [code !== 0, generation];
      };
      const inject = (calls: string, when: number): string[] => [
        "-e",
        `trace=${calls}`,
        "-e",
        `inject=${calls}:signal=SIGKILL:when=${when}`,
      ];
      const RENAMES = "rename,renameat,renameat2";
      // The first file of all; then, with meta.json in place, the two that are still to get their names.
      expect(await killed(inject(RENAMES, 1), "first")).toEqual([true, "1"]);
      for (const name of ["key.next.pem", "cert.next.pem"])
        expect(await killed(["-P", `FOLDER/${name}`, ...inject(RENAMES, 1)], name)).toEqual([
          true,
          "2",
        ]);
      // Calls are counted for each thread of its own, so these are some of all that there are.
      const others = await Promise.all(
        [RENAMES, "fsync,fdatasync", "write,pwrite64,writev"].flatMap((calls) =>
          [1, 2, 3].map((when) => killed(inject(calls, when), `${calls} ${when}`)),
        ),
      );
      expect(others.filter(([isKilled]) => isKilled).length).toBeGreaterThanOrEqual(6);
    },
    60_000,
  );
});
