import { describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./lifecycle-program.ts", import.meta.url));
const DEADLINE_MS = 10_000;

/** Starts the program, sends each signal after the event it waits for, and gives its end. */
async function run(
  what: string,
  signals: readonly (readonly [event: string, signal: NodeJS.Signals])[] = [],
) {
  const child = Bun.spawn([process.execPath, PROGRAM, what], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  const waiting = [...signals];
  let text = "";
  for await (const bytes of child.stderr) {
    text += Buffer.from(bytes).toString();
    while (waiting[0] !== undefined && text.includes(`"event":"${waiting[0][0]}"`))
      child.kill(waiting.shift()?.[1]);
  }
  const code = await child.exited;
  const records = text
    .trimEnd()
    .split("\n")
    .map((line): { event: string; msg?: string; code?: string } => JSON.parse(line));
  return { code, signal: child.signalCode, records, events: records.map(({ event }) => event) };
}

describe("lifecycle", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("the first %s drains: exit 0", async (signal) => {
    const { code, events } = await run("plain", [["ready", signal]]);
    expect([code, events]).toEqual([0, ["ready", "draining", "stopped"]]);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("a second signal, %s, cuts the drain: exit %d", async (signal, exit) => {
    const { code, records } = await run("slow", [
      ["ready", "SIGTERM"],
      ["draining", signal],
    ]);
    expect([code, records.at(-1)]).toMatchObject([
      exit,
      { event: "stopped", msg: "at once, the drain was cut" },
    ]);
  });

  test("requests that were cut off when their time was over are told at the end", async () => {
    const { code, records } = await run("cut", [["ready", "SIGTERM"]]);
    expect([code, records.at(-1)]).toMatchObject([
      0,
      { event: "stopped", msg: "the time is over, 2 requests in progress cut off" },
    ]);
  });

  test("SIGHUP ends nothing", async () => {
    const { code, events } = await run("plain", [
      ["ready", "SIGHUP"],
      ["ready", "SIGTERM"],
    ]);
    expect([code, events]).toEqual([0, ["ready", "draining", "stopped"]]);
  });

  test("--for ends by itself, with a drain", async () => {
    const { code, events } = await run("for");
    expect([code, events]).toEqual([0, ["ready", "draining", "stopped"]]);
  });

  test("faults that nobody caught are logged, and the process serves on (S-73)", async () => {
    const { code, records } = await run("faults", [["next", "SIGTERM"]]);
    const faults = records.filter(({ event }) => event === "bug").map(({ msg }) => msg);
    expect(faults.toSorted()).toEqual([
      "A fault was not caught: a rejection",
      "A fault was not caught: an exception",
    ]);
    expect([code, records.at(-1)?.event]).toEqual([0, "stopped"]);
  });

  test("what ends the process is told once, with its code and exit", async () => {
    const { code, records } = await run("refused");
    expect(code).toBe(4);
    expect(records.filter(({ event }) => event === "failed")).toMatchObject([
      { code: "JOIN_REFUSED", msg: "The edge refused this line", hint: "Run tunl edge invite" },
    ]);
  });
});
