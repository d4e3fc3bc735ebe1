import { describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { isInstalled, run, SEARCH_PATH } from "../binary/program.ts";
import { IS_SLOW } from "../binary/tunl.ts";
import { HAS_NGINX, Nginx } from "./nginx.ts";
import { App, CAN_RUN, Tunnel } from "./rig.ts";

const HAS_WRK = isInstalled("wrk");
const CONNECTIONS = 64;
const SECONDS = IS_SLOW ? 60 : 5;

const SCRIPT = fileURLToPath(new URL("programs/wrk.lua", import.meta.url));

/** Runs wrk, which checks no certificate. @returns Its report. */
async function wrk(tunnel: Tunnel, path: string): Promise<string> {
  const { code, stdout, stderr } = await run(
    [
      "wrk",
      "-t",
      "2",
      "-c",
      String(CONNECTIONS),
      "-d",
      `${SECONDS}s`,
      "--latency",
      "-s",
      SCRIPT,
      tunnel.url(path),
    ],
    { environment: { PATH: SEARCH_PATH }, deadlineMs: (SECONDS + 20) * 1_000 },
  );
  if (code !== 0) throw new Error(`wrk ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

describe.skipIf(!CAN_RUN || !HAS_WRK)("load", () => {
  test(
    `${CONNECTIONS} connections for ${SECONDS} s: every request is answered with 200`,
    async () => {
      await using origin = HAS_NGINX ? await Nginx.start() : await App.start();
      await using tunnel = await Tunnel.start({ target: String(origin.port) });
      const report = await wrk(tunnel, "/");
      const requests = Number(/(\d+) requests in/.exec(report)?.[1]);
      console.log(
        `${requests} requests in ${SECONDS} s; ${/Latency .*/.exec(report)?.[0]}; ${/99% .*/.exec(report)?.[0]}`,
      );
      expect(requests).toBeGreaterThan(CONNECTIONS * SECONDS);
      // wrk prints these lines only where there is something to tell.
      expect(report).not.toContain("Socket errors");
      expect(report).not.toContain("Non-2xx");
      // And nothing is left over: the tunnel serves on, and neither process complained.
      expect((await tunnel.get("/")).status).toBe(200);
      expect(tunnel.edge.process.output).not.toMatch(/"level":"(?:error|warn)"/);
      expect(tunnel.connector.output).not.toMatch(/"level":"(?:error|warn)"/);
    },
    (SECONDS + 30) * 1_000,
  );
});
