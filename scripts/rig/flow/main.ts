// This file is a program: one scenario of slow readers, figures as one line of JSON.
//   scripts/rig/flow/main.ts NAME SECONDS [small]
// With `small` this is a network namespace of its own, where the sockets of visitors and of the origin get small kernel
// buffers: a thousand with megabytes each would fill the kernel's account for all TCP of a machine that has all ends of
// it, and nobody's connection would move.
import { SCENARIOS } from "./scenarios.ts";

const [name = "", seconds = "", buffers] = process.argv.slice(2);
const scenario = SCENARIOS[name];
if (scenario === undefined || !(Number(seconds) > 0)) {
  console.error(`Usage: main.ts ${Object.keys(SCENARIOS).join("|")} SECONDS [small]`);
  process.exit(2);
}
if (buffers === "small") {
  const { exitCode, stderr } = Bun.spawnSync(["ip", "link", "set", "lo", "up"]);
  if (exitCode !== 0) throw new Error(`ip link set lo up: ${stderr.toString()}`);
}
console.log(JSON.stringify(await scenario(Number(seconds), buffers === "small")));
process.exit(0);
