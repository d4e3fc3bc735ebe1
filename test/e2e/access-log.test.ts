// This file is the access log of both ends: the fields of a request, the same id everywhere, and silence where it is off. product.md §8.
import { describe, expect, test } from "bun:test";
import {
  answered,
  App,
  CAN_RUN,
  curl,
  DOMAIN,
  type Echo,
  echoed,
  TestEdge,
  Tunnel,
  valuesOf,
} from "./rig.ts";

const FIELDS = "host method path status ms bytesIn bytesOut visitor requestId";

describe.skipIf(!CAN_RUN)("access log", () => {
  test("one request is one line at each end, with the same id", async () => {
    await using app = await App.start();
    await using edge = await TestEdge.start({ settings: "log: {access: on}\n" });
    await using tunnel = await Tunnel.start({
      target: String(app.port),
      edge,
      flags: ["--access-log", "on"],
    });
    const { status, body } = await tunnel.get("/echo/a?token=hidden", ["-d", "twelve bytes"]);
    expect(status).toBe(200);
    const echo: Echo = JSON.parse(body);
    const [id = ""] = echoed(echo, "x-tunl-request-id");
    const [inside, outside] = await Promise.all([
      tunnel.connector.event("request"),
      edge.process.event("request"),
    ]);
    // Which rule and which service is the connector's to know.
    const service = { service: `http://localhost:${app.port}`, rule: 0 };
    for (const [line, more] of [[inside, service] as const, [outside, {}] as const]) {
      const { time, level, event, ms, tunnel: name, ...rest } = line;
      expect(Object.keys(line).slice(3)).toEqual([
        ...FIELDS.split(" "),
        ...Object.keys(more),
        "tunnel",
      ]);
      expect([level, event, typeof ms, typeof name]).toEqual([
        "info",
        "request",
        "number",
        "string",
      ]);
      expect(String(time)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(rest).toEqual({
        host: tunnel.host,
        method: "POST",
        path: "/echo/a",
        status: 200,
        bytesIn: 12,
        bytesOut: body.length,
        visitor: "127.0.0.1",
        requestId: id,
        ...more,
      });
    }
    expect(inside["tunnel"]).toBe(outside["tunnel"]);
  });

  test("an answer of tunl has its code, at the ends that saw the request", async () => {
    await using edge = await TestEdge.start({ settings: "log: {access: on}\n" });
    const none = await curl(edge, ["-i", `https://none.${DOMAIN}:${edge.port}/x?token=hidden`]);
    const line = await edge.process.event("request");
    expect(line).toMatchObject({
      host: `none.${DOMAIN}`,
      path: "/x",
      status: 404,
      code: "NO_ROUTE",
    });
    expect(none.stdout).toContain(String(line["requestId"]));
    expect(line["bytesOut"]).toBe(answered(none).body.length);
    expect("tunnel" in line).toBe(false);
  });

  test("is off without a terminal, unless it is asked for", async () => {
    await using tunnel = await Tunnel.start({ target: "http_status:204" });
    const { status, fields } = await tunnel.get("/");
    expect([status, valuesOf(fields, "tunl-error")]).toEqual([204, []]);
    for (const process of [tunnel.connector, tunnel.edge.process]) {
      process.signal("SIGTERM");
      const { stderr } = await process.ended;
      expect([stderr.includes('"stopped"'), stderr.includes('"request"')]).toEqual([true, false]);
    }
  });
});
