// This file is TLS towards connectors: links come in through the front door, told apart by ALPN. PROTOCOL §3.1.
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Logger } from "../../log.ts";
import type { PemPair } from "../certificates/index.ts";
import { type Remote, remoteOf } from "./remote.ts";

/** The one protocol name of a link; the front door sends connections here that offer it and nothing else. */
export const LINK_PROTOCOL = "tunl/1";

export interface LinkServerOptions {
  /** The links' own certificate; what proves the edge is its key in EDGE_AUTH. */
  readonly certificate: PemPair;
  readonly log: Logger;
  /** Takes the link over: not flowing yet, `error` listened to. If it throws, the link is destroyed. */
  readonly onLink: (socket: TLSSocket, remote: Remote) => void;
}

/** Makes the TLS 1.3 server of links; the front door feeds it with `emit("connection", socket)`. */
export function createLinkServer(options: LinkServerOptions): Server {
  const { log } = options;
  const server = createServer({
    cert: options.certificate.cert,
    key: options.certificate.key,
    // The exporter of TLS 1.2 tells an empty context from none, and its resumption repeats secrets (platform.md §3).
    minVersion: "TLSv1.3",
    ALPNProtocols: [LINK_PROTOCOL],
    allowHalfOpen: true,
  });
  server.on("secureConnection", (socket) => {
    socket.on("error", (error) => log.debug("link", "The link failed", { error: error.message }));
    const remote = remoteOf(socket);
    if (socket.alpnProtocol !== LINK_PROTOCOL || remote === undefined) {
      socket.destroy();
      return;
    }
    try {
      options.onLink(socket, remote);
    } catch (error) {
      log.error("link", "BUG: taking a link over failed", { error: String(error) });
      socket.destroy();
    }
  });
  server.on("tlsClientError", (error, socket) => {
    log.debug("link", "The TLS handshake failed", { error: error.message });
    socket.destroy();
  });
  return server;
}
