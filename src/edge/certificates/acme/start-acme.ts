// This file is certificates by ACME put together from what the user configured. product.md §3.1, §7.
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { AcmeOptions } from "../../../config/index.ts";
import { TunlError } from "../../../errors.ts";
import { readSecret } from "../../../identity/index.ts";
import type { HasAddress } from "../../dns/index.ts";
import type { Logger } from "../../../log.ts";
import type { CertificateTable } from "../certificates.ts";
import type { LimitLine } from "../list.ts";
import { AccountFile, caAddress } from "./account.ts";
import { AcmeSource } from "./acme-source.ts";
import { CaBudget } from "./budget.ts";
import { Ca } from "./ca.ts";
import { ChallengeAnswers, type DnsAnswers } from "./challenges.ts";
import { FailureFile } from "./failure-file.ts";
import type { ExternalKey } from "./jose.ts";
import { CertificateStorage } from "./storage.ts";
import { CaTransport } from "./transport.ts";
import { WeeklyCount } from "./weekly-count.ts";
import { type Cure, IssuedFile, WeeklyLog } from "./weekly-log.ts";

export interface AcmeSetup {
  readonly acme: AcmeOptions;
  readonly stateDirectory: string;
  readonly version: string;
  /** Canonical domains of the edge. */
  readonly domains: readonly string[];
  readonly dns: DnsAnswers | undefined;
  readonly hasAddress: HasAddress;
  /** True while a tunnel has the name. */
  readonly isGranted: (name: string) => boolean;
  readonly table: CertificateTable;
  readonly log: Logger;
}

export interface StartedAcme {
  readonly source: AcmeSource;
  /** What the listeners show to a CA that validates. */
  readonly answers: ChallengeAnswers;
  /** Domains that are near the CA's weekly limit. */
  limits(): readonly LimitLine[];
}

/** @throws TunlError `CONFIG_INVALID` for files that cannot be used. */
export async function startAcme(setup: AcmeSetup): Promise<StartedAcme> {
  const { acme, stateDirectory, version, domains, dns, hasAddress, isGranted, table, log } = setup;
  const address = caAddress(acme.directory);
  const answers = new ChallengeAnswers(dns, Date.now);
  const ca = new Ca({
    directory: address.directory,
    file: new AccountFile(stateDirectory, address),
    account: {
      email: acme.email,
      external: await readExternalKey(acme.eab),
      isAgreed: acme.agreesToTerms,
    },
    keyType: acme.keyType,
    transport: await makeTransport(acme, version, Date.now),
    answers,
  });
  const { weekly: limit } = address;
  const weekly =
    limit &&
    new WeeklyLog({
      count: new WeeklyCount(limit, domains),
      file: new IssuedFile(stateDirectory, address),
      cure: cureOf(acme, dns),
      log,
      clock: Date.now,
    });
  const source = new AcmeSource({
    domains,
    ca,
    storage: new CertificateStorage(stateDirectory),
    failures: new FailureFile(stateDirectory, address),
    weekly,
    answers,
    challenge: acme.challenge,
    usesWildcards: acme.wildcard === "auto" && dns !== undefined,
    hasAddress,
    isGranted,
    table,
    log,
    clock: Date.now,
    random: Math.random,
    later,
  });
  return { source, answers, limits: () => weekly?.lines() ?? [] };
}

function cureOf({ wildcard }: AcmeOptions, dns: DnsAnswers | undefined): Cure {
  if (dns === undefined) return "provider";
  return wildcard === "never" ? "wildcard" : "names";
}

/** @throws TunlError `CONFIG_INVALID` for roots that cannot be read. */
export async function makeTransport(
  { caPath }: Pick<AcmeOptions, "caPath">,
  version: string,
  clock: () => number,
): Promise<CaTransport> {
  return new CaTransport(new CaBudget(), {
    roots: caPath === undefined ? undefined : await readRoots(caPath),
    userAgent: `tunl/${version}`,
    clock,
    sleep,
  });
}

async function readRoots(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw invalid(`Reading "${path}" of certificates.caFile failed: ${String(error)}`);
  });
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw invalid(`"${path}" of certificates.caFile holds no PEM certificate`);
}

async function readExternalKey(eab: AcmeOptions["eab"]): Promise<ExternalKey | undefined> {
  if (eab === undefined) return undefined;
  const text = (await readSecret(eab.keyPath))?.trim();
  const key = Buffer.from(text ?? "", "base64url");
  if (text === undefined || !/^[A-Za-z0-9_=-]+$/.test(text) || key.length < 16)
    throw invalid(
      `"${eab.keyPath}" of certificates.eab.keyFile holds no key, expected base64url as the CA shows it`,
    );
  return { keyId: eab.keyId, key };
}

function invalid(message: string): TunlError {
  return new TunlError("CONFIG_INVALID", message);
}

function later(ms: number, run: () => void): Disposable {
  const timer = setTimeout(run, ms);
  timer.unref();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Ends early, and well, when the signal says so. */
async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
