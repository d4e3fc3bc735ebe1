// This file is `tunl edge check`: judges the edge's file as `tunl edge` would. product.md §2.1, §4.
import { checkEdge, loadFlags } from "../config/index.ts";
import { command, loadInput } from "./command.ts";
import { tellJudged } from "./judged.ts";
import { printError } from "./print.ts";

export default command("edge check", async (invocation) => {
  const input = loadInput(invocation);
  const { isJson, isStrict, isColored } = loadFlags("edge check", input);
  const file = checkEdge(input);
  if (!isJson) await printError(`Checking ${file.source.name} of the edge\n`);
  await tellJudged({ files: [file], isJson, isStrict, isColored });
});
