/**
 * The certificates that visitors and links are shown.
 *
 * A table found by name, and what fills it: the owner's files or the edge's own authority. Never orders anything because
 * a visitor asked for it, never touches a socket, and has no default certificate (S-22). Start reading in `certificates.ts`.
 *
 * @module
 */
export { AEAD_SUITES, CertificateTable } from "./certificates.ts";
export type { Certificate, Certificates } from "./certificates.ts";
export { ProviderAnswers } from "./acme/dns-answers.ts";
export { startCertificates } from "./start.ts";
export type { StartedCertificates } from "./start.ts";
export { type CertificateLine, type LimitLine, listCertificates } from "./list.ts";
export { wantGranted } from "./source.ts";
export type { CertificateSource, CertificateState, GrantedNames, HostWatcher } from "./source.ts";
export type { PemPair } from "./internal-ca.ts";
export type { Terms } from "./acme/terms.ts";
export { CHALLENGE_PROTOCOL } from "./acme/protocol-name.ts";
export { loadLinkCertificate } from "./link-certificate.ts";
