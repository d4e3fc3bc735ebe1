// This file is the domains of an edge: those it is started with, remembered in `domains.json` of its state for later starts. product.md §2.1.
import { join } from "node:path";
import type { EdgeOptions } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import { makePrivateDirectory, readSecret, writeFileAtomic } from "../identity/index.ts";
import type { Logger } from "../log.ts";

const DOMAINS_FILE = "domains.json";

/** The names from the options, else those of the state. @throws TunlError `DOMAIN_REQUIRED`. */
export async function domainsOf(
  options: Pick<EdgeOptions, "domains" | "stateDirectory">,
): Promise<readonly string[]> {
  if (options.domains.length > 0) return options.domains;
  const known = await knownDomains(options.stateDirectory);
  if (known !== undefined) return known;
  throw new TunlError(
    "DOMAIN_REQUIRED",
    "No domain is known, expected the zone whose names this edge hands out",
    {
      hint: "Run tunl edge --domain example.com; later starts remember it",
    },
  );
}

/** @throws TunlError `STATE_DAMAGED`. */
async function knownDomains(stateDirectory: string): Promise<readonly string[] | undefined> {
  const path = join(stateDirectory, DOMAINS_FILE);
  const text = await readSecret(path);
  const known: unknown = text === undefined ? undefined : parseJson(text, path);
  const isList =
    Array.isArray(known) && known.length > 0 && known.every((name) => typeof name === "string");
  return isList ? known : undefined;
}

/** A domain that goes takes its names with it, which is more often a typing error than a wish. */
export async function rememberDomains(
  stateDirectory: string,
  domains: readonly string[],
  log: Logger,
): Promise<void> {
  await makePrivateDirectory(stateDirectory);
  const known = await knownDomains(stateDirectory).catch(() => undefined);
  const gone = known?.filter((domain) => !domains.includes(domain)) ?? [];
  if (gone.length > 0) {
    const text = `This edge served ${gone.join(", ")} before and does not any more: names below are offline`;
    log.warn("domain", text, { hint: `Add --domain ${gone[0]} to serve it again` });
  }
  await writeFileAtomic(join(stateDirectory, DOMAINS_FILE), `${JSON.stringify(domains)}\n`);
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TunlError(
      "STATE_DAMAGED",
      `Reading "${path}": it is no JSON, expected a list of domains`,
      {
        cause: error,
        hint: "Name the domains again with --domain",
      },
    );
  }
}
