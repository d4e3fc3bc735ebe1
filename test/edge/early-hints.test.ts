// This file is interim responses and odd upgrades on their way through a whole tunnel in process: real sessions, a real visitor. http.md §3.1, §9; S-35.
import { expect, test } from "bun:test";
import type { OriginEvents, OriginExchange } from "../../src/connector/origin/index.ts";
import type { RequestHead } from "../../src/exchange/index.ts";
import { get, Rig } from "./listen/rig.ts";
import { CountingOrigin, TestEdge } from "./tunnel-rig.ts";

const PLANTED = [
  'Alt-Svc: h3=":8443"; ma=86400',
  "Set-Cookie: __Host-tunl-session=planted; Secure; Path=/",
  "Tunl-Error: NO_ROUTE",
  "X-Tunl-Request-Id: 00",
  "Link: </a>; rel=preload",
];

/** Says 103 with what only tunl may say, then answers. */
class EarlyOrigin extends CountingOrigin {
  readonly upgrades: (string | undefined)[] = [];

  override request(head: RequestHead, events: OriginEvents): OriginExchange {
    this.upgrades.push(head.upgrade);
    const lines = PLANTED.map((line) => `${line}\r\n`).join("");
    setImmediate(() => events.interim(103, Buffer.from(lines)));
    return super.request(head, events);
  }
}

test("what only tunl may say is in no interim response either (S-35)", async () => {
  await using edge = await TestEdge.start();
  await using rig = await new Rig((visit) => edge.service.serve(visit)).start();
  await edge.connect({ origin: new EarlyOrigin() });
  const visitor = await rig.connect();
  visitor.send(get("/"));
  const text = await visitor.until(/HTTP\/1\.1 200[^]*\r\n\r\n./);
  const early = text.slice(0, text.indexOf("\r\n\r\n"));
  expect(early.split("\r\n").slice(1)).toEqual(["Link: </a>; rel=preload"]);
});

test.each(["TLS/1.0", "x".repeat(100)])(
  "a request to upgrade to what no message can name is an ordinary one: %p",
  async (protocol) => {
    await using edge = await TestEdge.start();
    await using rig = await new Rig((visit) => edge.service.serve(visit)).start();
    const origin = new EarlyOrigin();
    await edge.connect({ origin });
    const visitor = await rig.connect();
    visitor.send(get("/", "Connection: upgrade", `Upgrade: ${protocol}`));
    await visitor.until(/HTTP\/1\.1 200/);
    expect(origin.upgrades).toEqual([undefined]);
  },
);
