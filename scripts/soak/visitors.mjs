// This file is a Node program: the visitors of one tunnel of the soak, all kinds at once until stdin ends.
//   visitors.mjs '{"host": …, "port": …, "ca": PATH, "seed": N}'
// Prints one line of JSON per failure, {"failed": kind, "at": ms since 1970, "text": …}, and at its end {"done": {kind: count}, "resumed": N}.
import { readFileSync } from "node:fs";
import { ABORTS } from "./aborts.mjs";
import { agents, download, events, talk, upload } from "./clients.mjs";

const { host, port, ca, seed } = JSON.parse(process.argv[2]);
const goal = { host, port };
const tls = { ca: readFileSync(ca) };
const by = agents(tls);
const done = {};
let resumed = 0;
let isOver = false;

// mulberry32: the same sizes in every run with this seed.
let state = seed;
function random(below) {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return (((mixed ^ (mixed >>> 14)) >>> 0) % below) | 0;
}

const MIB = 1 << 20;
const flip = () => random(2) === 1;
const from = () => random(MIB);

async function download1(agent, most) {
  if (await download(goal, agent, from(), 1 + random(most), { isChunked: flip() })) resumed += 1;
}

const names = Object.keys(ABORTS);
let next = 0;

/** Kind of visitor: how many at a time, ms between two, what each does. */
const KINDS = {
  "keep-alive": [4, 10, () => download1(by.kept, 20_000)],
  "keep-alive post": [2, 20, () => upload(goal, by.kept, from(), 1 + random(64_000))],
  "new connection": [2, 30, () => download1(by.fresh, 20_000)],
  "resumed connection": [2, 30, () => download1(by.resumed, 20_000)],
  download: [1, 200, () => download1(by.resumed, 24 * MIB)],
  upload: [
    1,
    200,
    () => upload(goal, by.resumed, from(), 1 + random(24 * MIB), { isChunked: flip() }),
  ],
  "slow reader": [
    3,
    100,
    () => download(goal, by.fresh, from(), 1 + random(2 * MIB), { paceMs: 20 }),
  ],
  websocket: [4, 50, () => talk(goal, tls, 30, random)],
  events: [4, 50, () => events(goal, by.fresh, 20, 50)],
  abort: [2, 20, () => abort()],
};

/** In turn, so that each phase comes. How it ends for the visitor who left says nothing. */
async function abort() {
  const name = names[next++ % names.length];
  await ABORTS[name](goal, { agent: flip() ? by.kept : by.fresh, options: tls }).catch(
    () => undefined,
  );
}

async function loop(kind, between, work) {
  while (!isOver) {
    try {
      await work();
      done[kind] = (done[kind] ?? 0) + 1;
    } catch (error) {
      console.log(JSON.stringify({ failed: kind, at: Date.now(), text: error.message }));
    }
    await new Promise((resolve) => setTimeout(resolve, between));
  }
}

process.stdin.on("end", () => (isOver = true));
process.stdin.resume();
const loops = Object.entries(KINDS).flatMap(([kind, [count, between, work]]) =>
  Array.from({ length: count }, () => loop(kind, between, work)),
);
await Promise.all(loops);
for (const agent of Object.values(by)) agent.destroy();
console.log(JSON.stringify({ done, resumed }));
process.exit(0);
