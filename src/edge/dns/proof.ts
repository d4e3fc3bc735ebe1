// This file is the proof that whoever owns a name in the DNS wants a tunnel to have it: an alias to the tunnel, or a text with its id. product.md §6 item 3.
import { withoutWildcard } from "../../address/index.ts";
import type { Answer, DnsClient } from "./client.ts";
import type { DnsRecord } from "./provider.ts";

/** Aliases in a row that still prove something. */
const MAX_ALIASES = 8;

/**
 * `proven`: it is there. `missing`: the servers in charge say it is not. `unknown`: they do not say, which proves nothing
 * in either direction.
 */
export interface Proof {
  readonly state: "proven" | "missing" | "unknown";
  /** By what, for `proven`. */
  readonly by?: "cname" | "txt";
  /** Who said so. */
  readonly server: string;
  /** For `unknown`: what happened, for people. */
  readonly text: string;
}

export interface ProofQuestion {
  /** Canonical name or `*.x`. */
  readonly host: string;
  /** UUID. */
  readonly tunnel: string;
  readonly domains: readonly string[];
  /** `every`: all servers that answer must agree, as for a new proof; `any`: one is enough, as for an old one. */
  readonly by: "every" | "any";
}

/** The alias that proves and routes at once. */
export function aliasRecord(host: string, tunnel: string, domain: string): DnsRecord {
  return { name: host, type: "CNAME", value: `${tunnel}.${domain}` };
}

/** The text that proves where no alias can stand. */
export function textRecord(host: string, tunnel: string): DnsRecord {
  const name = withoutWildcard(host);
  return { name: `_tunl.${name}`, type: "TXT", value: tunnel };
}

/** Looks for either proof. */
export async function findProof(
  client: DnsClient,
  question: ProofQuestion,
  signal?: AbortSignal,
): Promise<Proof> {
  const { host, tunnel } = question;
  const [alias, text] = await Promise.all([
    byAlias(client, question, signal),
    client
      .askAll(textRecord(host, tunnel).name, "TXT", signal)
      .then((answers) =>
        judge(answers, question, ({ records }) => records.some(({ value }) => value === tunnel)),
      ),
  ]);
  if (alias.state === "proven") return { ...alias, by: "cname" };
  if (text.state === "proven") return { ...text, by: "txt" };
  return alias.state === "unknown" ? alias : text;
}

async function byAlias(
  client: DnsClient,
  question: ProofQuestion,
  signal: AbortSignal | undefined,
): Promise<Proof> {
  const { tunnel, domains } = question;
  const targets = domains.map((domain) => `${tunnel}.${domain}`);
  let name = question.host;
  for (let step = 0; ; step += 1) {
    const answers = await client.askAll(name, "CNAME", signal);
    const found = judge(answers, question, ({ records }) =>
      records.some(({ value }) => targets.includes(value)),
    );
    // An alias of an alias is its owner's word as well.
    const next = answers.find(({ records }) => records.length > 0)?.records[0]?.value;
    if (found.state !== "missing" || next === undefined || step >= MAX_ALIASES) return found;
    name = next;
  }
}

function judge(
  answers: readonly Answer[],
  { by }: ProofQuestion,
  isProof: (answer: Answer) => boolean,
): Proof {
  const inCharge = answers.filter(({ state }) => state !== "unknown");
  const proofs = inCharge.filter(isProof);
  const first = inCharge[0] ?? (answers[0] as Answer);
  if (inCharge.length === 0) return { state: "unknown", server: first.server, text: first.text };
  const isProven = by === "any" ? proofs.length > 0 : proofs.length === inCharge.length;
  const server = (isProven ? proofs.at(-1) : undefined)?.server ?? first.server;
  return { state: isProven ? "proven" : "missing", server, text: "" };
}
