// An origin that points back at the edge: one round, then 508. S-28.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import { eventually } from "../binary/program.ts";
import { within } from "../within.ts";
import { CAN_RUN, DOMAIN, TestEdge, Tunnel, valuesOf } from "./rig.ts";

describe.skipIf(!CAN_RUN)("loops (S-28)", () => {
  let edge: TestEdge;

  beforeAll(async () => {
    edge = await TestEdge.start({ settings: "log: {access: on}\n" });
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  /** Requests that the edge sent into a tunnel, by the log. */
  const forwarded = (host: string): string[] =>
    edge.process.output
      .split("\n")
      .filter((line) => line.includes('"event":"request"') && line.includes(`"host":"${host}"`));

  test("an origin that is the tunnel's own name is asked once", async () => {
    const target = `https://round.${DOMAIN}:${edge.port}`;
    await using tunnel = await Tunnel.start({
      target,
      name: "round",
      flags: ["--ca", edge.ca],
      edge,
    });
    const { status, fields } = await tunnel.get("/");
    expect(status).toBe(508);
    // The answer of the inner request came as an origin's: it says nothing in tunl's name.
    expect(valuesOf(fields, "tunl-error")).toEqual([]);
    const lines = await eventually(
      () => (forwarded(tunnel.host).length > 0 ? forwarded(tunnel.host) : undefined),
      "the line of the request",
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('"status":508');
  });

  test("two tunnels that point at each other turn once through each", async () => {
    const other = `https://second.${DOMAIN}:${edge.port}`;
    await using first = await Tunnel.start({
      target: other,
      name: "first",
      flags: ["--ca", edge.ca, "--host-header", "origin"],
      edge,
    });
    await using second = await Tunnel.start({
      target: `https://first.${DOMAIN}:${edge.port}`,
      name: "second",
      flags: ["--ca", edge.ca, "--host-header", "origin"],
      edge,
    });
    expect((await first.get("/")).status).toBe(508);
    await eventually(
      () => (forwarded(first.host).length > 0 ? true : undefined),
      "the line of the request",
    );
    // The mark is that of the edge, so the second tunnel is not even entered.
    expect([forwarded(first.host).length, forwarded(second.host).length]).toEqual([1, 0]);
  });

  test("a proxy between that hides nothing ends it, too; marks of others go on", async () => {
    // Takes the requests of the connector and repeats them to the edge, as a proxy at the origin's would.
    const proxy = createServer((socket) => {
      const behind = connectTls({
        host: "127.0.0.1",
        port: edge.port,
        servername: `proxied.${DOMAIN}`,
        rejectUnauthorized: false,
        ALPNProtocols: ["http/1.1"],
      });
      for (const end of [socket, behind]) end.on("error", () => end.destroy());
      socket.pipe(behind).pipe(socket);
    });
    proxy.listen(0, "127.0.0.1");
    await within(once(proxy, "listening"), "the proxy");
    const address = proxy.address();
    if (address === null || typeof address === "string") throw new Error("A proxy has a port");
    try {
      await using tunnel = await Tunnel.start({
        target: String(address.port),
        name: "proxied",
        edge,
      });
      const { status } = await tunnel.get("/", ["-H", "CDN-Loop: other.example"]);
      expect(status).toBe(508);
      await eventually(
        () => (forwarded(tunnel.host).length > 0 ? true : undefined),
        "the line of the request",
      );
      expect(forwarded(tunnel.host)).toHaveLength(1);
    } finally {
      proxy.close();
    }
  });
});
