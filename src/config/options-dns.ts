// This file is the rows of the option table about the DNS: who edits zones, and where the edge is reached. product.md §2.1, §3.1.
import { BUILT, EDGE } from "./option.ts";
import type { Option, Refusal } from "./option.ts";

const LATER_PROVIDER: Refusal = {
  message: "This DNS provider is not in this build yet",
  hint: "Use cloudflare or rfc2136, or none: tunl then shows the records to add and waits for them",
};

export const DNS_OPTIONS: readonly Option[] = [
  {
    ...BUILT,
    flag: "dns",
    commands: EDGE,
    key: "dns.provider",
    kind: "choice",
    choices: ["none", "cloudflare", "rfc2136"],
    placeholder: "PROVIDER",
    default: "none",
    laterValues: { exec: LATER_PROVIDER, self: LATER_PROVIDER },
    about:
      "Who makes DNS records: cloudflare, rfc2136, or none, which shows them and waits; details stand in the file",
  },
  {
    ...BUILT,
    flag: "public-address",
    commands: EDGE,
    key: "publicAddresses",
    kind: "ip",
    placeholder: "IP",
    isRepeatable: true,
    about: "What DNS should point to; the global addresses of this machine if absent",
  },
];

export const DNS_KEYS: readonly Option[] = [
  {
    ...BUILT,
    commands: [],
    key: "dns.ttl",
    kind: "integer",
    default: "300",
    min: 60,
    max: 86_400,
    about: "Seconds that others may remember a record that the edge made",
  },
  {
    ...BUILT,
    commands: [],
    key: "dns.cloudflare.tokenFile",
    kind: "path",
    about: "File with an API token of Cloudflare: Zone Read and DNS Edit for the zones",
  },
  {
    ...BUILT,
    commands: [],
    key: "dns.rfc2136.server",
    kind: "server",
    about: "Primary name server of the zones",
  },
  {
    ...BUILT,
    commands: [],
    key: "dns.rfc2136.keyName",
    kind: "text",
    about: "Name of the TSIG key; the one in keyFile if absent",
  },
  {
    ...BUILT,
    commands: [],
    key: "dns.rfc2136.algorithm",
    kind: "choice",
    choices: ["hmac-sha256", "hmac-sha512"],
    default: "hmac-sha256",
    about: "Of the TSIG key",
  },
  {
    ...BUILT,
    commands: [],
    key: "dns.rfc2136.keyFile",
    kind: "path",
    about: "File with the TSIG key: as tsig-keygen writes it, or its secret alone",
  },
];
