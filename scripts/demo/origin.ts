// This file is the app of the demo: a page, an upload that answers its SHA-256, a WebSocket that says everything again.
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";

/** The page, as it is sent. */
export const PAGE: Uint8Array<ArrayBuffer> = await Bun.file(
  fileURLToPath(new URL("page.html", import.meta.url)),
).bytes();

/** The running app. */
export interface Origin extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
}

/** Starts it on a port of 127.0.0.1 that the system chooses. */
export function startOrigin(): Origin {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/": {
        GET: () => new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } }),
      },
      "/upload": { POST: upload },
      // What the page shows: the request as it arrives here, behind the tunnel.
      "/request": { GET: (request) => Response.json(Object.fromEntries(request.headers)) },
    },
    fetch(request, server) {
      const isLive = new URL(request.url).pathname === "/live";
      if (isLive && server.upgrade(request)) return undefined;
      return new Response("Not found\n", { status: isLive ? 426 : 404 });
    },
    websocket: {
      message(socket, message) {
        socket.send(message);
      },
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** Hashes the body as it comes. */
async function upload(request: Request): Promise<Response> {
  const hash = createHash("sha256");
  for await (const bytes of request.body ?? []) hash.update(bytes);
  return new Response(hash.digest("hex"));
}
