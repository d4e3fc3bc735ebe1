// This file is where certificates come from, as the user's words say it. product.md §3.1, §7.
import { TunlError } from "../errors.ts";
import type { EdgeFile } from "./edge.ts";
import { checkFile, readText } from "./files.ts";
import type { Problem } from "./report.ts";
import { type PlacedFile, type Settings, usage } from "./settings.ts";
import type { AcmeOptions, CertificateOptions } from "./types.ts";
import { resolvePath } from "./values.ts";

export interface CertificateInput {
  readonly settings: Settings;
  readonly placed: (PlacedFile & { readonly file: EdgeFile }) | undefined;
  /** Mistakes of the file are added here. */
  readonly problems: Problem[];
  /** Where the command was typed. */
  readonly directory: string;
}

/** @throws TunlError `USAGE`, `CONFIG_INVALID`. */
export function certificateOptions(input: CertificateInput): CertificateOptions {
  const { settings } = input;
  const cert = settings.text("cert");
  const key = settings.text("key");
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? "--cert" : "--key";
    throw usage({
      message: `${cert === undefined ? "--key" : "--cert"} is given without ${missing}`,
      hint: "A certificate and its key come as a pair",
    });
  }
  const mode = settings.text("certificates.mode");
  if (mode !== "files" && cert !== undefined) {
    throw usage({
      message: `--cert and --key are for --tls files, not for --tls ${mode}`,
      hint: "Add --tls files",
    });
  }
  if (mode === "internal") return { mode };
  if (mode === "acme") return { mode, acme: acmeOptions(input) };
  if (cert === undefined || key === undefined) return filesOf(input);
  readText(cert, "--cert");
  const unsafe = [
    ...checkFile(cert, "config", "The file of --cert"),
    ...checkFile(key, "secret", "The file of --key"),
  ][0];
  if (unsafe !== undefined) throw refused(unsafe);
  return { mode: "files", pairs: [{ certPath: cert, keyPath: key }] };
}

/** Pairs of `certificates.files`. */
function filesOf({ placed, problems, directory }: CertificateInput): CertificateOptions {
  const pairs = (placed?.file.pairs ?? []).map(({ cert: certFile, key: keyFile }) => {
    const base = { directory: placed?.directory ?? directory };
    const pair = {
      certPath: resolvePath(certFile.text, base),
      keyPath: resolvePath(keyFile.text, base),
    };
    problems.push(
      ...checkFile(pair.certPath, "config", "This certificate").map((problem) => ({
        ...problem,
        span: certFile.span,
      })),
      ...checkFile(pair.keyPath, "secret", "This key").map((problem) => ({
        ...problem,
        span: keyFile.span,
      })),
    );
    return pair;
  });
  if (pairs.length === 0)
    throw usage({
      message: "--tls files has no certificate",
      hint: "Add --cert FILE and --key FILE, or certificates.files in edge.yml",
    });
  return { mode: "files", pairs };
}

function acmeOptions(input: CertificateInput): AcmeOptions {
  const { settings } = input;
  const caPath = settings.text("certificates.caFile");
  if (caPath !== undefined) checkNamed(input, "certificates.caFile", caPath, "config");
  return {
    directory: directoryOf(settings),
    email: settings.text("certificates.email"),
    agreesToTerms: settings.isOn("certificates.agreeToTerms"),
    eab: externalAccount(input),
    challenge: choice(settings, "certificates.challenge", CHALLENGES),
    wildcard: choice(settings, "certificates.wildcard", ["auto", "never"]),
    keyType: choice(settings, "certificates.keyType", ["p256", "p384", "rsa2048"]),
    caPath,
  };
}

const CHALLENGES = ["auto", "dns-01", "tls-alpn-01", "http-01"] as const;

function directoryOf(settings: Settings): string {
  const [directory = "letsencrypt", second] = settings.texts("certificates.directories");
  const isChosen = settings.origin("certificates.directories") !== "default";
  if (settings.isOn("acme-staging")) {
    if (settings.origin("certificates.directories") === "flag" && directory !== STAGING)
      throw usage({
        message: `--acme-staging and --acme-ca ${directory} exclude each other`,
        hint: "Give one of them",
      });
    return STAGING;
  }
  if (isChosen && second !== undefined)
    throw usage({
      message: "A second CA in certificates.directories is not in this build yet",
      hint: `Keep ${directory} alone`,
    });
  return directory;
}

const STAGING = "letsencrypt-staging";

function externalAccount(input: CertificateInput): AcmeOptions["eab"] {
  const keyId = input.settings.text("certificates.eab.keyId");
  const keyPath = input.settings.text("certificates.eab.keyFile");
  if (keyId === undefined && keyPath === undefined) return undefined;
  if (keyId === undefined || keyPath === undefined)
    throw usage({
      message: `certificates.eab has no ${keyId === undefined ? "keyId" : "keyFile"}`,
      hint: "The CA's web page shows both: keyId, and a key that belongs into keyFile",
    });
  checkNamed(input, "certificates.eab.keyFile", keyPath, "secret");
  return { keyId, keyPath };
}

/** A file that a key names: judged where it is named. */
function checkNamed(
  { placed, problems }: CertificateInput,
  key: string,
  path: string,
  kind: "config" | "secret",
): void {
  const span = placed?.file.values.get(key)?.[0]?.span;
  for (const problem of checkFile(path, kind, `The file of ${key}`)) {
    if (span === undefined) throw refused(problem);
    problems.push({ ...problem, span });
  }
}

function refused({ message, hint }: Problem): TunlError {
  return new TunlError("CONFIG_INVALID", message, { ...(hint !== undefined && { hint }) });
}

function choice<Word extends string>(
  settings: Settings,
  key: string,
  words: readonly [Word, ...Word[]],
): Word {
  const text = settings.text(key);
  return words.find((word) => word === text) ?? words[0];
}
