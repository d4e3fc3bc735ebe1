/**
 * The user's words: flags, environment variables and `edge.yml`, held against one table.
 *
 * Gives the two ends what they run with, validated, in milliseconds and bytes, or says what is wrong and where.
 * Never starts anything, never asks the network, never reads the working directory on its own (S-76).
 * Start reading in `options.ts`, then `settings.ts`.
 *
 * @module
 */
export { COMMIT, PLATFORM, VERSION } from "./build.ts";
export { checkConfig, checkEdge, checkRules } from "./check.ts";
export type { CheckedFile, CheckedRules } from "./check.ts";
export { loadFlags } from "./load-flags.ts";
export { loadConnect } from "./load-connect.ts";
export type { ConnectCommand } from "./load-connect.ts";
export { loadEdge, loadInvite, loadOwner, loadRepair } from "./load.ts";
export type { Loaded, LoadInput } from "./load.ts";
export { parseTarget } from "./ingress/target.ts";
export type { Target } from "./ingress/target.ts";
export { ORIGIN_REQUEST_DEFAULTS } from "./ingress/types.ts";
export type {
  AccessOptions,
  ExitService,
  HostHeaderOptions,
  HttpService,
  IngressOptions,
  IngressRule,
  IpRuleOptions,
  OriginRequestOptions,
  ServiceOptions,
  StaticService,
  TcpService,
  UnixService,
} from "./ingress/types.ts";
export { loadAccount } from "./load-account.ts";
export type { AccountOptions } from "./load-account.ts";
export { nearest } from "./nearest.ts";
export { flagText, variableOf } from "./option.ts";
export type { CommandName, Kind, Option, Refusal } from "./option.ts";
export { OPTIONS, optionsOf } from "./options.ts";
export { reasonOf } from "./files.ts";
export { showPath, surroundings } from "./paths.ts";
export type { Surroundings } from "./paths.ts";
export { ConfigError, formatProblem, formatProblems, mostUrgent, problemFields } from "./report.ts";
export type { Problem, Source, Span } from "./report.ts";
export { usage } from "./settings.ts";
export type { Flags } from "./settings.ts";
export type {
  AcmeOptions,
  CertificateOptions,
  ConnectorOptions,
  DnsOptions,
  DnsProviderOptions,
  EdgeLimits,
  EdgeOptions,
  EdgeTimeouts,
  InviteOptions,
  LogOptions,
  OwnerOptions,
  TokenSource,
  RepairOptions,
} from "./types.ts";
export { formatDuration, formatSize, parseDuration, parseRate, parseSize } from "./units.ts";
export { formatAddress, listWords } from "./values.ts";
export type { Address } from "./values.ts";
