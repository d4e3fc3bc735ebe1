// This file is how often an origin sees a request whose connections break: once, and what is safe to repeat at most twice (R-07; http.md §11).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { IS_SLOW } from "../binary/tunl.ts";
import { Random } from "../http1/support.ts";
import { Connector } from "./connector.ts";
import { type Direction, FaultProxy } from "./fault-proxy.ts";
import { type Peer, RawOrigin, visit } from "./peer.ts";
import { CAN_RUN, TestEdge, Tunnel } from "./rig.ts";
import { judge, type Verdict } from "./strict-reader.ts";
import { type Reply, Visitor } from "./visitor.ts";

const LINK_CUTS = IS_SLOW ? 100 : 3;
const AT_A_TIME = 10;
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LAST = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
const EARLY = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";

/** What the origin does with the second request of a connection, or with the first one of the path `/fresh`. */
const STEPS = {
  "ends unheard": (peer: Peer) => peer.fin(),
  "resets unheard": (peer: Peer) => peer.reset(),
  "ends behind a byte": (peer: Peer) => peer.fin("H"),
  "ends behind an interim answer": (peer: Peer) => peer.fin(EARLY),
} as const satisfies Readonly<Record<string, (peer: Peer) => void>>;

const REQUESTS = [
  { method: "GET", body: "", isRepeatable: true },
  { method: "HEAD", body: "", isRepeatable: true },
  { method: "OPTIONS", body: "", isRepeatable: true },
  { method: "GET", body: "body", isRepeatable: false },
  { method: "OPTIONS", body: "body", isRepeatable: false },
  { method: "POST", body: "body", isRepeatable: false },
  { method: "POST", body: "", isRepeatable: false },
  { method: "PUT", body: "body", isRepeatable: false },
  { method: "PATCH", body: "body", isRepeatable: false },
  { method: "DELETE", body: "", isRepeatable: false },
  { method: "PROPFIND", body: "", isRepeatable: false },
] as const;

/** How often a target came to an origin, on all of its connections. */
function countOf(origin: RawOrigin, target: string): number {
  const line = ` ${target} HTTP/1.1\r\n`;
  return origin.peers.reduce((sum, { text }) => sum + text.split(line).length - 1, 0);
}

describe.skipIf(!CAN_RUN)("at most once (R-07)", () => {
  let edge: TestEdge;

  beforeAll(async () => {
    edge = await TestEdge.start();
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  async function ask(host: string, method: string, target: string, body = ""): Promise<Verdict> {
    using visitor = await visit(edge, host);
    const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
    visitor.send(
      `${method} ${target} HTTP/1.1\r\nHost: ${host}:${edge.port}\r\n${length}Connection: close\r\n\r\n${body}`,
    );
    const ending = await visitor.ended();
    return judge(visitor.text, ending);
  }

  test("an origin's connection that dies: repeated only if reused, unheard, safe and without a body", async () => {
    let act: (peer: Peer) => void = () => undefined;
    await using origin = await RawOrigin.start({}, (peer) => {
      let count = 0;
      peer.onHead((head) => {
        count += 1;
        const isFresh = head.includes(" /fresh/");
        // What is repeated leaves no connection behind: each row begins with none, or with one that it made itself.
        const isRepeated = count === 1 && head.includes(" /reused/");
        if (isFresh || (count === 2 && head.includes(" /reused/"))) act(peer);
        else if (isRepeated) peer.send(head.startsWith("HEAD ") ? LAST.slice(0, -2) : LAST);
        else peer.send(OK);
      });
    });
    await using tunnel = await Tunnel.start({ target: `${origin.port}`, name: "once", edge });
    using visitor = await Visitor.open(edge, tunnel.host);
    const say = (method: string, target: string, body = ""): Promise<Reply> => {
      const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
      const head = `${method} ${target} HTTP/1.1\r\nHost: ${visitor.authority}\r\n${length}\r\n`;
      visitor.send(head + body);
      return method === "HEAD" ? visitor.head() : visitor.answer();
    };
    let number = 0;
    for (const [step, then] of Object.entries(STEPS)) {
      act = then;
      for (const { method, body, isRepeatable } of REQUESTS) {
        const name = `${method} with ${body.length} bytes, ${step}`;
        for (const path of ["/reused", "/fresh"]) {
          const target = `${path}/${(number += 1)}`;
          // A connection that was used once, a moment ago: even what must not be repeated takes it.
          if (path === "/reused") expect((await say("GET", `/first/${number}`)).status).toBe(200);
          const { status, error = "" } = await say(method, target, body);
          const isRepeated = isRepeatable && step.endsWith("unheard") && path === "/reused";
          expect([name, path, status, error, countOf(origin, target)]).toEqual(
            isRepeated ? [name, path, 200, "", 2] : [name, path, 502, "ORIGIN_CLOSED", 1],
          );
        }
      }
    }
    expect(number).toBe(2 * REQUESTS.length * Object.keys(STEPS).length);
  });

  test(
    `a link that is cut ${LINK_CUTS} times, anywhere in ${AT_A_TIME} exchanges`,
    async () => {
      const random = new Random("at most once");
      await using origin = await RawOrigin.start({}, (peer) => {
        // Answers what is whole: the body of a POST here ends in a full stop.
        peer.onHead((head) => {
          // On a connection that a POST had before, its body stands in front.
          if (/^(?:twelve bytes\.)?GET /.test(head)) peer.send(OK);
        });
        peer.socket.on("data", () => {
          if (peer.text.endsWith(".")) peer.send(OK);
        });
      });
      await using proxy = await FaultProxy.start(edge.port);
      await using connector = new Connector("once-link", origin.port);
      const line = await edge.invite();
      await connector.start(line.replace(`:${edge.port}/`, `:${proxy.port}/`));
      const counts = { whole: 0, error: 0, never: 0, once: 0, twice: 0 };
      for (let cut = 0; cut < LINK_CUTS; cut++) {
        const direction: Direction = random.pick(["toEdge", "toConnector"]);
        // About what the exchanges take: heads of 400 bytes one way, small answers the other.
        const bytes = random.below(AT_A_TIME * (direction === "toEdge" ? 150 : 500));
        void proxy.failAfter(bytes, direction, random.pick(["rst", "fin"]));
        const all = Array.from({ length: AT_A_TIME }, async (_, index) => {
          const method = index % 2 === 0 ? "GET" : "POST";
          const target = `/${method}/${cut}/${index}`;
          const body = method === "GET" ? "" : "twelve bytes.";
          return { method, target, verdict: await ask(connector.host, method, target, body) };
        });
        for (const { method, target, verdict } of await Promise.all(all)) {
          const isWhole = verdict.kind === "whole" && verdict.status === 200;
          const count = countOf(origin, target);
          // An answer to a request that never came would be somebody else's.
          expect([target, count <= (method === "GET" ? 2 : 1), !isWhole || count > 0]).toEqual([
            target,
            true,
            true,
          ]);
          counts[isWhole ? "whole" : "error"] += 1;
          counts[count === 0 ? "never" : count === 1 ? "once" : "twice"] += 1;
        }
        proxy.failNow("rst");
        connector.kill();
        await connector.start();
      }
      console.log(`at most once: ${JSON.stringify(counts)}`);
      expect(counts.whole + counts.error).toBe(LINK_CUTS * AT_A_TIME);
    },
    IS_SLOW ? 180_000 : 30_000,
  );
});
