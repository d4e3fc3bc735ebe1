// This file is short request bodies through the whole tunnel, each followed by somebody else: no byte crosses (S-10).
import { describe, expect, test } from "bun:test";
import { eventually } from "../binary/program.ts";
import { IS_SLOW } from "../binary/tunl.ts";
import { Random } from "../http1/support.ts";
import { type Peer, RawOrigin, visit } from "./peer.ts";
import { CAN_RUN, Tunnel } from "./rig.ts";
import { Visitor } from "./visitor.ts";

const ROUNDS = IS_SLOW ? 1_000 : 60;
/** What a body holds so that a server that takes it for a request is found out. */
const LURE = "GET /lure HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

/** How a visitor breaks off. `answered`: the origin has said all it will, and the rest of the body never comes. */
const WAYS = ["fin", "reset", "answered"] as const;

describe.skipIf(!CAN_RUN)("short request bodies (S-10)", () => {
  test(
    `cross to nobody in ${ROUNDS} rounds`,
    async () => {
      const random = new Random("short bodies");
      // It keeps its connections, and answers what asks for it without waiting for a body.
      await using origin = await RawOrigin.start({}, (peer) =>
        peer.onHead((head) => {
          const target = head.split(" ")[1] ?? "";
          if (/^\/(whole|answered)\//.test(target)) peer.send(answerOf(target));
        }),
      );
      await using tunnel = await Tunnel.start({ target: `${origin.port}` });
      const { edge, host } = tunnel;
      let other = await Visitor.open(edge, host);
      let crossings = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const way = random.pick(WAYS);
        using visitor = await visit(edge, host);
        visitor.send(shortRequest(`/${way}/${round}`, `${host}:${edge.port}`, random));
        const peer = await theOne(origin, `/${way}/${round}`);
        if (way === "answered") await visitor.until(`/${way}/${round}`);
        else visitor[way]();
        // At once, so that it meets whatever state the connection is in.
        other.send(`GET /whole/${round} HTTP/1.1\r\nHost: ${other.authority}\r\n\r\n`);
        const reply = await other.answer();
        expect([reply.status, reply.body]).toEqual([200, `/whole/${round}`]);
        if (!reply.isKept) {
          other[Symbol.dispose]();
          other = await Visitor.open(edge, host);
        }
        if (way === "answered") visitor.fin();
        await peer.ended();
        if (!isLast(peer, `/${way}/${round}`)) crossings += 1;
      }
      other[Symbol.dispose]();
      expect(crossings).toBe(0);
      // Connections were used again, or there was nothing to cross to.
      expect(origin.peers.length).toBeLessThan(2 * ROUNDS);
    },
    IS_SLOW ? 120_000 : 30_000,
  );
});

function answerOf(target: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`;
}

/** A request and a part of its body. */
function shortRequest(target: string, authority: string, random: Random): string {
  const part = LURE.repeat(4).slice(0, 1 + random.below(3 * LURE.length));
  const head = `POST ${target} HTTP/1.1\r\nHost: ${authority}\r\n`;
  if (random.below(2) === 0) return `${head}Content-Length: 1000\r\n\r\n${part}`;
  const chunk = `${part.length.toString(16)}\r\n${part}\r\n`;
  // The second one breaks off in its size, in its data, or where the last chunk should be.
  const next = random.pick(["", "3e", "3e8\r\n", `3e8\r\n${LURE}`]);
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}${next}`;
}

/** The connection of the origin on which a request arrives. */
function theOne(origin: RawOrigin, target: string): Promise<Peer> {
  return eventually(
    () => origin.peers.find(({ text }) => text.includes(`POST ${target} HTTP`)),
    `${target} at the origin`,
  );
}

/** True if nothing but a part of the body came behind the head of a request: neither its end nor another request. */
function isLast({ text }: Peer, target: string): boolean {
  const start = text.indexOf(`POST ${target} HTTP`);
  const body = text.slice(text.indexOf("\r\n\r\n", start) + 4);
  return !/ \/(whole|fin|reset|answered)\/|\r\n0\r\n/.test(body) && body.length < 1_000;
}
