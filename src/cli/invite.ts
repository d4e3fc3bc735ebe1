// This file is `tunl edge invite`: asks the running edge for a join line or a login line. product.md §2.1.
import { loadInvite } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import { clockTime } from "./clock.ts";
import { command, loadInput } from "./command.ts";
import { call } from "./control.ts";
import { printAnswer, printJson } from "./print.ts";

export default command("edge invite", async (invocation) => {
  const options = loadInvite(loadInput(invocation));
  const { adminPath, isJson, name, hosts, ttlMs, uses, isAccount } = options;
  const answer = await call(adminPath, "invite", {
    ...(name !== undefined && { name }),
    hosts,
    ttlMs,
    uses,
    ...(isAccount && { account: true }),
  });
  const line = answer["line"];
  const expiresAt = new Date(
    typeof answer["expiresAt"] === "string" ? answer["expiresAt"] : Number.NaN,
  );
  if (typeof line !== "string" || Number.isNaN(expiresAt.getTime())) {
    throw new TunlError(
      "BAD_ANSWER",
      `The edge on "${adminPath}" answered without a line, is it of another version?`,
    );
  }
  if (isJson) {
    const isAnother = answer["another"] === true;
    const told = { line, expiresAt: expiresAt.toISOString(), uses, hosts, name, isAccount };
    await printJson({ ...told, ...(isAnother && { isAnother }) });
    return;
  }
  const works = uses === 1 ? "once" : `${uses} times`;
  const [todo, words] = isAccount
    ? ["Log in", "tunl login"]
    : ["Connect a machine", "tunl connect 8000 --join"];
  const until = clockTime(expiresAt, new Date());
  const note =
    answer["another"] === true
      ? `An account "${name}" is there already: this line makes another one, which has none of its tunnels\n`
      : "";
  await printAnswer(
    `${todo} with this line. It works ${works}, until ${until}:\n  ${words} ${line}\n${note}`,
  );
});
