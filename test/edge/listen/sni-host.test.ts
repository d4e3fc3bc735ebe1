// Which Host is served on a connection that was opened for another name: what its certificate covers, and nothing else. S-23.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { Deadlines } from "../../../src/deadlines.ts";
import type { Certificate } from "../../../src/edge/certificates/certificates.ts";
import { Visitors } from "../../../src/edge/listen/visitors.ts";
import { Logger } from "../../../src/log.ts";
import { within } from "../../within.ts";
import { type Door, makeAuthority, openDoor, tls } from "./door.ts";
import { PEER, Pipeline, respond } from "./rig.ts";

/** Names of each certificate; the later one wins a name that two have. */
const CERTIFICATES = {
  wild: ["example.com", "*.example.com"],
  app: ["app.example.com"],
  shop: ["shop.customer.test", "example.org"],
} as const;

/** Server name and the certificate it is shown. */
const NAMES: [string, keyof typeof CERTIFICATES][] = [
  ["example.com", "wild"],
  ["other.example.com", "wild"],
  ["app.example.com", "app"],
  ["shop.customer.test", "shop"],
];

const HOSTS = [
  "example.com",
  "other.example.com",
  "app.example.com",
  "APP.example.com.",
  "a.b.example.com",
  "shop.customer.test",
  "SHOP.customer.test:443",
  "example.org",
  "www.example.org",
  "stranger.test",
];

/** What a certificate covers, said once more: a name itself, or one label in place of the star. */
function isCovered(host: string, names: readonly string[]): boolean {
  const bare = host.toLowerCase().replace(/:443$/, "").replace(/\.$/, "");
  const [, ...parent] = bare.split(".");
  return names.includes(bare) || names.includes(`*.${parent.join(".")}`);
}

describe("server name and Host (S-23)", () => {
  let door: Door;
  let ca: string;
  let deadlines: Deadlines;
  let visitors: Visitors;
  const pipeline = new Pipeline(({ visit }) => respond(visit.reply, visit.request.host));

  beforeAll(async () => {
    const authority = await makeAuthority();
    ca = authority.root.cert;
    const certificates: Certificate[] = [];
    for (const [id, names] of Object.entries(CERTIFICATES))
      certificates.push(await authority.leaf(id, ...names));
    deadlines = new Deadlines((error) => {
      throw error;
    });
    const log = new Logger(() => undefined, "error");
    visitors = new Visitors({ serve: pipeline.serve, deadlines, log });
    door = await openDoor({
      authority,
      certificates,
      onVisitor: (socket: TLSSocket, { tls: secured, remote, covers }) => {
        visitors.accept(socket, { ...PEER, tls: secured, remote, covers, publicPorts: [443] });
      },
    });
  });

  afterAll(async () => {
    visitors.abort();
    await door[Symbol.asyncDispose]();
    deadlines[Symbol.dispose]();
  });

  /** One request on a connection of its own; the status and the body. */
  async function ask(
    servername: string,
    host: string,
    more: ConnectionOptions = {},
  ): Promise<string> {
    const { socket, ended } = tls(door.front.port, { ca, servername, ...more });
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const { text, error } = await ended;
    if (error !== undefined) throw new Error(`The connection for ${servername} failed: ${error}`);
    const error421 = /^tunl-error: (\S+)\r$/im.exec(text)?.[1];
    return error421 ?? text.slice(text.indexOf("\r\n\r\n") + 4);
  }

  test.each(NAMES)(
    "a connection for %s serves what its certificate covers, by no spelling more [GHSA-9cr8]",
    async (servername, certificate) => {
      const seen = await Promise.all(HOSTS.map((host) => ask(servername, host)));
      const expected = HOSTS.map((host) =>
        isCovered(host, CERTIFICATES[certificate])
          ? host.toLowerCase().replace(/:443$/, "").replace(/\.$/, "")
          : "WRONG_CONNECTION",
      );
      expect(seen).toEqual(expected);
      expect(new Set(seen).size).toBeGreaterThan(1);
    },
  );

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a %s ticket of one name opens no other: no session is resumed for it, and its Host stays refused [CVE-2025-23419, CVE-2025-23048]",
    async (maxVersion) => {
      const { promise, resolve } = Promise.withResolvers<Buffer>();
      const first = tls(door.front.port, { ca, servername: "shop.customer.test", maxVersion });
      first.socket.on("session", resolve);
      first.socket.write("GET / HTTP/1.1\r\nHost: shop.customer.test\r\nConnection: close\r\n\r\n");
      await first.ended;
      const session = await within(promise, "a session ticket");
      for (const [servername, host, expected] of [
        ["shop.customer.test", "shop.customer.test", "shop.customer.test"],
        ["app.example.com", "app.example.com", "app.example.com"],
        ["app.example.com", "shop.customer.test", "WRONG_CONNECTION"],
        ["example.com", "shop.customer.test", "WRONG_CONNECTION"],
        ["shop.customer.test", "app.example.com", "WRONG_CONNECTION"],
      ] as const) {
        const stolen = tls(door.front.port, { ca, servername, maxVersion, session });
        let isReused: boolean | undefined;
        stolen.socket.on("secureConnect", () => {
          isReused = stolen.socket.isSessionReused();
        });
        stolen.socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
        const { text } = await stolen.ended;
        expect([servername, host, text.includes(expected)]).toEqual([servername, host, true]);
        if (servername !== "shop.customer.test")
          expect([servername, isReused]).toEqual([servername, false]);
      }
    },
  );
});
