// This file is `tunl ingress rule URL`: which rule takes a request, by the matcher of a running connector. product.md §2.3.
import { domainToASCII } from "node:url";
import { checkRules, type IngressRule, loadFlags, usage } from "../config/index.ts";
import { command, loadInput } from "./command.ts";
import { refuseErrors } from "./judged.ts";
import { printAnswer, printError, printJson } from "./print.ts";
import { printable } from "./redact.ts";

export default command("ingress rule", async (invocation) => {
  const input = loadInput(invocation);
  const { isJson } = loadFlags("ingress rule", input);
  const { authority, target } = readUrl(invocation.positionals[0] ?? "");
  const { source, problems, ingress } = checkRules(input);
  refuseErrors(source, problems);
  if (!isJson) await printError(`Using rules from ${source.name}\n`);
  const { whichRule } = await import("../connector/index.ts");
  const found = whichRule(ingress, authority, target);
  const number = typeof found === "number" ? found : undefined;
  const rule = number === undefined ? undefined : ingress.rules[number];
  if (isJson) {
    const result =
      rule !== undefined
        ? { number, ...ruleFields(rule) }
        : { status: found === "ambiguous" ? 400 : 503 };
    await printJson({ file: source.name, ...result });
    return;
  }
  await printAnswer(
    rule === undefined ? refusal(found === "ambiguous") : ruleText(number as number, rule),
  );
});

/** A URL as a visitor's program splits it; path and query as they are written. */
function readUrl(text: string): { authority: string; target: Uint8Array } {
  const parts = /^[a-z][a-z0-9+.-]*:\/\/([^/?#@]+)([^#]*)/i.exec(text);
  if (parts === null) {
    throw usage({
      message: `Cannot use ${JSON.stringify(text)} as URL, expected one such as https://app.example.com/path`,
      hint: /^[^/?#@\s]+\.[^\s]*$/.test(text) ? `Write https://${text}` : "Give scheme and host",
    });
  }
  const [host = "", port = ""] = (parts[1] as string).split(/(?=:\d*$)/);
  const ascii = /^[\u0000-\u007f]*$/.test(host) ? host : domainToASCII(host);
  const rest = parts[2] as string;
  // A query without a path stands behind an empty one, which is sent as a slash (RFC 9112 §3.2.1).
  const target = rest.startsWith("/") ? rest : `/${rest}`;
  return { authority: `${ascii}${port}`, target: new TextEncoder().encode(target) };
}

function ruleFields({ hostname, path, service }: IngressRule) {
  return { hostname, path, service: service.url };
}

function ruleText(number: number, { hostname, path, service }: IngressRule): string {
  return [
    `Matched rule #${number}`,
    ...(hostname === "" ? [] : [`\thostname: ${hostname}`]),
    ...(path === undefined ? [] : [`\tpath: ${printable(path)}`]),
    `\tservice: ${printable(service.url)}`,
    "",
  ].join("\n");
}

function refusal(isAmbiguous: boolean): string {
  return isAmbiguous
    ? "No rule is asked: two programs may read this path differently, the answer is 400 (allowAmbiguousPaths)\n"
    : "No rule takes it: the answer is 503\n";
}
