import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import type { Socket } from "node:net";
import { createServer as createTls, type TlsOptions, type TLSSocket } from "node:tls";

import { Deadlines } from "../../src/deadlines.ts";
import {
  alternate,
  isLocalhost,
  literalAddress,
  type Lookup,
  preferring,
} from "../../src/connector/addresses.ts";
import { dialEdge, type DialOptions } from "../../src/connector/dial.ts";
import { TunlError } from "../../src/errors.ts";
import { BlackHole, noBlackHole } from "./black-hole.ts";
import { TestCa } from "./certificates.ts";
import { deferred, drained, RawServer, received } from "./sockets.ts";
import { within } from "../within.ts";

const ca = await TestCa.make();
const leaf = await ca.leaf(["edge.test"]);

/** A TLS server fed with the raw sockets of a front door, as the edge does it. */
class Edge {
  readonly front: RawServer;
  readonly secured: TLSSocket[] = [];
  readonly #next = deferred<TLSSocket>();

  constructor(options: TlsOptions = {}) {
    const settings = { ...leaf, ALPNProtocols: ["h2", "tunl/1"], allowHalfOpen: true, ...options };
    const tls = createTls(settings, (socket) => {
      socket.on("error", () => {});
      this.secured.push(socket);
      this.#next.resolve(socket);
    });
    tls.on("tlsClientError", () => {});
    this.front = new RawServer((raw) => tls.emit("connection", raw));
  }

  accepted(): Promise<TLSSocket> {
    return within(this.#next.promise, "a TLS connection");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.front[Symbol.asyncDispose]();
  }
}

const base = {
  family: "auto",
  connectTimeoutMs: 5_000,
  tlsTimeoutMs: 5_000,
  deadlines: new Deadlines((error) => {
    throw error;
  }),
} as const;

async function refusal(options: DialOptions): Promise<TunlError> {
  try {
    const { address } = await within(dialEdge(options), "a dial");
    throw new Error(`Connected to ${address}`);
  } catch (error) {
    if (error instanceof TunlError) return error;
    throw error;
  }
}

const knows =
  (...hosts: readonly string[]): Lookup =>
  (_, done) =>
    queueMicrotask(() =>
      done(
        undefined,
        hosts.flatMap((host) => literalAddress(host) ?? []),
      ),
    );

describe("dial", () => {
  test("speaks TLS 1.3 and tunl/1 only, asks for the host's name and takes any certificate", async () => {
    await using edge = new Edge();
    await edge.front.listen({ host: "127.0.0.1" });
    const lookup = knows("127.0.0.1");
    const { socket, address } = await within(
      dialEdge({ ...base, host: "edge.example", port: edge.front.port, lookup }),
      "a dial",
    );
    const peer = await edge.accepted();
    expect(address).toBe("127.0.0.1");
    expect(socket.getProtocol()).toBe("TLSv1.3");
    expect(peer.alpnProtocol).toBe("tunl/1");
    expect((peer as TLSSocket & { servername: string }).servername).toBe("edge.example");
    // Half close in both directions, through TLS.
    socket.end("last");
    expect((await drained(peer)).bytes.toString()).toBe("last");
    peer.end("answer");
    expect((await received(socket, 6)).toString()).toBe("answer");
    socket.destroy();
  });

  test("refuses an edge that stops at TLS 1.2 or speaks another protocol", async () => {
    for (const options of [
      { maxVersion: "TLSv1.2" },
      { ALPNProtocols: ["h2", "http/1.1"] },
    ] as const) {
      await using edge = new Edge(options);
      await edge.front.listen({ host: "127.0.0.1" });
      const error = await refusal({ ...base, host: "127.0.0.1", port: edge.front.port });
      expect(error.code).toBe("EDGE_UNREACHABLE");
      expect(error.retryable).toBe(true);
      expect(error.message).toStartWith(`TLS handshake with 127.0.0.1:${edge.front.port} failed: `);
    }
  });

  test("refuses a server without ALPN", async () => {
    await using edge = new Edge({ ALPNProtocols: undefined } as TlsOptions);
    await edge.front.listen({ host: "127.0.0.1" });
    const error = await refusal({ ...base, host: "127.0.0.1", port: edge.front.port });
    expect(error.message).toContain("that server is no edge");
  });

  test("says what did not answer in time, and closes it", async () => {
    await using silent = await new RawServer().listen({ host: "127.0.0.1" });
    const error = await refusal({
      ...base,
      tlsTimeoutMs: 100,
      host: "127.0.0.1",
      port: silent.port,
    });
    expect(error.message).toBe(`TLS handshake with 127.0.0.1:${silent.port} timed out after 0.1 s`);
    await drained(await silent.accepted());
    const unanswered = await refusal({
      ...base,
      connectTimeoutMs: 100,
      host: "slow.test",
      port: 443,
      lookup: () => {},
    });
    expect(unanswered.message).toBe("Dialling slow.test:443 timed out after 0.1 s");
  });

  test("says who refused", async () => {
    const gone = await new RawServer().listen({ host: "127.0.0.1" });
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    const error = await refusal({ ...base, host: "127.0.0.1", port });
    expect(error.message).toBe(`Dialling 127.0.0.1:${port} failed: connection refused`);
    expect((error.cause as NodeJS.ErrnoException).code).toBe("ECONNREFUSED");
  });

  test("goes on to the next address at once when one refuses", async () => {
    await using edge = new Edge();
    await edge.front.listen({ host: "127.0.0.1" });
    const { port } = edge.front;
    const refused = await within(
      dialEdge({ ...base, host: "a.test", port, lookup: knows("127.0.0.2", "127.0.0.1") }),
      "a dial",
    );
    expect(refused.address).toBe("127.0.0.1");
    refused.socket.destroy();
  });

  test.skipIf(noBlackHole !== undefined)(
    "gives up an address that hangs after the connect limit",
    async () => {
      await using hole = await BlackHole.open();
      const error = await refusal({
        ...base,
        connectTimeoutMs: 100,
        host: "127.0.0.1",
        port: hole.port,
      });
      expect(error.message).toBe(`Dialling 127.0.0.1:${hole.port} timed out after 0.1 s`);
    },
  );

  test("finds localhost on either family without asking", async () => {
    for (const host of ["127.0.0.1", "::1"]) {
      await using edge = new Edge();
      await edge.front.listen({ host });
      const lookup: Lookup = () => {
        throw new Error("localhost was looked up");
      };
      const { socket, address } = await within(
        dialEdge({ ...base, host: "a.localhost", port: edge.front.port, lookup }),
        "a dial",
      );
      expect(address).toBe(host);
      socket.destroy();
    }
  });

  test("keeps to one family when told", async () => {
    await using edge = new Edge();
    await edge.front.listen({ host: "::1" });
    const { port } = edge.front;
    const lookup = knows("127.0.0.1", "::1");
    const { socket, address } = await within(
      dialEdge({ ...base, family: 6, host: "a.test", port, lookup }),
      "a dial",
    );
    expect(address).toBe("::1");
    socket.destroy();
    const error = await refusal({
      ...base,
      family: 6,
      host: "a.test",
      port,
      lookup: knows("127.0.0.1"),
    });
    expect(error.message).toBe('"a.test" has no IPv6 address');
  });

  test("uses the last good address first, and alone when the name cannot be resolved", async () => {
    await using edge = new Edge();
    await edge.front.listen({ host: "127.0.0.1" });
    const { port } = edge.front;
    const fails: Lookup = (_, done) => {
      queueMicrotask(() => done(Object.assign(new Error("no"), { code: "ENOTFOUND" }), []));
    };
    const { socket } = await within(
      dialEdge({ ...base, host: "a.test", port, lookup: fails, lastGood: "127.0.0.1" }),
      "a dial",
    );
    socket.destroy();
    const error = await refusal({ ...base, host: "a.test", port, lookup: fails });
    expect(error.message).toBe('Cannot resolve "a.test": no such name');
    expect(
      preferring(
        alternate([
          { host: "1.1.1.1", family: 4 },
          { host: "2.2.2.2", family: 4 },
        ]),
        "2.2.2.2",
      )[0]?.host,
    ).toBe("2.2.2.2");
  });

  test("is given up by a signal, before and during", async () => {
    await using silent = await new RawServer().listen({ host: "127.0.0.1" });
    const abort = new AbortController();
    const dial = refusal({ ...base, host: "127.0.0.1", port: silent.port, signal: abort.signal });
    const peer: Socket = await silent.accepted();
    await within(once(peer, "data"), "the ClientHello");
    abort.abort();
    expect((await dial).message).toContain("was given up");
    await drained(peer);
    expect(
      (await refusal({ ...base, host: "127.0.0.1", port: silent.port, signal: abort.signal }))
        .message,
    ).toContain("given up");
  });
});

describe("addresses", () => {
  test("alternates families and bounds their number", () => {
    const four = Array.from({ length: 40 }, (_, index) => ({
      host: `10.0.0.${index}`,
      family: 4 as const,
    }));
    const six = [1, 2].map((index) => ({ host: `::${index}`, family: 6 as const }));
    const order = alternate([...four, ...six]);
    expect(order.length).toBe(16);
    expect(order.slice(0, 5).map(({ host }) => host)).toEqual([
      "10.0.0.0",
      "::1",
      "10.0.0.1",
      "::2",
      "10.0.0.2",
    ]);
    expect(alternate([...six, ...four.slice(0, 1)]).map(({ family }) => family)).toEqual([6, 4, 6]);
  });

  test("tells localhost from names that only look like it", () => {
    expect(["localhost", "LOCALHOST.", "a.b.localhost"].every(isLocalhost)).toBe(true);
    expect(["localhost.example", "notlocalhost", ""].some(isLocalhost)).toBe(false);
  });

  test("takes addresses only in their one spelling", () => {
    expect(literalAddress("[::1]")).toEqual({ host: "::1", family: 6 });
    expect(literalAddress("10.0.0.1")).toEqual({ host: "10.0.0.1", family: 4 });
    for (const text of ["10.1", "010.0.0.1", "localhost", ""])
      expect(literalAddress(text)).toBeUndefined();
  });
});
