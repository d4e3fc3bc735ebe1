// This file is the one protocol name (ALPN) of a CA that validates by TLS-ALPN-01. RFC 8737 §4.

export const CHALLENGE_PROTOCOL = "acme-tls/1";
