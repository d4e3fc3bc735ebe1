// This file is TLS towards visitors: the certificate by SNI, versions, suites, ALPN. http.md §2; S-22, S-23.
import { createServer, type Server, type TLSSocket } from "node:tls";
import { canonicalName } from "../../address/index.ts";
import { TunlError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { boundUnsent } from "../../session/index.ts";
import { AEAD_SUITES, type Certificate, type Certificates } from "../certificates/index.ts";
import type { FirstCertificates } from "./first-certificate.ts";
import { type Remote, remoteOf } from "./remote.ts";

/** What is known of a visitor once its handshake is done: the TLS part of `VisitorPeer` (edge/request.ts). */
export interface SecureVisitor {
  /** `version` as in "TLSv1.3"; `serverName` is canonical and covered by `certificate`. */
  readonly tls: { readonly version: string; readonly serverName: string };
  readonly remote: Remote;
  /** The certificate shown, also after it was swapped in the table. */
  readonly certificate: Certificate;
  /** True when the certificate shown names this canonical host (S-23). */
  covers(host: string): boolean;
}

/**
 * What the kernel takes for a visitor before it can send it. Its own 4 MiB are read, carried and encrypted for everybody who
 * asks for much and reads nothing: 8 ms of a processor each, which others wait for (S-42).
 */
export const VISITOR_UNSENT_BYTES = 256 * 1024;

export interface VisitorServerOptions {
  readonly certificates: Certificates;
  /** Who waits for a first certificate; nobody if absent. */
  readonly first?: FirstCertificates;
  /** `certificates.minVersion`. */
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** The kernel may be asked for a short unsent queue. */
  readonly isTuning: boolean;
  readonly log: Logger;
  /** Takes the connection over: not flowing yet, half-open allowed, `error` listened to. If it throws, the connection is destroyed. */
  readonly onVisitor: (socket: TLSSocket, visitor: SecureVisitor) => void;
}

/**
 * Makes the TLS server of the default profile; the front door feeds it with `emit("connection", socket)`.
 *
 * It has no certificate of its own: what SNICallback does not answer fails, it never falls back (platform.md §3).
 */
export function createVisitorServer(options: VisitorServerOptions): Server {
  const { certificates, log, first } = options;
  const server = createServer({
    minVersion: options.minVersion,
    ciphers: AEAD_SUITES,
    // A visitor that offers 1.0 alone would get an alert: `curl --http1.0`, old health checks.
    ALPNProtocols: ["http/1.1", "http/1.0"],
    // Both ends may close by halves; a missing one here truncates replies (platform.md §2).
    allowHalfOpen: true,
    SNICallback: (sent, answer) => {
      const serverName = canonicalName(sent);
      const answerNow = (): void => {
        const context = serverName === undefined ? undefined : certificates.contextFor(serverName);
        // An error, not "no context": the front door has refused unknown names, so this one left the table just now,
        // or its first certificate did not come.
        if (context === undefined)
          answer(new TunlError("UNKNOWN_NAME", "No certificate covers the name"));
        else answer(null, context);
      };
      const isThere = serverName === undefined || certificates.covers(serverName);
      if (isThere || first === undefined) answerNow();
      else first.wait(serverName, answerNow);
    },
  });
  server.on("secureConnection", (socket) => {
    socket.on("error", (error) =>
      log.debug("visitor", "The connection failed", { error: error.message }),
    );
    try {
      const visitor = describe(socket, certificates);
      if (visitor === undefined) return void socket.destroy();
      if (options.isTuning) boundUnsent(socket, VISITOR_UNSENT_BYTES);
      options.onVisitor(socket, visitor);
    } catch (error) {
      log.error("visitor", "BUG: taking a visitor over failed", { error: String(error) });
      socket.destroy();
    }
  });
  server.on("tlsClientError", (error, socket) => {
    log.debug("visitor", "The TLS handshake failed", { error: error.message });
    // The runtime only reports; left alone the socket stays open (http.md §1).
    socket.destroy();
  });
  return server;
}

/** `undefined` when the visitor has left, or its name has, during the handshake. */
function describe(socket: TLSSocket, certificates: Certificates): SecureVisitor | undefined {
  const remote = remoteOf(socket);
  const version = socket.getProtocol();
  // The type calls it a string; without SNI the runtime gives false.
  const sent: unknown = socket.servername;
  const serverName = typeof sent === "string" ? canonicalName(sent) : undefined;
  const certificate = serverName === undefined ? undefined : certificates.find(serverName);
  if (remote === undefined || version === null) return undefined;
  if (serverName === undefined || certificate === undefined) return undefined;
  return {
    tls: { version, serverName },
    remote,
    certificate,
    covers: (host) => certificates.covers(host, certificate),
  };
}
