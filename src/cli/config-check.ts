// This file is `tunl config check [FILE]`: judges whole configuration files, with the files they name. product.md §2.3, §4.
import { checkConfig, loadFlags } from "../config/index.ts";
import { command, loadInput } from "./command.ts";
import { tellJudged } from "./judged.ts";
import { printError } from "./print.ts";

export default command("config check", async (invocation) => {
  const input = loadInput(invocation);
  const { isJson, isStrict, isColored } = loadFlags("config check", input);
  const files = checkConfig(input, invocation.positionals[0]);
  if (!isJson)
    for (const { kind, source } of files)
      await printError(`Checking ${source.name} of the ${kind}\n`);
  await tellJudged({ files, isJson, isStrict, isColored });
});
