// This file is a CA in trouble, seen from outside: requests counted at a proxy before it, in real minutes, while the edge serves what it has. R-18. Whole form: TUNL_SLOW=1.
import { createServer, type Server } from "node:https";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { freePort } from "../../scripts/rig/ports.ts";
import { CertificateStorage } from "../../src/edge/certificates/acme/storage.ts";
import { makeLeaf, makeRoot } from "../../src/edge/certificates/internal-ca.ts";
import { eventually } from "../binary/program.ts";
import { Home, IS_SLOW } from "../binary/tunl.ts";
import { HAS_PEBBLE, Pebble } from "../pebble.ts";
import { answered, App, CAN_RUN, curl, DOMAIN, TestEdge, Tunnel } from "./rig.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** How long each trouble lasts. */
const TROUBLE_MS = IS_SLOW ? 130_000 : 0;

type Way = "pass" | "refuse" | "hang" | "down";

/** Stands before a CA, under its own name: counts, and lets through or not. */
class CountingProxy implements AsyncDisposable {
  readonly port: number;
  /** When requests came, ms. */
  readonly at: number[] = [];
  way: Way = "pass";
  readonly #server: Server;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(pebble: Pebble): Promise<CountingProxy> {
    const [cert, key] = [pebble.pair.cert, pebble.pair.key].map((path) => readFileSync(path));
    const ca = readFileSync(pebble.caFile, "utf8");
    const port = await freePort();
    const server = createServer({ cert, key });
    const proxy = new CountingProxy(server, port);
    server.on("request", (request, response) => {
      proxy.at.push(performance.now());
      if (proxy.way === "down") return void request.socket.destroy();
      if (proxy.way === "hang") return;
      if (proxy.way === "refuse") return void response.writeHead(503).end("Out of order");
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", async () => {
        const { method = "GET", url = "/", headers } = request;
        const body = Buffer.concat(parts);
        // Pebble names its own addresses after the Host it is asked by: this proxy's.
        const reply = await fetch(`https://localhost:${pebble.port}${url}`, {
          method,
          headers: {
            host: `localhost:${port}`,
            "content-type": headers["content-type"] ?? "",
            "user-agent": headers["user-agent"] ?? "",
          },
          ...(body.length > 0 && { body }),
          tls: { ca, checkServerIdentity: () => undefined },
        });
        const kept = ["replay-nonce", "location", "content-type", "retry-after"];
        for (const name of kept) {
          const value = reply.headers.get(name);
          if (value !== null) response.setHeader(name, value);
        }
        response.writeHead(reply.status).end(Buffer.from(await reply.arrayBuffer()));
      });
    });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return proxy;
  }

  get directory(): string {
    return `https://localhost:${this.port}/dir`;
  }

  /** The most requests that any minute held. */
  get busiestMinute(): number {
    return Math.max(
      0,
      ...this.at.map((from) => this.at.filter((at) => at >= from && at < from + MINUTE_MS).length),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe.skipIf(!IS_SLOW || !CAN_RUN || !HAS_PEBBLE)(
  "a CA in trouble, by the clock of the wall",
  () => {
    let app: App;
    beforeAll(async () => {
      app = await App.start();
    });
    afterAll(() => app?.[Symbol.asyncDispose]());

    for (const way of ["rejects", "refuse", "hang", "down"] as const) {
      test(
        `${way}: ten requests a minute at most, and every visitor sees the certificate that is there`,
        async () => {
          using home = new Home();
          const [tlsPort, httpPort] = [await freePort(), await freePort()];
          await using pebble = await Pebble.start({
            ...{ tlsPort, httpPort },
            ...(way === "rejects" && { rejects: 90 }),
          });
          await using proxy = await CountingProxy.start(pebble);
          if (way !== "rejects") proxy.way = way;
          // What an edge of three months ago has: its own name and five others, all past two thirds of their life.
          const root = await makeRoot(Date.now());
          const issuer = join(home.path, "issuer.pem");
          writeFileSync(issuer, root.cert);
          const storage = new CertificateStorage(join(home.path, "state"));
          const life = { notBefore: Date.now() - 80 * DAY_MS, notAfter: Date.now() + 10 * DAY_MS };
          const names = [
            DOMAIN,
            ...["app", "b", "c", "d", "e"].map((label) => `${label}.${DOMAIN}`),
          ];
          for (const name of names) {
            const leaf = await makeLeaf(root, [name], life);
            await storage.save(name, {
              names: [name],
              challenge: "",
              ca: proxy.directory,
              ...leaf,
            });
          }
          await using edge = await TestEdge.start({
            ...{ tls: "acme", port: tlsPort, home: home.path },
            flags: ["--agree-tos", "--acme-ca", proxy.directory],
            settings: `certificates: {caFile: ${pebble.caFile}}\n`,
          });
          const flags = names.slice(2).flatMap((name) => ["--host", name]);
          await using tunnel = await Tunnel.start({ target: `${app.port}`, edge, flags });
          // Names are claimed one after the other: the last one has to be there before it is asked for.
          await tunnel.connector.find(
            (line) => line.includes(`"https://e.${DOMAIN}`) || undefined,
            "the route of the last name",
          );
          const until = performance.now() + TROUBLE_MS;
          let visits = 0;
          while (performance.now() < until) {
            // Until a renewal comes through, which it does where nonces alone are rejected.
            const ca = await trusted(issuer, pebble);
            for (const label of ["app", "e"]) {
              const { status } = answered(
                await curl({ ca, port: edge.port }, [
                  "-i",
                  `https://${label}.${DOMAIN}:${edge.port}/bytes/3`,
                ]),
              );
              expect(status).toBe(200);
              visits += 1;
            }
            await Bun.sleep(2_000);
          }
          console.log(
            `${way}: ${proxy.at.length} requests, busiest minute ${proxy.busiestMinute}, ${visits} visits`,
          );
          expect(proxy.busiestMinute).toBeLessThanOrEqual(10);
          // One that hangs is given up after half a minute.
          expect(proxy.at.length).toBeGreaterThan(way === "hang" ? 1 : 5);
          await eventually(
            () =>
              tunnel.edge.process.output.includes("stays in use") || way === "rejects" || undefined,
            "the warning",
          );
        },
        TROUBLE_MS + 60_000,
      );
    }
  },
);

/** A file with both roots: that of what was there, and that of what may come. */
async function trusted(issuer: string, pebble: Pebble): Promise<string> {
  const path = `${issuer}.all`;
  writeFileSync(path, `${readFileSync(issuer, "utf8")}\n${await pebble.root()}`);
  return path;
}
