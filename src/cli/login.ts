// This file is `tunl login LINE`: enrols the key of an account as a join line enrols that of a tunnel. product.md §1.2, §2.3.
import { canonicalHost } from "../address/index.ts";
import { loadAccount, showPath, usage } from "../config/index.ts";
import { enrolAccount } from "../connector/index.ts";
import { TunlError } from "../errors.ts";
import { EdgeDirectory, hashCode, parseJoinLine } from "../identity/index.ts";
import type { JoinLine } from "../identity/index.ts";
import { command, loadInput } from "./command.ts";
import { withProgress } from "./progress.ts";

export default command("login", async (invocation) => {
  const options = loadAccount("login", loadInput(invocation));
  const { edgesDirectory, home, label, version, waitMs, settings } = options;
  const line = readLine(invocation.positionals[0] as string);
  const directory = new EdgeDirectory(edgesDirectory, line.host, line.port);
  const path = `${directory.path}/account.json`;
  await assertFree(directory, line, settings.isOn("force"), showPath(path, home));
  await withProgress(options.log, async ({ log }) => {
    const record = await directory.readEdge();
    const onEdge = (): void => {
      const fields = { edge: line.host, key: line.fingerprint };
      log.info("edge", `${line.host}, key ${line.fingerprint} as in the login line`, fields);
    };
    const lastGood = record?.addresses[0];
    const enrolment = { line, directory, label, version, waitMs, lastGood, onEdge };
    const { ready } = await enrolAccount(enrolment, Date.now());
    const names =
      ready.scope.length === 0
        ? `any free label of ${ready.domains.join(", ")}`
        : `names that match ${ready.scope.join(", ")}`;
    const as = ready.account === undefined ? "" : `as "${ready.account}", `;
    const fields = { edge: line.host, ...(as !== "" && { account: ready.account }) };
    log.info("logged.in", `${as}may create tunnels and claim ${names}`, fields);
    log.info("saved", showPath(path, home), { path });
  });
});

/** A line; an edge's bare name gets the way to one. @throws TunlError `USAGE`, `BAD_JOIN_LINE`. */
function readLine(text: string): JoinLine {
  if (/^tunl:\/\//i.test(text.trim())) return parseJoinLine(text);
  const edge = canonicalHost(Buffer.from(text));
  if (edge === undefined) return parseJoinLine(text);
  throw usage({
    message: `tunl login needs a line that ${edge.host} printed, not its name alone`,
    hint: `On the edge run  tunl edge invite --account  and then here the line it prints: tunl login tunl://${edge.host}/FINGERPRINT/CODE`,
  });
}

/** Nothing was sent yet: the code of the line stays unused. */
async function assertFree(
  directory: EdgeDirectory,
  line: JoinLine,
  isForced: boolean,
  path: string,
): Promise<void> {
  if (isForced) return;
  const account = await directory.readAccount();
  const codeHash = Buffer.from(hashCode(line.code)).toString("hex");
  if (account === undefined || account.codeHash === codeHash) return;
  throw new TunlError(
    "ACCOUNT_EXISTS",
    `This machine has an account of ${line.host} already, in ${path}; the line is unused`,
    { hint: "Repeat with --force to replace it: its tunnels stay with the account that made them" },
  );
}
