// This file is `tunl version`: what this executable is. product.md §2.3.
import { COMMIT, PLATFORM, VERSION } from "../config/index.ts";
import { command } from "./command.ts";
import { printAnswer, printJson } from "./print.ts";

export default command("version", async ({ flags }) => {
  const report = {
    version: VERSION,
    commit: COMMIT,
    platform: PLATFORM,
    runtime: `bun ${Bun.version}`,
  };
  if (flags.get("json")?.[0] === "true") await printJson(report);
  else
    await printAnswer(
      `tunl ${VERSION}\ncommit    ${COMMIT}\nplatform  ${PLATFORM}\nruntime   bun ${Bun.version}\n`,
    );
});
