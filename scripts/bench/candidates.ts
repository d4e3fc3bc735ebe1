// This file is what is measured: nginx without a tunnel in three places, and each tunl with its edge, connector and warm-up. benchmarks.md §6.
import { join } from "node:path";
import { NGINX_HOST, startNginx } from "../rig/nginx.ts";
import type { Nginx, NginxOptions } from "../rig/nginx.ts";
import { startConnector, startEdge } from "../rig/pair.ts";
import type { Layout } from "./layout.ts";
import type { Goal } from "./measure.ts";

/** Over plain http: what the origin itself can do. */
export const DIRECT_HTTP = "direct http";
/** Limit D of benchmarks.md §7: the same https without a tunnel, served beside the load. */
export const DIRECT = "direct https";
/** The harder limit: nginx has the processor to itself that edge and connector share. */
export const DIRECT_APART = "direct https, tunnel's CPU";

/** All load comes from one address; everything else is as delivered. */
export const EDGE_CONFIG = "limits: {connectionsPerIp: off, acceptPerIp: off}\n";

/** One way to the content. */
export interface Candidate {
  readonly name: string;
  readonly goal: Goal;
  /** Whose processor time and memory count, by what they are called. */
  readonly processes: Readonly<Record<string, number>>;
  readonly isTunl: boolean;
}

/** nginx as origin and, with openssl, as its own https server on either processor. */
export async function startDirect(
  options: Omit<NginxOptions, "name" | "prefix">,
  layout: Layout,
  withUpload: boolean,
  scope: AsyncDisposableStack,
): Promise<{ originUrl: string; candidates: Candidate[] }> {
  const origin = scope.use(
    await startNginx({ ...options, prefix: layout.load, name: "origin" }, withUpload),
  );
  const candidates = [
    direct(DIRECT_HTTP, origin, { scheme: "http", port: origin.httpPort, caPath: undefined }),
  ];
  const originUrl = `http://127.0.0.1:${origin.httpPort}`;
  if (origin.https === undefined) return { originUrl, candidates };
  candidates.push(direct(DIRECT, origin, { scheme: "https", ...origin.https }));
  const apart = scope.use(
    await startNginx({ ...options, prefix: layout.edge, name: "apart" }, withUpload),
  );
  if (apart.https !== undefined)
    candidates.push(direct(DIRECT_APART, apart, { scheme: "https", ...apart.https }));
  return { originUrl, candidates };
}

/** Edge and connector of one executable before that origin. */
export async function startTunl(
  name: string,
  executable: string,
  home: string,
  originUrl: string,
  layout: Layout,
  scope: AsyncDisposableStack,
): Promise<Candidate> {
  const edge = scope.use(
    await startEdge({
      executable,
      home: join(home, "edge"),
      port: 0,
      config: EDGE_CONFIG,
      prefix: layout.edge,
    }),
  );
  const connector = scope.use(
    await startConnector({
      executable,
      home: join(home, "connector"),
      target: originUrl,
      joinLine: await edge.invite(),
      label: "bench",
      prefix: layout.connector,
    }),
  );
  return {
    name,
    goal: {
      scheme: "https",
      host: connector.url.hostname,
      port: Number(connector.url.port),
      caPath: edge.caPath,
    },
    processes: { edge: edge.program.pid, connector: connector.program.pid },
    isTunl: true,
  };
}

function direct(name: string, { program }: Nginx, goal: Omit<Goal, "host">): Candidate {
  return {
    name,
    goal: { ...goal, host: NGINX_HOST },
    processes: { nginx: program.pid },
    isTunl: false,
  };
}
