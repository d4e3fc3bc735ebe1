// This file is the named limits: every bound on what somebody else can make this process hold or wait for, each counted when it is reached. http.md §14; S-44.

/**
 * Name and sentence of each limit: what is bounded. What happens beyond it is said where the limit is applied.
 *
 * A test fails for a name that no test reached, so a new row needs a call of `reached` in the source and a test that
 * gets there.
 */
export const LIMITS = {
  // A connection before its owner is known (http.md §1)
  connectionsPerSource: "Open connections of one source (limits.connectionsPerIp)",
  acceptsPerSource: "New connections of one source (limits.acceptPerIp)",
  connections: "Connections in all: descriptors stay free for everything else",
  pendingHandshakes: "Connections in all whose handshake has not ended",
  penaltyBox: "Sources that broke rules again and again, for a while",
  sources: "Sources without a connection that are remembered",
  helloTime: "A ClientHello, complete (timeouts.clientHello)",
  helloBytes: "Bytes of a ClientHello",
  helloRecords: "TLS records of a ClientHello",
  handshakeTime: "A TLS handshake, finished (timeouts.handshake)",
  refusedLinger: "A refused connection that does not close",
  firstCertificateWaiters: "Handshakes that wait for the first certificate of their name",
  firstCertificateTime: "The wait for it",

  // A CA (product.md §7)
  certificateOrders: "Orders of certificates at a time",
  caRequests: "Requests to a CA that does not do well, in a minute",
  caAnswerTime: "An answer of a CA, whole",
  caAnswerBytes: "Bytes of an answer of a CA",
  challengeLinger: "A CA that has seen its challenge certificate and does not close",
  orderTime: "An order that a CA leaves pending",
  failedValidations: "Failed validations of one name in an hour",

  // A visitor's connection (http.md §3.3)
  headTime: "A header section, from its first byte to its last (timeouts.head)",
  headerBytes: "A header section (limits.headerBytes)",
  headerFields: "Fields of a header section (limits.headerFields)",
  targetBytes: "A request target (limits.targetBytes)",
  idleTime: "Time between two requests of a connection (timeouts.idle)",
  requestsPerConnection: "Requests of one connection",
  heldBytes: "Bytes of a visitor that nobody wants yet; its socket is paused",
  bodyRate: "Bytes per second of a request body that moves at all",
  bodyIdle: "Silence inside a request body (timeouts.bodyIdle)",
  bodyBytes: "A request body (limits.bodyBytes)",
  chunkExtensions: "Extensions of chunks",
  trailerBytes: "The trailers of a request",
  trailerFields: "Fields in the trailers of a request",
  orphanedBytes: "Bytes for slow visitors whose stream or session is gone",
  writeStall: "A visitor that reads nothing of what waits for it (timeouts.writeStall)",
  halfClosed: "A visitor that closed its half, with nothing to write to it",
  lingerBytes: "Bytes read and dropped behind the last response",
  lingerTime: "Time for which they are read",
  upgradeIdle: "Silence of an upgraded connection (timeouts.upgradeIdle)",

  // A request on its way (http.md §14)
  concurrent: "Requests in progress of one hostname (limits.concurrent)",
  streamCredit: "Wait for a stream of a session",
  streamCreditWaiters: "Requests that wait for a stream of a session",
  dispatches: "Sessions that may refuse one request",
  holdPerHost: "Requests of one hostname that wait for a connector",
  holdInAll: "Requests that wait for a connector in all",
  holdBytes: "Bytes of requests that wait for a connector",
  holdTime: "Wait for a connector that is expected back (hold)",
  firstByte: "First response message, from the end of the request (timeouts.firstByte)",
  announcedHosts: "Hostnames in one announcement",
  hostsOfTunnel: "Hostnames of one tunnel",
  keysOfTunnel: "Keys of one tunnel, and those that it or its account ever had",
  tunnelsOfAccount: "Tunnels of one account, and those it ever made",
  callsOfKey: "Calls of one owner's sessions in progress",
  changesOfAccount: "Changes that one account makes in a while",
  storeQueue: "Changes that wait for the disk",
  messageBytes: "A message on a stream",
  tunnelInterim: "Interim replies to one request, as they come through the tunnel",
  tunnelTrailers: "Trailers as they come through the tunnel",
  collectedBody: "A body of unknown length for an origin that needs one",

  // An origin's response (http.md §3.1)
  originHeaderBytes: "A header section of an origin's response",
  originHeaderFields: "Fields of a header section of an origin's response",
  originInterim: "Interim responses of an origin to one request",
  originSockets: "Sockets to origins in all: descriptors stay free for everything else",

  // A link before it is live (PROTOCOL §3)
  linkHandshakes: "Unfinished handshakes of links past TLS",
  linkHandshakesPerSource: "Unfinished handshakes of one source past TLS",
  linkHandshakeTime: "The next frame of a handshake",
  linkHandshakeBytes: "Bytes of a link before it is live",
  failedCodes: "Refused join codes in a minute",
  sessionsPerTunnel: "Sessions of one tunnel",

  // A session (PROTOCOL §2, §5)
  frameBytes: "A frame, by its type",
  flowControl: "Bytes received beyond the credit of a stream or the session",
  peerStreams: "Streams the peer may open",
  connectorOpens: "Streams a connector opens in a while",
  sessionHeld: "Bytes a session holds for readers that do not read: one of its streams is evicted",
  processHeld: "Bytes all sessions hold: links of those that hold most are not read",
  retained: "Bytes sent and not acknowledged, per session",
  inFlight: "Bytes sent and not acknowledged, by what the path takes",
  pongs: "PINGs of a link that are answered",
  idleFrames: "Frames that change nothing in a while",
  forgottenFrames: "Answers waiting for streams that are over",

  // The DNS (product.md §6)
  dnsWaits: "Commands that wait for a record in the DNS",
  dnsAliases: "Aliases followed for one question to the DNS",
  dnsDials: "Addresses that are dialled to see whether they are this edge, at a time",
  dnsQuestions: "Messages to name servers that wait for a socket",

  // The process itself
  logRing: "Log lines that wait for a slow reader; the oldest are dropped",
} as const satisfies Readonly<Record<string, string>>;

export type LimitName = keyof typeof LIMITS;

const counts = new Map<LimitName, number>();

/** Counts that the limit held somebody back. Called where it does, once each time. */
export function reached(name: LimitName): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** How often each limit was reached since the start; those that were not are absent. */
export function reachedLimits(): Partial<Record<LimitName, number>> {
  return Object.fromEntries(counts);
}
