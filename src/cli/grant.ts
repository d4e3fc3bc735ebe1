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
  const lines = granted.flatMap(({ host, proof }) => [
    `${String(host)} to ${name}`,
    // Whose it is, is proven in the DNS: until then it is served as offline.
    ...(isAnswer(proof)
      ? [`  served once its owner adds  ${String(proof["name"])}  CNAME  ${String(proof["value"])}`]
      : []),
  ]);
  await printAnswer(lines.map((line) => `${line}\n`).join(""));
});
