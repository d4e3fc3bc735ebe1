// This file is `tunl edge repair`: a damaged state goes back to its newest whole backup, after a question. product.md §2.1; reliability.md §4 item 5.
import { formatDuration, loadRepair } from "../config/index.ts";
import { Repair, type Repaired, type RepairPlan } from "../edge/index.ts";
import { confirm } from "./ask.ts";
import { command, loadInput } from "./command.ts";
import { printAnswer, printError, printJson } from "./print.ts";

type Restore = Extract<RepairPlan, { kind: "restore" }>;

export default command("edge repair", async (invocation) => {
  const { stateDirectory, isJson, isYes } = loadRepair(loadInput(invocation));
  using repair = await Repair.open(stateDirectory);
  const { plan } = repair;
  if (plan.kind === "whole") {
    if (isJson) await printJson({ repaired: false, state: stateDirectory });
    else await printAnswer(`State in ${stateDirectory} is whole, nothing to repair\n`);
    return;
  }
  await printError(`${describe(plan)}\n`);
  const isMeant = await confirm({
    text: "Restore this backup?",
    label: "repair",
    fallback: "no",
    isYes,
    command: "tunl edge repair",
  });
  if (!isMeant) return await printError("Nothing was changed\n");
  const repaired = repair.run(Date.now());
  if (isJson) await printJson(asJson(stateDirectory, plan, repaired));
  else await printAnswer(`${outcome(plan, repaired).join("\n")}\n`);
});

function describe({ why, backup, damaged, writtenAt }: Restore): string {
  const lost =
    writtenAt === undefined || writtenAt <= backup.at
      ? `Changes made after ${utc(backup.at)} are lost`
      : `Changes made between ${utc(backup.at)} and ${utc(writtenAt)} (${formatDuration(wholeSeconds(writtenAt - backup.at))}) are lost`;
  const lines = [
    `⚠ state        The database cannot be used: ${why}`,
    `               The newest whole backup is of ${utc(backup.at)} (${backup.name})`,
    `               ${lost}: codes, keys and names made then`,
  ];
  if (damaged.length > 0)
    lines.push(
      `               ${count(damaged.length, "newer backup")} ${damaged.length === 1 ? "is" : "are"} damaged too: keys revoked then stay revoked as far as it can still be read; revoke them again`,
    );
  return lines.join("\n");
}

function outcome({ backup }: Restore, { revoked, keptIn }: Repaired): string[] {
  const lines = [`State is restored from ${backup.name}, as of ${utc(backup.at)}`];
  if (revoked > 0)
    lines.push(`${count(revoked, "key")} stay revoked, as the damaged files still say`);
  if (keptIn !== undefined) lines.push(`The damaged files are in ${keptIn}`);
  lines.push("Start the edge: tunl edge");
  return lines;
}

function asJson(state: string, plan: Restore, { revoked, keptIn }: Repaired): object {
  const { why, backup, damaged, writtenAt } = plan;
  return {
    repaired: true,
    state,
    why,
    backup: backup.name,
    lostFrom: new Date(backup.at).toISOString(),
    lostTo: writtenAt === undefined ? undefined : new Date(writtenAt).toISOString(),
    damagedBackups: damaged.map(({ name }) => name),
    revoked,
    keptIn,
  };
}

function utc(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function wholeSeconds(ms: number): number {
  return Math.max(1_000, Math.round(ms / 1_000) * 1_000);
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
