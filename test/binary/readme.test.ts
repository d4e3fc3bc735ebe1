import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../../package.json" with { type: "json" };
import { freePort } from "../../scripts/rig/ports.ts";
import { isInstalled, Program } from "./program.ts";
import { Home, IS_BUILT } from "./tunl.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const HAS_TOOLS = isInstalled("curl") && isInstalled("sed");

/** The blocks to paste, in their order. */
const BLOCKS = [...README.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text as string);

/** A block as its reader runs it, in a shell; what it saves goes to `home`. */
function paste(block: string, home: Home, port: number): Program {
  const lines = block
    .replaceAll("$PWD/dist/try", home.path)
    .replaceAll("dist/try", home.path)
    .replaceAll("8443", String(port))
    .trimEnd()
    .split("\n")
    .filter((line) => !line.startsWith("npm "));
  // The shell becomes the last command, so that a signal reaches it.
  const text = [...lines.slice(0, -1), `exec ${lines.at(-1)}`].join("\n");
  return new Program(["sh", "-ec", text], {
    directory: ROOT,
    environment: { PATH: process.env["PATH"] ?? "", HOME: home.path },
    deadlineMs: 30_000,
  });
}

describe("README", () => {
  test("names scripts and files that exist", () => {
    const scripts = [...README.matchAll(/npm run ([a-z]+)/g)].map(([, name]) => name as string);
    expect(scripts.length).toBeGreaterThan(3);
    for (const name of scripts) expect(Object.keys(manifest.scripts)).toContain(name);
    const links = [...README.matchAll(/\]\(([^)]+)\)/g)].map(([, path]) => path as string);
    expect(links.length).toBeGreaterThan(1);
    for (const path of links) expect(readFileSync(join(ROOT, path)).length).toBeGreaterThan(0);
  });

  test.skipIf(!IS_BUILT || !HAS_TOOLS)(
    "its commands work when they are pasted",
    async () => {
      expect(BLOCKS.length).toBe(4);
      expect(BLOCKS[0]).toBe("npm install && npm run demo\nnpm install && npm test\n");
      const [, edgeBlock = "", connectBlock = "", visitBlock = ""] = BLOCKS;
      using home = new Home();
      const port = await freePort();
      await using edge = paste(edgeBlock, home, port);
      await edge.line(/ready/);
      await using connector = paste(connectBlock, home, port);
      await connector.line(new RegExp(`^https://hello\\.tunl\\.localhost:${port} -> hello_world$`));
      await using visitor = paste(visitBlock, home, port);
      const { code, stdout, stderr } = await visitor.ended;
      expect([code, stdout.toLowerCase().includes("<!doctype html>")]).toEqual([0, true]);
      expect(stderr).not.toContain("curl:");
      for (const end of [connector, edge]) {
        end.signal("SIGINT");
        expect((await end.ended).code).toBe(0);
      }
    },
    40_000,
  );
});
