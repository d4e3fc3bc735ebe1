// This file is certificates by ACME, from the edge that orders them to curl that trusts the CA alone: real Pebble, the compiled executable.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { EXTERNAL_ACCOUNT, HAS_PEBBLE, Pebble, type PebbleSetup } from "../pebble.ts";
import { Home, type Running } from "../binary/tunl.ts";
import {
  answered,
  App,
  CAN_RUN,
  curl,
  DOMAIN,
  type EdgeSetup,
  freePort,
  TestEdge,
  Tunnel,
} from "./rig.ts";

interface AcmeSetup {
  readonly pebble?: PebbleSetup;
  /** More keys of `certificates`. */
  readonly keys?: string;
  readonly edge?: EdgeSetup;
  /** False: nothing listens on the port of HTTP-01. */
  readonly hasPlain?: boolean;
}

/** A CA, and an edge at whose ports it knocks. */
class Certified implements AsyncDisposable {
  readonly pebble: Pebble;
  readonly edge: TestEdge;

  private constructor(pebble: Pebble, edge: TestEdge) {
    this.pebble = pebble;
    this.edge = edge;
  }

  static async start(setup: AcmeSetup = {}): Promise<Certified> {
    const { keys = "", hasPlain = true } = setup;
    const [httpPort, tlsPort] = [await freePort(), await freePort()];
    const pebble = await Pebble.start({ httpPort, tlsPort, ...setup.pebble });
    try {
      const edge = await TestEdge.start({
        tls: "acme",
        port: tlsPort,
        hasPlain,
        plainPort: httpPort,
        flags: ["--agree-tos", "--acme-ca", pebble.directory],
        settings: `certificates: {caFile: ${pebble.caFile}${keys}}\n`,
        ...setup.edge,
      });
      return new Certified(pebble, edge);
    } catch (error) {
      await pebble[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.edge[Symbol.asyncDispose]();
    await this.pebble[Symbol.asyncDispose]();
  }
}

/** The line that says a certificate of this name is there. */
function certified(process: Running, name: string): Promise<unknown> {
  return process.find((line) => {
    if (!line.startsWith("{")) return undefined;
    const { event, name: of, msg } = JSON.parse(line);
    const isIt = event === "certificate" && of === name && String(msg).includes("expires in");
    return isIt ? msg : undefined;
  }, `a certificate of ${name}`);
}

describe.skipIf(!CAN_RUN || !HAS_PEBBLE)("certificates by ACME", () => {
  let app: App;
  beforeAll(async () => {
    app = await App.start();
  });
  afterAll(() => app?.[Symbol.asyncDispose]());

  for (const challenge of ["tls-alpn-01", "http-01"] as const) {
    test(`a name that a connector claims is served by ${challenge}: curl trusts the CA alone`, async () => {
      await using certified_ = await Certified.start({ keys: `, challenge: ${challenge}` });
      const { edge, pebble } = certified_;
      await certified(edge.process, DOMAIN);
      await using tunnel = await Tunnel.start({ target: `${app.port}`, edge });
      const root = { ca: await pebble.rootFile(), port: edge.port };
      // The first visitor comes while the order runs, and waits.
      const first = answered(await curl(root, ["-i", tunnel.url("/bytes/3")]));
      expect([first.status, first.body]).toEqual([200, "bbb"]);
    }, 30_000);
  }
});
