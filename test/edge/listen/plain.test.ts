import { describe, expect, test } from "bun:test";
import { redirectToHttps } from "../../../src/edge/listen/plain.ts";
import type { VisitorPeer } from "../../../src/edge/request.ts";
import { get, PEER, request, type RawVisitor, Rig } from "./rig.ts";

const PLAIN: VisitorPeer = {
  ...PEER,
  scheme: "http",
  tls: undefined,
  covers: () => true,
  publicPorts: [80],
};

const start = (httpsPort = 443): Promise<Rig> =>
  new Rig(
    redirectToHttps({ isServed: (host) => host === "app.example.com", httpsPort }),
    {},
    PLAIN,
  ).start();

const answerTo = async (visitor: RawVisitor, bytes: string): Promise<string> => {
  const before = visitor.text.length;
  visitor.send(bytes);
  await visitor.until((text) => text.slice(before).includes("\r\n\r\n"), "a head");
  return visitor.text.slice(before);
};

describe("port 80", () => {
  test("sends a served host to https with the same target", async () => {
    await using rig = await start();
    const visitor = await rig.connect();
    for (const target of ["/", "/a%2Fb?x=1&y=%zz", "//evil.example.net/"]) {
      const head = await answerTo(visitor, get(target));
      expect(head).toStartWith("HTTP/1.1 308 Permanent Redirect\r\n");
      expect(head).toContain(`\r\nLocation: https://app.example.com${target}\r\n`);
      expect(head).toContain("Content-Length: 0\r\n");
    }
    expect(rig.visitors.count).toBe(1);
  });

  test("canonical host and public port make the location, whatever the visitor wrote", async () => {
    await using rig = await start(8443);
    const visitor = await rig.connect();
    const head = await answerTo(
      visitor,
      "GET http://APP.example.com.:80/x HTTP/1.1\r\nHost: App.Example.com.:80\r\n\r\n",
    );
    expect(head).toContain("\r\nLocation: https://app.example.com:8443/x\r\n");
  });

  test("any other host is 404, and so is the server as a whole", async () => {
    await using rig = await start();
    const visitor = await rig.connect();
    expect(
      await answerTo(visitor, "GET / HTTP/1.1\r\nHost: other.example.com\r\n\r\n"),
    ).toStartWith("HTTP/1.1 404 ");
    expect(await answerTo(visitor, request("OPTIONS", "*"))).toStartWith("HTTP/1.1 404 ");
    expect(visitor.text).not.toContain("Location");
  });

  test("a malformed request is 400 and the connection closes", async () => {
    await using rig = await start();
    const visitor = await rig.connect();
    visitor.send("GET /\n\n");
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toStartWith("HTTP/1.1 400 ");
  });

  test("h2c is neither upgraded to nor understood (S-18)", async () => {
    await using rig = await start();
    const visitor = await rig.connect();
    const head = await answerTo(
      visitor,
      get(
        "/",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAA",
      ),
    );
    expect(head).toStartWith("HTTP/1.1 308 ");
    const prior = await rig.connect();
    prior.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await prior.ended();
    expect(prior.text).toStartWith("HTTP/1.1 400 ");
  });

  test("a body is not read, and no 100 invites it", async () => {
    await using rig = await start();
    const visitor = await rig.connect();
    visitor.send(request("POST", "/", "Content-Length: 100", "Expect: 100-continue"));
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toStartWith("HTTP/1.1 308 ");
  });
});
