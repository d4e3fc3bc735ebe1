// This file is how connections end through the tunnel: FIN, RST and half-close pass as they are (http.md §5.3, §9, §10).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { Home } from "../binary/tunl.ts";
import { TestCa } from "../connector/certificates.ts";
import { corpus } from "../http1/support.ts";
import { expectNothingLeft } from "./leftovers.ts";
import { type Peer, RawOrigin, type RawOriginSetup, visit } from "./peer.ts";
import { CAN_RUN, TestEdge, Tunnel } from "./rig.ts";

const TRANSPORTS = ["TCP", "TLS", "a socket file"] as const;

const UPGRADE = "GET /raw HTTP/1.1\r\nHost: HOST\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n";
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n";

/** Bytes of every kind, and what fuzzers of others found: nothing of it means anything to tunl behind a 101. */
const STRANGE =
  Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join("") +
  ["fuzz-gofuzz-http1.jsonl", "fuzz-h2o-http1.jsonl"]
    .flatMap((name) => corpus<{ input: string }>(name) ?? [])
    .map(({ input }) => Buffer.from(input, "base64").toString("latin1"))
    .join("");

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

describe.skipIf(!CAN_RUN)("endings", () => {
  let files: Home;
  let ca: TestCa;

  beforeAll(async () => {
    files = new Home();
    ca = await TestCa.make();
    writeFileSync(join(files.path, "ca.pem"), ca.cert);
  });

  afterAll(() => files?.[Symbol.dispose]());

  describe.each(TRANSPORTS)("origin on %s", (transport) => {
    let edge: TestEdge;
    let origin: RawOrigin;
    let tunnel: Tunnel;
    let authority: string;
    const visitors: Peer[] = [];

    beforeAll(async () => {
      edge = await TestEdge.start();
      const { setup, target, flags } = await plan();
      origin = await RawOrigin.start(setup);
      tunnel = await Tunnel.start({
        target: target(origin),
        name: `ends-${TRANSPORTS.indexOf(transport)}`,
        flags,
        edge,
      });
      authority = `${tunnel.host}:${edge.port}`;
    });

    afterAll(async () => {
      // A visitor may keep his half open behind the end of the other one for as long as he likes.
      for (const peer of [...visitors, ...(origin?.peers ?? [])]) peer[Symbol.dispose]();
      if (tunnel !== undefined) await expectNothingLeft(edge.home, tunnel.home);
      await tunnel?.[Symbol.asyncDispose]();
      await origin?.[Symbol.asyncDispose]();
      await edge?.[Symbol.asyncDispose]();
    });

    interface Plan {
      readonly setup: RawOriginSetup;
      readonly target: (origin: RawOrigin) => string;
      readonly flags: readonly string[];
    }

    async function plan(): Promise<Plan> {
      if (transport === "TCP") return { setup: {}, target: ({ port }) => `${port}`, flags: [] };
      if (transport === "TLS") {
        const flags = ["--ca", join(files.path, "ca.pem")];
        const setup = await ca.leaf(["localhost"]);
        return { setup, target: ({ port }) => `https://localhost:${port}`, flags };
      }
      const path = join(files.path, "raw.sock");
      return { setup: { path }, target: () => `unix:${path}`, flags: [] };
    }

    /** An RST to the origin. A socket file has none: there the connection ends, in the middle of its message. */
    async function expectReset(peer: Peer): Promise<void> {
      if (transport === "a socket file") await peer.ended();
      else await peer.untilReset();
    }

    async function ask(head: string): Promise<[visitor: Peer, origin: Peer]> {
      const visitor = await visit(edge, tunnel.host);
      visitors.push(visitor);
      visitor.send(head.replace("HOST", authority));
      const peer = await origin.accepted();
      await peer.until("\r\n\r\n");
      return [visitor, peer];
    }

    async function upgraded(): Promise<[visitor: Peer, origin: Peer]> {
      const [visitor, peer] = await ask(UPGRADE);
      peer.send(SWITCHED);
      await visitor.until("\r\n\r\n");
      visitor.send("up");
      await peer.until("\r\n\r\nup");
      peer.send("down");
      await visitor.until("\r\n\r\ndown");
      return [visitor, peer];
    }

    describe("upgraded", () => {
      test("the visitor ends first: the origin reads the end and goes on sending", async () => {
        const [visitor, peer] = await upgraded();
        visitor.fin(" and away");
        await peer.until("up and away");
        expect(await peer.ended()).toBe("end");
        peer.send(" below");
        await visitor.until("down below");
        expect(visitor.ending).toBeUndefined();
        peer.fin(" the sea");
        await visitor.until("down below the sea");
        expect(await visitor.ended()).toBe("end");
        await visitor.closed();
        await peer.closed();
        expect([visitor.ending, peer.ending]).toEqual(["end", "end"]);
      });

      test("the origin ends first: the visitor reads the end and goes on sending", async () => {
        const [visitor, peer] = await upgraded();
        peer.fin(" below");
        await visitor.until("down below");
        expect(await visitor.ended()).toBe("end");
        visitor.send(" and");
        await peer.until("up and");
        expect(peer.ending).toBeUndefined();
        visitor.fin(" away");
        await peer.until("up and away");
        expect(await peer.ended()).toBe("end");
        await visitor.closed();
        await peer.closed();
        expect([visitor.ending, peer.ending]).toEqual(["end", "end"]);
      });

      test("the visitor resets", async () => {
        const [visitor, peer] = await upgraded();
        visitor.reset();
        await expectReset(peer);
      });

      test("the origin resets", async () => {
        const [visitor, peer] = await upgraded();
        peer.reset();
        // The end of a socket file looks the same with and without an error.
        expect(await visitor.ended()).toBe(transport === "a socket file" ? "end" : "reset");
      });

      test("the visitor ends, then resets", async () => {
        const [visitor, peer] = await upgraded();
        visitor.fin();
        expect(await peer.ended()).toBe("end");
        visitor.reset();
        // Behind its end a socket file tells the rest to whoever writes.
        if (transport === "a socket file") await writing(peer, () => peer.untilReset());
        else await peer.untilReset();
      });

      test("the origin ends, then resets", async () => {
        const [visitor, peer] = await upgraded();
        peer.fin();
        expect(await visitor.ended()).toBe("end");
        peer.reset();
        if (transport === "a socket file") await writing(visitor, () => visitor.untilReset());
        else await visitor.untilReset();
      });
    });

    describe("upgraded, with more on the way than fits", () => {
      const MANY = "0123456789abcdef".repeat(1 << 18);

      test("what was sent before an end arrives before it", async () => {
        const [visitor, peer] = await upgraded();
        visitor.socket.pause();
        peer.socket.pause();
        visitor.fin(MANY);
        peer.fin(MANY);
        visitor.socket.resume();
        peer.socket.resume();
        expect(await Promise.all([visitor.ended(), peer.ended()])).toEqual(["end", "end"]);
        expect(visitor.text.endsWith(`\r\n\r\ndown${MANY}`)).toBe(true);
        expect(peer.text.endsWith(`\r\n\r\nup${MANY}`)).toBe(true);
      });

      test("every byte passes as it is, both ways (S-53)", async () => {
        const [visitor, peer] = await upgraded();
        visitor.fin(STRANGE);
        peer.fin(STRANGE);
        expect(await Promise.all([visitor.ended(), peer.ended()])).toEqual(["end", "end"]);
        expect(visitor.text.endsWith(`\r\n\r\ndown${STRANGE}`)).toBe(true);
        expect(peer.text.endsWith(`\r\n\r\nup${STRANGE}`)).toBe(true);
      });

      test("a visitor who reads nothing resets", async () => {
        const [visitor, peer] = await upgraded();
        visitor.socket.pause();
        peer.send(MANY.repeat(4));
        visitor.reset();
        await peer.untilReset();
      });

      test("an origin that reads nothing resets", async () => {
        const [visitor, peer] = await upgraded();
        peer.socket.pause();
        visitor.send(MANY.repeat(4));
        peer.reset();
        await visitor.untilReset();
      });
    });

    describe("not upgraded", () => {
      const GET = "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n";
      const OLD = "GET / HTTP/1.0\r\nHost: HOST\r\n\r\n";
      const POST = "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100\r\n\r\nshort";
      const UNKNOWN =
        "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n";

      test("a visitor who ends behind his request gets the whole answer, then an end", async () => {
        const [visitor, peer] = await ask(GET);
        visitor.fin();
        // The origin is not told: an HTTP server may take a half-closed client for one that left.
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nfirst");
        await visitor.until("first");
        expect(peer.ending).toBeUndefined();
        peer.send("whole");
        await visitor.until("firstwhole");
        expect(await visitor.ended()).toBe("end");
      });

      test.each([
        ["a length", POST],
        ["chunks", UNKNOWN],
      ])("a visitor who ends or resets inside a body of %s: no whole request", async (_, head) => {
        for (const end of ["fin", "reset"] as const) {
          const [visitor, peer] = await ask(head);
          await peer.until("short");
          visitor[end]();
          await expectReset(peer);
          expect(peer.text).not.toContain("\r\n0\r\n");
          expect(peer.text).toEndWith(head === POST ? "short" : "short\r\n");
        }
      });

      test("a visitor who resets instead of waiting is gone at the origin", async () => {
        const [visitor, peer] = await ask(GET);
        visitor.reset();
        await expectReset(peer);
      });

      test("an origin's end is the end of a body that has no other: chunks end, 1.0 reads an end", async () => {
        const [visitor, peer] = await ask(GET);
        peer.fin("HTTP/1.1 200 OK\r\n\r\nuntil close");
        await visitor.until("until close\r\n0\r\n\r\n");
        visitor[Symbol.dispose]();
        const [old, second] = await ask(OLD);
        second.fin("HTTP/1.1 200 OK\r\n\r\nuntil close");
        expect(await old.ended()).toBe("end");
        expect(old.text).toEndWith("\r\n\r\nuntil close");
      });

      test("an origin's end inside its answer is a cut: bytes, the last chunk, or the FIN are missing", async () => {
        const begun = [
          ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", GET, "\r\n\r\npart"],
          ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", OLD, "\r\n\r\npart"],
          [`${CHUNKED}4\r\npart\r\n`, GET, "\r\n\r\n4\r\npart\r\n"],
          [`${CHUNKED}4\r\npart\r\n`, OLD, "\r\n\r\npart"],
        ] as const;
        for (const [answer, head, seen] of begun) {
          for (const end of ["fin", "reset"] as const) {
            const [visitor, peer] = await ask(head);
            peer.send(answer);
            await visitor.until(seen);
            peer[end]();
            const isOldChunked = head === OLD && answer.startsWith(CHUNKED);
            // Only where nothing else tells it does the visitor need an RST; a FIN is what makes bytes arrive.
            const ending = await visitor.ended();
            if (isOldChunked) expect(ending).toBe("reset");
            expect(visitor.text).toEndWith(seen);
          }
        }
      });

      test("an origin's RST inside a body that ends with the connection is a cut", async () => {
        // A socket file cannot tell it from an end.
        if (transport === "a socket file") return;
        for (const head of [GET, OLD]) {
          const [visitor, peer] = await ask(head);
          peer.send("HTTP/1.1 200 OK\r\n\r\npart");
          await visitor.until("part");
          peer.reset();
          const ending = await visitor.ended();
          if (head === OLD) expect(ending).toBe("reset");
          else expect(visitor.text).not.toContain("\r\n0\r\n");
        }
      });

      test("an origin that ends its half early answers all the same, and gets no more of the body", async () => {
        const [visitor, peer] = await ask(POST);
        peer.fin("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
        await visitor.until("\r\n\r\nno");
        expect(visitor.text).toStartWith("HTTP/1.1 413 Too Large\r\n");
        visitor.send("x".repeat(95));
        expect(await visitor.ended()).toBe("end");
        await expectReset(peer);
        expect(peer.text).toEndWith("\r\n\r\nshort");
      });
    });
  });
});

/** Writes every few ms until something happened. */
async function writing<Value>(peer: Peer, until: () => Promise<Value>): Promise<Value> {
  const timer = setInterval(() => peer.send("x"), 5);
  try {
    return await until();
  } finally {
    clearInterval(timer);
  }
}
