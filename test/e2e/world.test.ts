// This file is whole stories in a world with ports 80 and 443, a name server and a CA: the six steps of the tutorials, and what a new user does wrong. product.md §1.2, §4, §8.
import { describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { run, isInstalled, SEARCH_PATH } from "../binary/program.ts";
import { steady } from "../binary/steady.ts";
import { IS_BUILT, TUNL } from "../binary/tunl.ts";
import { expectGolden } from "../golden.ts";
import { canMakeWorlds, IN_NAMESPACE } from "./world/namespace.ts";

const CAN_RUN = IS_BUILT && canMakeWorlds();
const HAS_FAKETIME = isInstalled("faketime");

/** Runs a story and returns what a person typed and read, without what differs from run to run. */
async function told(story: string, ...words: readonly string[]): Promise<string> {
  const program = fileURLToPath(new URL(`world/${story}.ts`, import.meta.url));
  const { code, stdout, stderr } = await run(
    [...IN_NAMESPACE, process.execPath, program, ...words],
    {
      environment: { PATH: SEARCH_PATH, TUNL_EXECUTABLE: TUNL, NO_COLOR: "1" },
      deadlineMs: 120_000,
    },
  );
  if (code !== 0) throw new Error(`${story} ended with ${code}:\n${stdout}${stderr}`);
  const world = /\/\S*\/tunl-world-\w+/.exec(stdout)?.[0];
  return (
    steady(stdout.trimStart(), world === undefined ? [] : [world], {})
      .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "UUID")
      .replaceAll(/\b\d{4}-\d\d-\d\d\b/g, "DATE")
      .replaceAll(/(logged in {4}as )"[^"]*"/g, '$1"MACHINE"')
      .replaceAll(/OpenSSL\/\S+ error:\w+:/g, "OpenSSL: ")
      .replaceAll(/used by \S+ \(pid PID\)/g, "used by PROGRAM (pid PID)")
      // Who was quick enough not to wait is told no time.
      .replaceAll(/, ready in TIME$/gm, ", ready")
      .replaceAll(/ after TIME$/gm, "")
      .replaceAll(/ {2}(?:now|TIME ago)$/gm, "  now")
  );
}

describe.skipIf(!CAN_RUN)("a world of its own", () => {
  for (const challenge of ["http-01", "tls-alpn-01", "dns-01"]) {
    test(`the six steps, certificates by ${challenge}`, async () => {
      const story = await told("six-steps", challenge);
      expect(story).toContain("hello from my laptop");
      expectGolden(`world/six-steps-${challenge}.txt`, story);
    }, 130_000);
  }

  test.skipIf(!HAS_FAKETIME)(
    "mistakes of a new user: each ends in a text that says what to do",
    async () => {
      expectGolden("world/mistakes.txt", await told("mistakes"));
    },
    130_000,
  );
});
