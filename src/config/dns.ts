// This file is what the edge knows about the DNS from its configuration: the provider with its credentials, read from their files. product.md §3.1, §4.
import { checkFile, readText } from "./files.ts";
import type { Problem, Span } from "./report.ts";
import { usage } from "./settings.ts";
import type { PlacedFile, Settings } from "./settings.ts";
import type { DnsOptions, DnsProviderOptions } from "./types.ts";

export interface DnsReading {
  readonly settings: Settings;
  readonly placed: PlacedFile | undefined;
  readonly problems: Problem[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads the `dns` group.
 *
 * @throws TunlError `USAGE` where a provider lacks what only a file can say; what is wrong in the file is a problem of it.
 */
export function readDns(reading: DnsReading): DnsOptions {
  const { settings, environment } = reading;
  const ttl = settings.number("dns.ttl") ?? 0;
  return {
    provider: providerOf(reading, ttl),
    publicAddresses: [...new Set(settings.texts("publicAddresses"))],
    // For tests: another DNS, and another API. Neither is a setting.
    servers: environment["TUNL_DNS_SERVERS"],
    cloudflareApi: environment["TUNL_CLOUDFLARE_API"],
  };
}

function providerOf(reading: DnsReading, ttl: number): DnsProviderOptions | undefined {
  const { settings } = reading;
  const name = settings.text("dns.provider");
  if (name === "cloudflare") {
    const token = secret(reading, "dns.cloudflare.tokenFile", "a file with an API token")?.trim();
    return token === undefined ? undefined : { name, token, ttl };
  }
  if (name !== "rfc2136") return undefined;
  const server = settings.address("dns.rfc2136.server");
  if (server?.host === undefined)
    missing(reading, "dns.rfc2136.server", "the primary name server, such as 192.0.2.53");
  const text = secret(reading, "dns.rfc2136.keyFile", "a file with a TSIG key");
  if (text === undefined || server?.host === undefined) return undefined;
  const file = parseTsigKey(text);
  const algorithm = settings.text("dns.rfc2136.algorithm") as "hmac-sha256" | "hmac-sha512";
  if (file.secret === undefined)
    return fail(reading, "dns.rfc2136.keyFile", "holds no TSIG key: no secret in base64 is in it");
  if (file.algorithm !== undefined && file.algorithm !== algorithm) {
    return fail(
      reading,
      "dns.rfc2136.keyFile",
      `holds a key for ${file.algorithm}, expected one for ${algorithm}`,
      `Write algorithm: ${file.algorithm} if the name server has it so, or make a key with tsig-keygen -a ${algorithm}`,
    );
  }
  const keyName = settings.text("dns.rfc2136.keyName") ?? file.name;
  if (keyName === undefined)
    return missing(reading, "dns.rfc2136.keyName", "the name of the TSIG key");
  const { host, port } = server;
  return { name, server: { host, port }, keyName, algorithm, secret: file.secret, ttl };
}

/** The text of a file with a secret; what is wrong with it is a problem. */
function secret(reading: DnsReading, key: string, what: string): string | undefined {
  const path = reading.settings.text(key);
  if (path === undefined) return missing(reading, key, what);
  const found = checkFile(path, "secret", key);
  for (const problem of found) {
    // A mode is said of the file by its name; everything else names it already.
    const message =
      problem.code === "FILE_MODE"
        ? problem.message.replace(key, `${key} "${path}"`)
        : problem.message;
    report(reading, key, { ...problem, message });
  }
  if (found.length > 0) return undefined;
  const text = readText(path, key);
  return text.trim() === "" ? fail(reading, key, "is empty") : text;
}

function fail(reading: DnsReading, key: string, what: string, hint?: string): undefined {
  const message = `The file of ${key} ${what}`;
  const problem = { severity: "error", code: "BAD_VALUE", message } as const;
  report(reading, key, hint === undefined ? problem : { ...problem, hint });
}

/** What only a file can say: told at the place of the provider that needs it. @throws TunlError `USAGE` without a file. */
function missing(reading: DnsReading, key: string, what: string): undefined {
  const message = `${key} is not set, expected ${what}`;
  const hint = "Write it in edge.yml beside dns.provider";
  // It is there and is none: that was said already.
  if (spanOf(reading, key) !== undefined) return;
  if (reading.placed === undefined) throw usage({ message, hint });
  const problem = { severity: "error", code: "MISSING_KEY", message } as const;
  report(reading, "dns.provider", problem);
}

function report(reading: DnsReading, key: string, problem: Problem): void {
  const span = spanOf(reading, key);
  reading.problems.push(span === undefined ? problem : { ...problem, span });
}

function spanOf({ placed }: DnsReading, key: string): Span | undefined {
  return placed?.file.values.get(key)?.[0]?.span;
}

/** A key clause of BIND, or a secret in base64 alone. */
export function parseTsigKey(text: string): {
  readonly name: string | undefined;
  readonly algorithm: string | undefined;
  readonly secret: Uint8Array | undefined;
} {
  const bare = text.trim();
  const name = /\bkey\s+"?([^"\s{]+)"?\s*\{/.exec(text)?.[1];
  const algorithm = /\balgorithm\s+"?([\w-]+)"?\s*;/i.exec(text)?.[1]?.toLowerCase();
  const encoded = /\bsecret\s+"?([A-Za-z0-9+/=]+)"?\s*;/.exec(text)?.[1] ?? bare;
  const isBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded);
  const secret = isBase64 && encoded !== "" ? Buffer.from(encoded, "base64") : undefined;
  return { name, algorithm, secret };
}
