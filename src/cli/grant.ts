// This file is `tunl edge grant`: gives names to a tunnel; asks the running edge. product.md §2.1, §6 item 2.
import { loadOwner } from "../config/index.ts";
import { command, loadInput } from "./command.ts";
import { call, isAnswer } from "./control.ts";
import { printAnswer, printJson } from "./print.ts";

export default command("edge grant", async (invocation) => {
  const { adminPath, isJson } = loadOwner("edge grant", loadInput(invocation));
  const [tunnel, ...hosts] = invocation.positionals;
  const answer = await call(adminPath, "grant", { tunnel, hosts });
  if (isJson) return printJson(answer);
  const name = isAnswer(answer["tunnel"]) ? String(answer["tunnel"]["name"]) : tunnel;
  const granted = Array.isArray(answer["hosts"]) ? answer["hosts"].filter(isAnswer) : [];
  await printAnswer(granted.map(({ host }) => `${String(host)} to ${name}\n`).join(""));
});
