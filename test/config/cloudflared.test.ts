// This file is cloudflared's own forms of a file, each with the verdict of `cloudflared tunnel ingress validate` (there) and of ours (here).
// The first was taken from cloudflared itself: TUNL_CLOUDFLARED=PATH of its executable asks it again.
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { checkRules } from "../../src/config/index.ts";
import { inOrder } from "../../src/config/report.ts";

const FOLDER = fileURLToPath(new URL("cloudflared/", import.meta.url));
const NAMES = readdirSync(FOLDER).filter((name) => name.endsWith(".yml"));
const CLOUDFLARED = process.env["TUNL_CLOUDFLARED"];

/** The verdict in a comment of the file. */
function verdict(name: string, whose: "there" | "here"): string {
  const text = readFileSync(`${FOLDER}${name}`, "utf8");
  return new RegExp(`^# ${whose}: (.*)$`, "m").exec(text)?.[1] ?? "";
}

/** `OK` where rules may be used, then each problem as CODE:LINE in the order of the report. */
function ours(name: string): string {
  const { problems } = checkRules({
    flags: new Map([["config", [`${FOLDER}${name}`]]]),
    surroundings: { environment: {}, isRoot: false, platform: "linux", home: "/home/nobody" },
    directory: "/",
    isTerminal: false,
  });
  const isUsable = problems.every(({ severity }) => severity === "warning");
  const words = inOrder(problems).map(({ code, span }) =>
    span === undefined ? code : `${code}:${span.line}`,
  );
  return [...(isUsable ? ["OK"] : []), ...words].join(" ");
}

describe("files of cloudflared", () => {
  test("there are enough of them", () => {
    expect(NAMES.length).toBeGreaterThan(30);
  });

  test.each(NAMES)("%s", (name) => {
    expect(ours(name)).toBe(verdict(name, "here"));
    expect(verdict(name, "there")).not.toBe("");
  });

  test.skipIf(CLOUDFLARED === undefined).each(NAMES)(
    "%s, asked there (TUNL_CLOUDFLARED)",
    (name) => {
      const { stdout, stderr, status } = spawnSync(
        CLOUDFLARED as string,
        ["tunnel", "--config", `${FOLDER}${name}`, "ingress", "validate"],
        { encoding: "utf8", timeout: 20_000 },
      );
      const there = verdict(name, "there");
      // With keys it does not know it prints them in place of OK, and ends well.
      if (there === "OK") expect([status, `${stdout}${stderr}`]).toEqual([0, expect.anything()]);
      else expect([status, `${stdout}${stderr}`]).toEqual([1, expect.stringContaining(there)]);
    },
  );
});
