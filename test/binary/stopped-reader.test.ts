// This file is a reader of stderr that stops: the program serves on, keeps 1 MiB of lines, and says how many it dropped. reliability.md §6.
import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RING_BYTES } from "../../src/cli/writer.ts";
import { DOMAIN } from "../e2e/rig.ts";
import { Visitor } from "../e2e/visitor.ts";
import { eventually, SEARCH_PATH } from "./program.ts";
import { EDGE, Home, IS_BUILT, Running, tunl } from "./tunl.ts";

const REQUESTS = 600;
const PADDING = 4_000;
/** A pipe of Linux, and one batch of the writer that it did not take yet. */
const UNDER_WAY = 65_536 + 2 * 65_536;

/** The reading end of a named pipe: read when it is asked to be, and not otherwise. */
class Pipe implements Disposable {
  readonly path: string;
  readonly #descriptor: number;
  #text = "";

  constructor(path: string) {
    this.path = path;
    Bun.spawnSync(["mkfifo", path], { env: { PATH: SEARCH_PATH } });
    this.#descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  /** Reads until a line matches. */
  async until(pattern: RegExp): Promise<string> {
    return await eventually(() => {
      this.#drain();
      return pattern.test(this.#text) ? this.#text : undefined;
    }, `a line like ${pattern}`);
  }

  #drain(): void {
    const bytes = Buffer.alloc(65_536);
    for (;;) {
      try {
        const count = readSync(this.#descriptor, bytes);
        if (count === 0) return;
        this.#text += bytes.toString("utf8", 0, count);
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "EAGAIN") return;
        throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

describe.skipIf(!IS_BUILT || process.platform === "win32")(
  "a reader of stderr that stopped",
  () => {
    test("stops nobody: requests are answered, the oldest lines go and are counted", async () => {
      using home = new Home();
      writeFileSync(join(home.path, "edge.yml"), "log: {access: on}\n", { mode: 0o600 });
      using pipe = new Pipe(join(home.path, "stderr"));
      const through = ["/bin/sh", "-c", `exec "$@" 2>"${pipe.path}"`, "sh"];
      await using edge = new Running(EDGE, { home: home.path, through, deadlineMs: 60_000 });
      const started = await pipe.until(/"event":"ready"/);
      const port = Number(/"port":(\d+)/.exec(started)?.[1]);
      const ca = join(home.path, "state", "ca", "root.pem");
      using visitor = await Visitor.open({ ca, port }, `nobody.${DOMAIN}`);
      const ask = async (first: number): Promise<void> => {
        for (let index = first; index < first + REQUESTS; index++) {
          const path = `/${String(index).padStart(6, "0")}-${"x".repeat(PADDING)}`;
          visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${visitor.authority}\r\n\r\n`);
          expect((await visitor.answer()).status).toBe(404);
        }
      };
      // Nobody reads from here on; two and a half times what fits is written.
      await ask(0);
      const { code } = await tunl(["status"], { home: home.path });
      expect(code).toBe(0);
      // Somebody reads again.
      const text = await pipe.until(
        // To the end of its line: it comes in pieces.
        new RegExp(`"path":"/${String(REQUESTS - 1).padStart(6, "0")}-[^\\n]*\\n`),
      );
      const lines = text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      const seen = lines
        .filter(({ event }) => event === "request")
        .map(({ path }) => Number(path.slice(1, 7)));
      const losses = lines.filter(({ event }) => event === "log.dropped");
      expect(losses).toHaveLength(1);
      // Every line is there or counted: the first ones, which were under way, then the loss, then the newest.
      expect(seen.length + Number(losses[0].dropped)).toBe(REQUESTS);
      expect(losses[0]).toMatchObject({ level: "warn", msg: expect.stringContaining("too slow") });
      const gap = seen.findIndex((number, index) => number !== index);
      expect(seen.slice(gap)).toEqual(
        Array.from(
          { length: seen.length - gap },
          (_, index) => REQUESTS - (seen.length - gap) + index,
        ),
      );
      const kept = text.slice(text.indexOf('"event":"log.dropped"')).length;
      expect(kept).toBeLessThan(RING_BYTES + PADDING);
      expect(kept).toBeGreaterThan(RING_BYTES - 2 * PADDING);
      expect(text.length - kept).toBeLessThan(UNDER_WAY);
      // And nobody reads any more: the end does not wait for him either.
      await ask(REQUESTS);
      edge.signal("SIGTERM");
      expect((await edge.ended).code).toBe(0);
    }, 60_000);
  },
);
