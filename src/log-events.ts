// This file is the table of log events: what each is called, when it is written, and the only fields it may have. product.md §8, S-66.

/** One event. */
export interface EventRow {
  /** When it is written. */
  readonly about: string;
  /** Names of its fields. A field that does not stand here is never printed. */
  readonly fields: readonly string[];
  /** The word of the pretty form where it is not the name itself. */
  readonly label?: string;
  /** The mark of the pretty form where it is not that of the level. */
  readonly mark?: "?";
}

/** Fields that any line of one session has besides its own: whose session it is. */
export const SCOPE_FIELDS = ["tunnel", "account"] as const;

export const EVENTS = {
  // Life of a process
  start: { about: "The process starts", fields: ["version", "label"] },
  config: {
    about: "The configuration file in use, and what in it has no effect",
    fields: ["file"],
  },
  "config.warning": {
    about: "Something in the configuration that is not as it may seem",
    fields: ["file", "line", "column", "severity", "code", "hint"],
    label: "config",
  },
  "config.rejected": {
    about: "A mistake in the configuration, which is not used",
    fields: ["file", "line", "column", "severity", "code", "hint"],
    label: "config",
  },
  state: { about: "The state directory and the edge's key", fields: ["state", "key"] },
  listening: { about: "Ports are bound", fields: ["listen", "http", "hint"] },
  ready: { about: "The edge serves", fields: ["ms", "port"] },
  next: { about: "What to do next after a first start", fields: [] },
  draining: { about: "A stop was asked for", fields: ["graceMs", "inProgress"] },
  stopped: { about: "The end", fields: ["signal"] },
  failed: { about: "The command ended with an error", fields: ["code", "hint"] },
  notice: { about: "Something is not as it may seem", fields: [] },
  bug: {
    about: "A fault of tunl's own, which ended no more than it had to",
    fields: ["code", "stream"],
  },
  "log.dropped": {
    about: "Lines were lost because nobody read them fast enough",
    fields: ["dropped"],
    label: "log",
  },
  "log.reopen": { about: "The log file could not be opened again", fields: [], label: "log" },

  // Links
  edge: { about: "The connector knows which edge it speaks to", fields: ["edge", "key"] },
  joined: { about: "A join line was used", fields: ["tunnel"] },
  connected: {
    about: "A link is up",
    fields: ["edge", "links", "rttMs", "visitor"],
  },
  disconnected: { about: "A connector said goodbye, or the edge stops", fields: [] },
  "link.lost": { about: "A link broke", fields: [] },
  "link.refused": { about: "An unfinished link ended", fields: ["visitor"], label: "link" },
  link: { about: "A step in the life of a link", fields: ["cause", "error"] },
  retry: { about: "A dial failed, the next one follows", fields: ["inMs", "attempt", "hint"] },
  refused: { about: "The edge refused, dials go on slowly", fields: ["code", "hint"] },
  session: { about: "The other end broke the protocol", fields: ["code", "frameType"] },
  enrolled: { about: "A key was enrolled with a join line", fields: ["keyId"] },
  revoked: { about: "A key is not in force any more, and its session ends", fields: ["keyId"] },
  "enrol.refused": {
    about: "A join line was refused, and why",
    fields: ["reason", "kind", "name"],
    label: "enrol",
  },
  "auth.refused": { about: "A key was refused, and why", fields: ["key", "keyId"], label: "auth" },

  // Accounts and tunnels, told by commands
  "logged.in": { about: "A login line was used", fields: ["edge"] },
  saved: { about: "A file was written", fields: ["path", "keyId"] },
  removed: { about: "A file that opens nothing any more is gone", fields: ["path"] },
  created: { about: "A tunnel was made", fields: ["id", "keyId"] },
  exists: { about: "The tunnel was made on this machine before", fields: ["id", "keyId"] },
  granted: { about: "A tunnel got a name", fields: ["host"] },
  deleted: {
    about: "A tunnel is gone, its keys and names with it",
    fields: ["id", "hosts", "keys"],
  },
  rotated: { about: "A key was put in the place of another", fields: ["keyId", "oldEndsAt"] },
  token: { about: "A static token was made", fields: ["keyId", "expiresAt"] },
  released: { about: "A name belongs to no tunnel any more", fields: ["host"] },

  // Names
  address: { about: "Where the Internet reaches this machine", fields: ["addresses", "hint"] },
  dns: {
    about: "What the DNS says about the edge's names, and what it lacks",
    fields: ["names", "addresses", "server", "hint"],
  },
  "dns.wait": {
    about: "A record that somebody has to add",
    fields: ["hint"],
    label: "dns",
    mark: "?",
  },
  proof: {
    about: "Whether a name outside of the domains is its owner's",
    fields: ["host", "server", "hint"],
  },
  route: { about: "A public name leads to a service", fields: ["url", "service", "expression"] },
  domain: { about: "A domain or a name is not served any more", fields: ["hint"] },
  certificate: {
    about: "Where certificates come from, and what they lack",
    fields: ["name", "domain", "path", "error", "hint"],
  },
  "certificate.limit": {
    about: "A domain has had most of the certificates that its CA gives it in a week",
    fields: ["domain", "issued", "limit", "oldestLeavesAt", "hint"],
    label: "certificate",
  },

  // Requests
  request: {
    about: "A request is over (access log)",
    fields: [
      ...["host", "method", "path", "status", "ms", "bytesIn", "bytesOut", "visitor"],
      ...["requestId", "service", "rule", "code"],
    ],
  },
  "origin.error": {
    about: "A service did not answer as it should",
    fields: ["code", "host", "service", "requestId", "hint"],
    label: "origin",
  },
  "exchange.fault": {
    about: "The other end broke off a request against the protocol",
    fields: ["requestId"],
    label: "request",
  },
  listen: {
    about: "Connections that the front door refused, by reason",
    fields: [
      ...["address", "reason", "error", "penalty", "connectionsPerSource"],
      ...["acceptRate", "connections", "pendingHandshakes"],
    ],
  },
  visitor: {
    about: "A visitor's connection failed, or its request was refused before it had a route",
    fields: ["code", "requestId", "error"],
  },

  // State
  "state.failed": {
    about: "The state could not be read or written",
    fields: ["code", "error"],
    label: "state",
  },
  "state.backup": {
    about: "The state was backed up again after a failure",
    fields: ["backup"],
    label: "state",
  },
} as const satisfies Readonly<Record<string, EventRow>>;

/** Name of an event; a stable interface. */
export type EventName = keyof typeof EVENTS;

/** Names of the fields that an event may have. */
export type FieldName<Event extends EventName> =
  (typeof EVENTS)[Event]["fields"][number] | (typeof SCOPE_FIELDS)[number];
