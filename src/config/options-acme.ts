// This file is the rows of certificates by ACME: flags of `tunl edge` and keys of `edge.yml`. product.md §2.1, §3.1.
import { BUILT, EDGE } from "./option.ts";
import type { Option } from "./option.ts";

export const ACME_OPTIONS: readonly Option[] = [
  {
    ...BUILT,
    flag: "email",
    commands: EDGE,
    key: "certificates.email",
    kind: "text",
    placeholder: "ADDR",
    about: "Given to the CA, which may write before a certificate ends",
  },
  {
    ...BUILT,
    flag: "agree-tos",
    commands: EDGE,
    key: "certificates.agreeToTerms",
    kind: "boolean",
    default: "false",
    about:
      "Agrees to the CA's terms of service; asked once on a terminal otherwise, and remembered",
  },
  {
    ...BUILT,
    flag: "acme-ca",
    commands: EDGE,
    key: "certificates.directories",
    kind: "ca",
    placeholder: "NAME|URL",
    isRepeatable: true,
    default: "letsencrypt",
    about: "CA that signs the certificates",
  },
  {
    ...BUILT,
    flag: "acme-staging",
    commands: EDGE,
    kind: "boolean",
    default: "false",
    about:
      "Tries everything out with a CA that browsers do not trust: --acme-ca letsencrypt-staging",
  },
];

export const ACME_KEYS: readonly Option[] = [
  {
    ...BUILT,
    commands: [],
    key: "certificates.eab.keyId",
    kind: "text",
    about: "Account at the CA's web page, for CAs that bind to it (external account binding)",
  },
  {
    ...BUILT,
    commands: [],
    key: "certificates.eab.keyFile",
    kind: "path",
    about: "File with its HMAC key, base64url",
  },
  {
    ...BUILT,
    commands: [],
    key: "certificates.challenge",
    kind: "choice",
    choices: ["auto", "dns-01", "tls-alpn-01", "http-01"],
    default: "auto",
    about:
      "How names are proven; auto is DNS where dns.provider serves the zone, else TLS on port 443, else HTTP on port 80, the next one after a failure",
  },
  {
    ...BUILT,
    commands: [],
    key: "certificates.wildcard",
    kind: "choice",
    choices: ["auto", "never"],
    default: "auto",
    about: "One certificate for a domain and its *. where dns.provider serves the zone",
  },
  {
    ...BUILT,
    commands: [],
    key: "certificates.keyType",
    kind: "choice",
    choices: ["p256", "p384", "rsa2048"],
    default: "p256",
    about: "Keys of certificates",
  },
  {
    ...BUILT,
    commands: [],
    key: "certificates.caFile",
    kind: "path",
    about: "Root certificates of a private CA, PEM; only they are trusted then",
  },
  {
    ...BUILT,
    commands: [],
    key: "certificates.minVersion",
    kind: "choice",
    choices: ["1.2", "1.3"],
    default: "1.2",
    about: "Oldest TLS version of visitors; links always use 1.3",
  },
];
