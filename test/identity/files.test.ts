import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  generateKey,
  isTemporary,
  listEdges,
  loadKey,
  makePrivateDirectory,
  readSecret,
  saveKey,
  sweepTemporaries,
  writeDirectoryAtomic,
  writeFileAtomic,
} from "../../src/identity/index.ts";

const root = mkdtempSync(join(tmpdir(), "tunl-files-"));
afterAll(() => rmSync(root, { recursive: true }));
const isRoot = process.getuid?.() === 0;

describe("files", () => {
  test("are written whole, mode 0600, over an older one, and leave nothing beside them", async () => {
    const directory = join(root, "whole");
    await makePrivateDirectory(directory);
    const path = join(directory, "a.json");
    await writeFileAtomic(path, "one");
    await writeFileAtomic(path, "two");
    expect(readFileSync(path, "utf8")).toBe("two");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(directory)).toEqual(["a.json"]);
  });

  test("keep their old content when a write fails, and the temporary file goes", async () => {
    const directory = join(root, "fails");
    // A directory in the way: the rename is what fails, after the bytes were written.
    mkdirSync(join(directory, "taken", "inside"), { recursive: true });
    await expect(writeFileAtomic(join(directory, "taken"), "new")).rejects.toThrow();
    expect(readdirSync(directory)).toEqual(["taken"]);
    await expect(writeFileAtomic(join(root, "nowhere", "a"), "new")).rejects.toMatchObject({
      code: "ENOENT",
    });
  });

  test("that belong together come with their directory, all of them or none", async () => {
    const parent = join(root, "together");
    const directory = join(parent, "ca");
    mkdirSync(directory, { recursive: true });
    await writeDirectoryAtomic(directory, { "root.key": "k", "root.pem": "p" });
    expect(readdirSync(directory).sort()).toEqual(["root.key", "root.pem"]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, "root.key")).mode & 0o777).toBe(0o600);
    // What stands there already is not replaced, and nothing is left beside it.
    await expect(writeDirectoryAtomic(directory, { other: "x" })).rejects.toThrow();
    expect(readdirSync(directory).sort()).toEqual(["root.key", "root.pem"]);
    expect(readdirSync(parent)).toEqual(["ca"]);
    // A directory that a crash left unfinished goes as a whole.
    mkdirSync(join(parent, ".ca.0123456789ab.tmp"));
    writeFileSync(join(parent, ".ca.0123456789ab.tmp", "root.key"), "k");
    await sweepTemporaries(parent, 0);
    expect(readdirSync(parent)).toEqual(["ca"]);
  });

  test("have temporary names that readers can tell", () => {
    expect(isTemporary(".a.json.0123456789ab.tmp")).toBe(true);
    for (const name of ["a.json", ".a.json", "a.json.0123456789ab.tmp", ".a.tmp"])
      expect(isTemporary(name)).toBe(false);
  });

  test("of writes that were cut short are swept, the young ones of another process and everything else are not", async () => {
    const directory = join(root, "sweep");
    mkdirSync(join(directory, "below"), { recursive: true });
    const old = new Date(Date.now() - 7_200_000);
    for (const name of ["a", "below/b"].flatMap((path) => [`${path}.json`, path])) {
      const isKept = name.endsWith(".json");
      const temporary = name.replace(/([^/]+)$/, ".$1.0123456789ab.tmp");
      writeFileSync(join(directory, isKept ? name : temporary), "half");
      utimesSync(join(directory, isKept ? name : temporary), old, old);
    }
    writeFileSync(join(directory, ".young.0123456789ab.tmp"), "half");
    const names = (): string[] =>
      readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
    await sweepTemporaries(directory, 3_600_000);
    expect(names()).toEqual([".young.0123456789ab.tmp", "a.json", "below", "below/b.json"]);
    await sweepTemporaries(directory, 0);
    expect(names()).toEqual(["a.json", "below", "below/b.json"]);
  });

  test.each([0o644, 0o640, 0o604, 0o620, 0o602, 0o660, 0o777])(
    "are not read as secrets with mode %o (S-65)",
    async (mode) => {
      const path = join(root, `mode-${mode}`);
      writeFileSync(path, "secret");
      chmodSync(path, mode);
      await expect(readSecret(path)).rejects.toMatchObject({
        code: "INSECURE_FILE",
        message: expect.stringMatching(/^"mode-\d+" can be (read|written) by other users /),
        hint: `Run chmod 600 ${path}`,
      });
      chmodSync(path, 0o600);
      expect(await readSecret(path)).toBe("secret");
      chmodSync(path, 0o400);
      expect(await readSecret(path)).toBe("secret");
    },
  );

  test.skipIf(!isRoot)(
    "are not read as secrets when another user owns them (needs root to change the owner)",
    async () => {
      const path = join(root, "foreign");
      writeFileSync(path, "secret", { mode: 0o600 });
      chownSync(path, 12_345, 12_345);
      await expect(readSecret(path)).rejects.toMatchObject({ code: "INSECURE_FILE" });
      const directory = join(root, "foreign-directory");
      mkdirSync(directory, { mode: 0o700 });
      chownSync(directory, 12_345, 12_345);
      await expect(makePrivateDirectory(directory)).rejects.toMatchObject({
        code: "INSECURE_FILE",
      });
    },
  );

  test.skipIf(!isRoot)(
    "say whose they are where this user may not read them (needs root to become another user)",
    async () => {
      const base = mkdtempSync(join(tmpdir(), "tunl-unreadable-"));
      const denied = join(base, "denied");
      const path = join(denied, "secret");
      mkdirSync(denied);
      writeFileSync(path, "secret", { mode: 0o600 });
      chmodSync(base, 0o755);
      try {
        process.seteuid?.(12_345);
        await expect(readSecret(path)).rejects.toMatchObject({
          code: "FILE_UNREADABLE",
          message: '"secret" cannot be read by this user: permission denied',
          hint: `Run tunl as the user whose file it is, or chown -R 12345 ${path}`,
        });
        process.seteuid?.(0);
        chmodSync(denied, 0o700);
        process.seteuid?.(12_345);
        await expect(listEdges(denied)).rejects.toMatchObject({
          code: "FILE_UNREADABLE",
          message: '"denied" cannot be read by this user: permission denied',
        });
      } finally {
        process.seteuid?.(0);
        rmSync(base, { recursive: true });
      }
    },
  );

  test("are not kept in a directory that others may write", async () => {
    const directory = join(root, "open");
    mkdirSync(directory);
    chmodSync(directory, 0o770);
    await expect(makePrivateDirectory(directory)).rejects.toMatchObject({
      code: "INSECURE_FILE",
      hint: `Run chmod 700 ${directory}`,
    });
  });

  test("are undefined where there are none", async () => {
    expect(await readSecret(join(root, "absent"))).toBeUndefined();
    writeFileSync(join(root, "plain"), "");
    expect(await readSecret(join(root, "plain", "below"))).toBeUndefined();
    expect(await loadKey(join(root, "absent"))).toBeUndefined();
  });

  test("hold a key that is read back, and a damaged key is named without its content", async () => {
    const path = join(root, "edge.key");
    const key = generateKey();
    await saveKey(path, key);
    expect((await loadKey(path))?.publicKey).toEqual(key.publicKey);
    await writeFileAtomic(path, readFileSync(path, "utf8").slice(0, 50));
    await expect(loadKey(path)).rejects.toMatchObject({ code: "STATE_DAMAGED" });
  });
});
