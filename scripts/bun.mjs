// Starts a script under Bun 1.4.5 from the dev dependency `bun`, whoever called it: npm, node or Bun itself.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const program = `${root}node_modules/bun/bin/bun.exe`;
// Where install scripts are switched off the package still holds its 1 KB placeholder: its own install step mends that offline.
const isReady = () => existsSync(program) && statSync(program).size > 1_000_000;
if (!process.versions.bun && !isReady())
  spawnSync(process.execPath, [`${root}node_modules/bun/install.js`], { stdio: "inherit" });
if (!process.versions.bun && !isReady()) {
  console.error(
    "Bun is not installed in node_modules, expected the dev dependency bun 1.4.5\n  Run npm install",
  );
  process.exit(1);
}
const child = spawn(process.versions.bun ? process.execPath : program, process.argv.slice(2), {
  stdio: "inherit",
  cwd: root,
});
// A Ctrl-C reaches the script too (same process group); a signal for this launcher alone is passed on.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGTERM" ? 143 : 130)));
