// This file is an edge that enrols and claims without end, for tests that kill it: one line on stdout per acknowledged round.
import { generateKey } from "../../../src/identity/index.ts";
import { openState } from "../../../src/edge/store/index.ts";
import { optionsFor, TUNNEL_CODE } from "./fixture.ts";

const [directory, now] = process.argv.slice(2) as [string, string];
const { store } = await openState(optionsFor(directory, { now: Number(now) }));
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

say("ready");
for (let round = 0; round < 100_000; round++) {
  const { code } = await store.createCode(TUNNEL_CODE);
  const { publicKey } = generateKey();
  const outcome = await store.enrol({
    publicKey,
    code,
    kind: "tunnel",
    name: "home",
    label: "laptop",
  });
  if (outcome.state !== "enrolled") throw new Error(outcome.reason);
  const { host } = await store.claimHost(
    { tunnel: outcome.owner.id, keyId: outcome.keyId },
    `h${round}.example.com`,
  );
  say(`${hex(publicKey)} ${hex(code)} ${host}`);
}
