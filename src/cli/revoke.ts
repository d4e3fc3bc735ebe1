// This file is `tunl edge revoke`: takes back what was given, and says what that was; asks the running edge. product.md §2.1.
import { loadOwner } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import { command, loadInput } from "./command.ts";
import { type Answer, call, isAnswer } from "./control.ts";
import { printAnswer, printJson } from "./print.ts";

/** The answer waits for a backup of the state, and that for whatever disk it goes to. */
const ANSWER_MS = 60_000;

export default command("edge revoke", async (invocation) => {
  const { adminPath, isJson } = loadOwner("edge revoke", loadInput(invocation));
  const answer = await call(adminPath, "revoke", { what: invocation.positionals[0] }, ANSWER_MS);
  if (isJson) return printJson(answer);
  await printAnswer(`${linesOf(answer).join("\n")}\n`);
});

/** What was revoked, and below it what stays. */
function linesOf(answer: Answer): string[] {
  const keys = texts(answer["keys"]);
  switch (answer["kind"]) {
    case "tunnel": {
      const { name } = member(answer, "tunnel");
      const hosts = texts(answer["hosts"]);
      return [
        `${counted(keys)} of tunnel ${name} revoked${listed(keys)}`,
        ...(hosts.length === 0 ? [] : [`  its names stay its own: ${hosts.join(", ")}`]),
        `  a new key for it: tunl edge invite --name ${name}`,
      ];
    }
    case "account": {
      const { name } = member(answer, "account");
      const tunnels = texts(answer["tunnels"]);
      return [
        `${counted(keys)} of account ${name} revoked${listed(keys)}`,
        ...tunnels.map((tunnel) => `  its tunnel goes on: tunl edge revoke tunnel:${tunnel}`),
      ];
    }
    case "key":
      return [
        `key ${String(answer["key"])} of ${String(answer["of"])} revoked`,
        ...keys.map((key) => `  the key in its place goes on: tunl edge revoke key:${key}`),
      ];
    case "code":
      return [
        answer["wasOver"] === true ? "line was over already" : "line revoked",
        ...(keys.length === 0 ? ["  no key was made with it"] : []),
        ...keys.map((key) => `  its key goes on: tunl edge revoke key:${key}`),
      ];
    case "host":
      return [
        `${String(answer["host"])} of ${String(answer["of"])} revoked`,
        ...(answer["isFixed"] === true
          ? ["  it stands in grants of edge.yml: take it out, or the next start gives it back"]
          : ["  it is free now"]),
      ];
    default:
      throw new TunlError(
        "BAD_ANSWER",
        "The edge did not say what it revoked, is it of another version?",
      );
  }
}

function counted(keys: readonly string[]): string {
  return keys.length === 1 ? "1 key" : `${keys.length} keys`;
}

function listed(keys: readonly string[]): string {
  return keys.length === 0 ? "" : `: ${keys.join(", ")}`;
}

function member(answer: Answer, name: string): { readonly name: string } {
  const value = answer[name];
  return { name: isAnswer(value) ? String(value["name"]) : "" };
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
