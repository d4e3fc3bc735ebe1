// This file is calls of commands to an edge of the test, over real TLS: the answer, what it refuses, and every way to get none. http.md §5.4.
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { callEdge, type EdgeCall } from "../../src/connector/call-edge.ts";
import { TunlError } from "../../src/errors.ts";
import { type Credentials, fingerprintOf, generateKey } from "../../src/identity/index.ts";
import { SESSION_CODES } from "../../src/session/index.ts";
import { within } from "../within.ts";
import { CallDesk, HOST } from "./call-desk.ts";

const key = generateKey();

describe("callEdge", () => {
  let desk: CallDesk;

  beforeEach(async () => {
    desk = await CallDesk.listen();
    const who = { kind: "account", id: "a1", name: "account", keyId: "laptop" } as const;
    desk.keys.set(fingerprintOf(key.publicKey), who);
  });
  afterEach(() => desk[Symbol.asyncDispose]());

  function account(changes: Partial<Credentials> = {}): Credentials {
    return {
      kind: "account",
      host: HOST,
      port: desk.port,
      fingerprint: desk.fingerprint,
      key,
      keyId: "laptop",
      codeHash: undefined,
      createdAt: "",
      ...changes,
    } as Credentials;
  }

  function ask(name: string, changes: Partial<EdgeCall> = {}): ReturnType<typeof callEdge> {
    const call = { credentials: account(), name, body: { a: 1 }, label: "home", version: "0" };
    return within(callEdge({ ...call, waitMs: 5_000, ...changes }), `the call ${name}`);
  }

  async function failure(promise: Promise<unknown>): Promise<TunlError> {
    try {
      await promise;
    } catch (error) {
      if (error instanceof TunlError) return error;
      throw error;
    }
    throw new Error("It was done");
  }

  test("gives the body of the result, events in order before it, and ends its link", async () => {
    desk.answers = {
      "tunnel.list": (call) => {
        for (const name of ["a", "b"]) call.event("tunnel", { name });
        call.result("", { done: true });
      },
    };
    const told: unknown[] = [];
    const answer = await ask("tunnel.list", { onEvent: (name, body) => told.push([name, body]) });
    expect(answer).toEqual({ done: true });
    expect(told).toEqual([
      ["tunnel", { name: "a" }],
      ["tunnel", { name: "b" }],
    ]);
    expect(desk.calls).toEqual([{ name: "tunnel.list", body: { a: 1 } }]);
    const [socket] = desk.sockets;
    if (socket?.destroyed === false) await within(once(socket, "close"), "the end of the link");
  });

  test("a refusal is the edge's own code, text and hint", async () => {
    desk.answers = {
      "tunnel.create": (call) => call.result("NAME_TAKEN", { text: "It is taken", hint: "Choose" }),
      "key.add": (call) => call.result("TUNNEL_NOT_FOUND"),
      odd: (call) => call.result("no code at all\u001b[31m", {}),
    };
    expect(await failure(ask("tunnel.create"))).toMatchObject({
      code: "NAME_TAKEN",
      message: "It is taken",
      hint: "Choose",
    });
    expect(await failure(ask("key.add"))).toMatchObject({
      code: "TUNNEL_NOT_FOUND",
      message: "The edge refused key.add with TUNNEL_NOT_FOUND",
    });
    expect(await failure(ask("route.dns"))).toMatchObject({
      code: "NOT_FOUND",
      hint: "It runs another version of tunl: compare tunl version on both machines",
    });
    expect(await failure(ask("odd"))).toMatchObject({ code: "BAD_ANSWER" });
  });

  test("a key that the edge does not know", async () => {
    desk.keys.clear();
    const refused = await failure(ask("tunnel.list"));
    expect(refused).toMatchObject({ code: "KEY_REFUSED" });
    expect(refused.message).toBe("The edge does not accept the key of this account");
    expect(refused.hint).toContain("tunl login LINE --force");
    const tunnel = { kind: "tunnel", tunnel: "u", name: "my-tunnel" } as Partial<Credentials>;
    expect(await failure(ask("key.rotate", { credentials: account(tunnel) }))).toMatchObject({
      message: 'The edge does not accept the key of tunnel "my-tunnel"',
    });
    expect(desk.calls).toEqual([]);
  });

  test("another edge's key: nothing is asked, and no second dial", async () => {
    const other = fingerprintOf(generateKey().publicKey);
    const credentials = account({ fingerprint: other });
    const refused = await failure(ask("tunnel.list", { credentials, waitMs: 3_000 }));
    expect(refused).toMatchObject({ code: "EDGE_KEY_MISMATCH" });
    expect(refused.message).toContain(other);
    expect(desk.sockets).toHaveLength(1);
    expect(desk.calls).toEqual([]);
  });

  test("an edge that is away is dialled for a while; one that comes back meanwhile is found", async () => {
    const { port } = desk;
    await desk[Symbol.asyncDispose]();
    const credentials = account({ port, fingerprint: desk.fingerprint });
    const away = await failure(ask("tunnel.list", { credentials, waitMs: 50 }));
    expect(away).toMatchObject({ code: "EDGE_UNREACHABLE" });
    expect(away.message).toContain("connection refused");
    const asked = ask("tunnel.list", { credentials, waitMs: 10_000 });
    const again = await CallDesk.listen(port);
    // Another key is another edge: found, and told from the one that was meant.
    expect(await failure(asked)).toMatchObject({ code: "EDGE_KEY_MISMATCH" });
    await again[Symbol.asyncDispose]();
  });

  test("an overloaded edge is asked again", async () => {
    desk.refusal = { code: "RETRY_LATER", times: 2 };
    desk.answers = { "tunnel.list": (call) => call.result("") };
    expect(await ask("tunnel.list", { waitMs: 10_000 })).toEqual({});
    expect(desk.sockets).toHaveLength(3);
  });

  test("silence ends at the deadline, with advice for a call that may have been carried out", async () => {
    desk.answers = { "tunnel.create": () => undefined };
    const silent = await failure(ask("tunnel.create", { timeoutMs: 200 }));
    expect(silent).toMatchObject({
      code: "EDGE_UNREACHABLE",
      message: "The edge did not answer tunnel.create within 0.2 s",
      hint: "It may have been carried out all the same: run the same command again",
    });
  });

  test("a link that breaks, a session that ends and a revoked key end the call at once", async () => {
    desk.answers = {
      broken: () => void desk.sockets.at(-1)?.destroy(),
      stopped: () => desk.sessions.at(-1)?.close(SESSION_CODES.SHUTDOWN.code, "The edge stopped"),
      revoked: () => desk.sessions.at(-1)?.close(SESSION_CODES.REVOKED.code, "Revoked"),
    };
    const broken = await failure(ask("broken"));
    expect(broken).toMatchObject({ code: "EDGE_UNREACHABLE" });
    expect(broken.message).toStartWith("The link broke before the edge answered broken: ");
    expect((await failure(ask("stopped"))).message).toEndWith("SHUTDOWN");
    expect(await failure(ask("revoked"))).toMatchObject({ code: "KEY_REFUSED" });
  });

  test("a reset behind the answer takes nothing back, and one in place of it is a link that broke", async () => {
    desk.answers = {
      done: (call) => {
        call.result("", { done: true });
        // Behind the batch that carries the answer: it leaves with this turn, however long the turn took.
        const socket = desk.sockets.at(-1);
        setImmediate(() => setImmediate(() => setTimeout(() => socket?.resetAndDestroy(), 20)));
      },
      reset: () => void desk.sockets.at(-1)?.resetAndDestroy(),
    };
    expect(await ask("done")).toEqual({ done: true });
    expect(await failure(ask("reset"))).toMatchObject({ code: "EDGE_UNREACHABLE" });
  });

  test("whoever asked may give the call up, before the dial and after it", async () => {
    const abort = new AbortController();
    desk.answers = { slow: () => abort.abort() };
    expect(await failure(ask("slow", { signal: abort.signal }))).toMatchObject({
      code: "CANCELLED",
    });
    expect(await failure(ask("slow", { signal: abort.signal, waitMs: 10_000 }))).toMatchObject({
      code: "EDGE_UNREACHABLE",
    });
  });

  test("a call that does not fit is refused before it leaves", async () => {
    const body = { hosts: Array.from({ length: 1_000 }, (_, index) => `host${index}.example.com`) };
    expect(await failure(ask("tunnel.create", { body }))).toMatchObject({ code: "CALL_TOO_LARGE" });
    expect(desk.calls).toEqual([]);
  });
});

describe("callEdge against what is no edge", () => {
  const server = createServer((socket) => socket.end("220 mail.example.com ESMTP\r\n"));
  afterAll(() => void server.close());

  test("is unreachable, with the reason", async () => {
    server.listen(0, "127.0.0.1");
    await within(once(server, "listening"), "the listener");
    const { port } = server.address() as AddressInfo;
    const credentials = { kind: "account", host: HOST, port, fingerprint: "k", key } as Credentials;
    const call = callEdge({ credentials, name: "x", body: {}, label: "", version: "", waitMs: 50 });
    await expect(within(call, "the call")).rejects.toMatchObject({ code: "EDGE_UNREACHABLE" });
  });
});
