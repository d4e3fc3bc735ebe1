// This file is the way to Let's Encrypt as a test has it: a proxy of the machine (HTTPS_PROXY) that knows no other host, and behind it pebble under that name.
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeLeaf, makeRoot } from "../../src/edge/certificates/internal-ca.ts";
import type { Pebble } from "../pebble.ts";

const HOST = "acme-v02.api.letsencrypt.org";
const DAY_MS = 86_400_000;

/** Nothing of the executable is changed for it: it dials its proxy, and trusts the root that `certificates.caFile` names. */
export class LetsEncrypt implements AsyncDisposable {
  /** For `certificates.caFile`. */
  readonly caFile: string;
  /** For the edge's environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #folder: string;
  readonly #server: Bun.Server<undefined>;
  readonly #proxy: Server;

  private constructor(folder: string, server: Bun.Server<undefined>, proxy: Server, port: number) {
    this.#folder = folder;
    this.#server = server;
    this.#proxy = proxy;
    this.caFile = join(folder, "root.pem");
    this.environment = { HTTPS_PROXY: `http://127.0.0.1:${port}` };
  }

  static async start(pebble: Pebble): Promise<LetsEncrypt> {
    const now = Date.now();
    const root = await makeRoot(now);
    const tls = await makeLeaf(root, [HOST], { notBefore: now - DAY_MS, notAfter: now + DAY_MS });
    const folder = mkdtempSync(join(tmpdir(), "tunl-le-"));
    writeFileSync(join(folder, "root.pem"), root.cert);
    const ca = await Bun.file(pebble.caFile).text();
    const server = Bun.serve({
      ...{ hostname: "127.0.0.1", port: 0, tls },
      fetch: async (request) => {
        const { pathname } = new URL(request.url);
        const path = pathname === "/directory" ? "/dir" : pathname;
        const body = await request.bytes();
        const headers = new Headers(request.headers);
        // Pebble names its own addresses after the Host it is asked by.
        headers.set("host", HOST);
        return await fetch(`https://localhost:${pebble.port}${path}`, {
          ...{ method: request.method, headers },
          ...(body.length > 0 && { body }),
          tls: { ca, checkServerIdentity: () => undefined },
        });
      },
    });
    const proxy = createServer();
    proxy.on("connect", ({ url }, socket) => {
      if (url !== `${HOST}:443`) return void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
      const out = connect(server.port as number, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        socket.pipe(out).pipe(socket);
      });
      for (const [end, other] of [
        [socket, out],
        [out, socket],
      ] as const)
        end.on("error", () => other.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const address = proxy.address();
    if (address === null || typeof address === "string") throw new Error("A proxy has a port");
    return new LetsEncrypt(folder, server, proxy, address.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#proxy.close();
    this.#proxy.closeAllConnections();
    await this.#server.stop(true);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
