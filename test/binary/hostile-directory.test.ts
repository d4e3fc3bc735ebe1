import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { EDGE, Home, IS_BUILT, Running, tunl } from "./tunl.ts";

/** Code that leaves a mark beside itself: each file its own, so that a failure names the file. */
function evil(mark: string): string {
  return `require("node:fs").writeFileSync(${JSON.stringify(mark)}, "");\n`;
}

/** Everything a working directory could offer: platform.md §0 traps 8 and 21, product.md §5, S-74, S-76. */
function plant(directory: string): { marks: string[] } {
  const marks: string[] = [];
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text, { mode: 0o644 });
  };
  const script = (path: string): void => {
    const mark = join(directory, `ran-${path.replaceAll("/", "-")}`);
    marks.push(mark);
    write(path, evil(mark));
  };
  script("preload.js");
  for (const name of ["worker", "main"]) {
    for (const ending of ["ts", "js", "mjs"]) {
      for (const folder of ["", "src/", "store/", "edge/store/", "src/edge/store/", "dist/"])
        script(`${folder}${name}.${ending}`);
    }
  }
  for (const name of [
    "index.js",
    "bun.js",
    "tunl.js",
    "node_modules/yaml/index.js",
    "node_modules/citty/index.js",
    "node_modules/consola/index.js",
    "node_modules/@peculiar/x509/index.js",
  ])
    script(name);
  write(
    "bunfig.toml",
    'preload = ["./preload.js"]\n[run]\npreload = ["./preload.js"]\n[test]\npreload = ["./preload.js"]\n',
  );
  // Each of these would be refused or would show if it were read.
  write(
    ".env",
    "TUNL_LISTEN=nonsense\nTUNL_LOG_LEVEL=nonsense\nTUNL_TOKEN=x\nTUNL_HOLD=1s\nTUNL_DOMAIN=from-dotenv.example\n",
  );
  write(".env.local", "TUNL_LISTEN=nonsense\n");
  write(".env.production", "TUNL_LISTEN=nonsense\n");
  for (const name of ["edge.yml", "edge.yaml", "config.yml", "config.yaml", "tunl.yml"])
    write(name, "nonsense: true\n");
  write("package.json", '{"type": "commonjs", "imports": {"#x": "./preload.js"}}\n');
  write(
    "tsconfig.json",
    '{"compilerOptions": {"paths": {"citty": ["./preload.js"], "yaml": ["./preload.js"]}}}\n',
  );
  return { marks };
}

function ran(marks: readonly string[]): string[] {
  return marks.filter((mark) => existsSync(mark));
}

describe("hostile working directory", () => {
  test("the traps work where they are meant to: the plain runtime falls into them", async () => {
    using place = new Home();
    const { marks } = plant(place.path);
    writeFileSync(
      join(place.path, "plain.js"),
      'console.log(process.env.TUNL_DOMAIN); new Worker("./worker.js");\n',
    );
    const child = Bun.spawn([process.execPath, "run", "plain.js"], {
      cwd: place.path,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      env: {},
      timeout: 15_000,
      killSignal: "SIGKILL",
    });
    expect((await new Response(child.stdout).text()).trim()).toBe("from-dotenv.example");
    await child.exited;
    const names = ran(marks).map((mark) => mark.slice(place.path.length + 1));
    expect(names).toContain("ran-preload.js");
    expect(names).toContain("ran-worker.js");
  }, 20_000);

  test.skipIf(!IS_BUILT)(
    "the executable loads nothing of the directory it is started in [CVE-2020-24356]",
    async () => {
      using home = new Home();
      using place = new Home();
      const { marks } = plant(place.path);
      const given = { home: home.path, directory: place.path };
      for (const line of ["--help", "version", "edge invite", "connect 8000 --for 1s", "status"])
        await tunl(line.split(" "), given);
      expect(ran(marks)).toEqual([]);

      // A running edge has its store worker and every lazy import behind it.
      await using edge = new Running(EDGE, given);
      await edge.event("ready");
      const invite = await tunl(["edge", "invite", "--json"], given);
      expect([invite.code, invite.stderr]).toEqual([0, ""]);
      expect(JSON.parse(invite.stdout).line).toStartWith("tunl://tunl.localhost");
      edge.signal("SIGTERM");
      const { code, stderr } = await edge.ended;
      expect([code, stderr.includes("from-dotenv"), stderr.includes("nonsense")]).toEqual([
        0,
        false,
        false,
      ]);
      expect(ran(marks)).toEqual([]);
    },
    60_000,
  );
});
