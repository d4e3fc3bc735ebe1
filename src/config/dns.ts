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
    const token = secret(reading, "dns.cloudflare.tokenFile", "an API token")?.trim();
    return token === undefined ? undefined : { name, token, ttl };
  }
  if (name !== "rfc2136") return undefined;
  const server = settings.address("dns.rfc2136.server");
  if (server?.host === undefined)
    throw missing("dns.rfc2136.server", "the primary name server, such as 192.0.2.53");
  const text = secret(reading, "dns.rfc2136.keyFile", "a TSIG key");
  if (text === undefined) return undefined;
  const file = parseTsigKey(text);
  const keyName = settings.text("dns.rfc2136.keyName") ?? file.name;
  const algorithm = settings.text("dns.rfc2136.algorithm") as "hmac-sha256" | "hmac-sha512";
  if (keyName === undefined) throw missing("dns.rfc2136.keyName", "the name of the TSIG key");
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
  const server53 = { host: server.host, port: server.port };
  return { name, server: server53, keyName, algorithm, secret: file.secret, ttl };
}

/** The text of a file with a secret; what is wrong with it is a problem. */
function secret(reading: DnsReading, key: string, what: string): string | undefined {
  const path = reading.settings.text(key);
  if (path === undefined) throw missing(key, `the path of a file with ${what}`);
  const span = spanOf(reading, key);
  const found = checkFile(path, "secret", `${key} "${path}"`);
  if (found.length > 0) {
    reading.problems.push(...found.map((problem) => (span ? { ...problem, span } : problem)));
    return undefined;
  }
  const text = readText(path, key);
  if (text.trim() !== "") return text;
  return fail(reading, key, "is empty");
}

function fail(reading: DnsReading, key: string, what: string, hint?: string): undefined {
  const span = spanOf(reading, key);
  reading.problems.push({
    ...{ severity: "error", code: "BAD_VALUE", message: `The file of ${key} ${what}` },
    ...(span !== undefined && { span }),
    ...(hint !== undefined && { hint }),
  });
  return undefined;
}

function spanOf({ placed }: DnsReading, key: string): Span | undefined {
  return placed?.file.values.get(key)?.[0]?.span;
}

function missing(key: string, what: string) {
  return usage({
    message: `${key} is not set, expected ${what}`,
    hint: "Write it in edge.yml beside dns.provider",
  });
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
