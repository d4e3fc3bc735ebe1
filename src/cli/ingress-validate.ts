// This file is `tunl ingress validate`: judges the rules of a connector's file, or of a text. product.md §2.3, §3.3.
import { checkRules, loadFlags } from "../config/index.ts";
import { command, loadInput } from "./command.ts";
import { tellJudged } from "./judged.ts";
import { printError } from "./print.ts";

export default command("ingress validate", async (invocation) => {
  const input = loadInput(invocation);
  const { isJson, isColored } = loadFlags("ingress validate", input);
  const { source, problems } = checkRules(input);
  if (!isJson) await printError(`Validating rules from ${source.name}\n`);
  await tellJudged({ files: [{ source, problems }], isJson, isStrict: false, isColored });
});
