import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  createServer as createHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { MAX_COLLECTED } from "../../../src/connector/origin/upload.ts";
import { drained, eventually, RawServer, received } from "../sockets.ts";
import { within } from "../../within.ts";
import { bytesOf, type Call, Rig } from "./rig.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** An origin that refuses at the first bytes of a request and closes with the others unread. */
const LEAVING = `
require("node:net").createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => {
    socket.pause();
    const answer = "HTTP/1.1 413 Too Large\\r\\nConnection: close\\r\\nContent-Length: 2\\r\\n\\r\\nno";
    socket.write(answer, () => socket.destroy());
  });
}).listen(0, "127.0.0.1", function () {
  require("node:fs").writeSync(1, String(this.address().port));
});
`;

/** Reads request heads (no bodies) of a raw connection and answers each. */
function answering(
  answer: (head: string, count: number, socket: Socket) => void,
): (socket: Socket) => void {
  return (socket) => {
    let text = "";
    let count = 0;
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const head = text.slice(0, end + 4);
        text = text.slice(end + 4);
        answer(head, count++, socket);
      }
    });
  };
}

async function rawOrigin(
  answer: (head: string, count: number, socket: Socket) => void,
): Promise<RawServer> {
  return new RawServer(answering(answer)).listen({ host: "127.0.0.1" });
}

/** An origin that answers its first head with fixed bytes and then acts. */
async function saying(
  bytes: string,
  then: (socket: Socket) => void = () => {},
): Promise<RawServer> {
  return rawOrigin((_, __, socket) =>
    socket.write(Buffer.from(bytes, "latin1"), () => then(socket)),
  );
}

class NodeOrigin {
  readonly server: Server;
  constructor(listener: (request: IncomingMessage, response: ServerResponse) => void) {
    this.server = createHttp(listener);
  }
  async listen(): Promise<this> {
    this.server.listen(0, "127.0.0.1");
    await within(once(this.server, "listening"), "a listening server");
    return this;
  }
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    this.server.closeAllConnections();
    await within(closed, "a closed server");
  }
}

const rigOf = (server: RawServer, options: ConstructorParameters<typeof Rig>[1] = {}): Rig =>
  new Rig(`http://127.0.0.1:${server.port}`, options);

describe("http origin", () => {
  test("asks for exactly what the head says and brings the answer back", async () => {
    const heads: string[] = [];
    await using server = await rawOrigin((head, _, socket) => {
      heads.push(head);
      socket.write(
        "HTTP/1.1 201 Made\r\nX-A: 1\r\nX-a: 2\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\nhello",
      );
    });
    using rig = rigOf(server);
    const call = await rig.call({ target: "/a?b=%", fields: "X-One: 1\r\nx-one: 2\r\n" }).over();
    expect(heads).toEqual([
      "GET /a?b=% HTTP/1.1\r\nHost: brave-otter.example.com\r\nX-One: 1\r\nx-one: 2\r\nConnection: keep-alive\r\n\r\n",
    ]);
    expect(call.log).toEqual(["response 201", "body", "end"]);
    expect(Buffer.from(call.head?.reason ?? []).toString()).toBe("Made");
    expect(call.fields).toBe("X-A: 1\r\nX-a: 2\r\n");
    expect(call.head?.length).toBe(5);
    expect(call.text).toBe("hello");
  });

  test("uses one connection for requests one after the other", async () => {
    await using server = await rawOrigin((_, count, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${count}`);
    });
    using rig = rigOf(server);
    for (let count = 0; count < 5; count++) {
      const call = await rig.call().over();
      expect(call.text).toBe(String(count));
      expect(rig.origin.idleConnections).toBe(1);
    }
    expect(server.sockets.length).toBe(1);
  });

  test("never pipelines: requests at the same time have connections of their own", async () => {
    await using server = await rawOrigin((_, __, socket) => socket.write(OK));
    using rig = rigOf(server);
    const calls = [rig.call(), rig.call(), rig.call()];
    await Promise.all(calls.map((call) => call.over()));
    expect(server.sockets.length).toBe(3);
    expect(rig.origin.idleConnections).toBe(3);
  });

  test("sends head and first body bytes in one piece", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = rigOf(server);
    const call = rig.call({ method: "POST", length: 4 });
    call.exchange.write(bytesOf("body"));
    call.exchange.end();
    const socket = await server.accepted();
    const [first] = await within(once(socket, "data") as Promise<[Buffer]>, "data");
    expect(first.toString()).toEndWith("Content-Length: 4\r\nConnection: keep-alive\r\n\r\nbody");
    socket.write(OK);
    await call.over();
    expect(call.takenBytes).toBe(4);
  });

  test("sends a body of unknown length in chunks, with trailers", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = rigOf(server);
    const call = rig.call({ method: "PUT", length: -1 });
    const socket = await server.accepted();
    call.exchange.write(bytesOf("hello"));
    call.exchange.write(bytesOf(" world"));
    call.exchange.end(bytesOf("X-Sum: 1\r\n"));
    const body =
      "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n";
    let text = "";
    while (!text.endsWith("\r\n\r\n") || !text.includes("X-Sum"))
      text += (await received(socket, 1)).toString();
    expect(text).toEndWith(body);
    socket.write(OK);
    await call.over();
    expect(call.takenBytes).toBe(11);
    expect(rig.origin.idleConnections).toBe(1);
  });

  test("reads chunked answers with trailers, whatever the pieces", async () => {
    const answer =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n";
    await using server = await rawOrigin((_, __, socket) => {
      let at = 0;
      const next = (): void => {
        if (at < answer.length) socket.write(answer.slice(at, ++at), () => setImmediate(next));
      };
      next();
    });
    using rig = rigOf(server);
    const call = await rig.call().over();
    expect(call.text).toBe("abcde");
    expect(call.trailers).toBe("X-T: 1\r\n");
    expect(call.head?.length).toBe(-1);
    expect(rig.origin.idleConnections).toBe(1);
  });

  test("takes FIN as the end only of a body that lasts until close", async () => {
    await using server = await saying("HTTP/1.1 200 OK\r\n\r\nsome bytes", (socket) =>
      socket.end(),
    );
    using rig = rigOf(server);
    const call = await rig.call().over();
    expect(call.log.at(-1)).toBe("end");
    expect(call.text).toBe("some bytes");
    expect(rig.origin.idleConnections).toBe(0);
  });

  test("takes RST in a body that lasts until close as a cut", async () => {
    let peer: Socket | undefined;
    await using server = await saying("HTTP/1.1 200 OK\r\n\r\nsome bytes", (socket) => {
      peer = socket;
    });
    using rig = rigOf(server);
    const call = rig.call();
    await call.until("a body", () => call.text === "some bytes" && peer !== undefined);
    peer?.resetAndDestroy();
    await call.over();
    expect(call.cutBy).toBe("reset");
  });

  for (const [name, answer, end] of [
    [
      "a length",
      "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf",
      (socket: Socket) => socket.end(),
    ],
    [
      "chunks",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
      (socket: Socket) => socket.end(),
    ],
    [
      "a chunk size",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
      (socket: Socket) => socket.end(),
    ],
    [
      "invalid chunks",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
      () => {},
    ],
  ] as const) {
    test(`a short body never looks whole: ${name}`, async () => {
      await using server = await saying(answer, end);
      using rig = rigOf(server);
      const call = await rig.call().over();
      expect(call.text).toBe("half");
      expect(call.cutBy).toBe("truncated");
      expect(rig.origin.idleConnections).toBe(0);
    });
  }

  test("a short body and an RST is a cut by reset", async () => {
    await using server = await saying(
      "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf",
      (socket) => socket.resetAndDestroy(),
    );
    using rig = rigOf(server);
    const call = await rig.call().over();
    expect(call.cutBy).toBe("reset");
    expect(call.text).toBe("half");
  });

  for (const [name, answer] of [
    ["garbage", "\x16\x03\x01 this is not HTTP\r\n\r\n"],
    ["a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"],
    [
      "length and coding",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ["too many interim responses", "HTTP/1.1 102 P\r\n\r\n".repeat(17)],
    ["a megabyte of headers", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(1_000_000)}\r\n\r\n`],
    ["too many fields", `HTTP/1.1 200 OK\r\n${"X: 1\r\n".repeat(300)}\r\n`],
  ] as const) {
    test(`refuses ${name}`, async () => {
      await using server = await saying(answer);
      using rig = rigOf(server);
      const call = await rig.call().over();
      expect(call.failed).toMatchObject({ code: "ORIGIN_INVALID", sent: true });
      await drained(await server.accepted());
      expect(rig.origin.idleConnections).toBe(0);
    });
  }

  test("a 101 that nobody asked for is a wrong upgrade", async () => {
    await using server = await saying(
      "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    using rig = rigOf(server);
    expect((await rig.call().over()).failed).toMatchObject({ code: "ORIGIN_UPGRADE", sent: true });
  });

  test("passes interim responses on, except 100", async () => {
    await using server = await saying(
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: keep-alive\r\n\r\n${OK}`,
    );
    using rig = rigOf(server);
    const call = await rig.call().over();
    expect(call.interims).toEqual([{ status: 103, fields: "Link: </a.css>; rel=preload\r\n" }]);
    expect(call.log).toEqual(["interim 103", "response 200", "body", "end"]);
  });

  test("answers to HEAD, 204 and 304 have no body and keep their length", async () => {
    await using server = await rawOrigin((head, _, socket) => {
      if (head.startsWith("HEAD")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
      else if (head.includes("/204")) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      else socket.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
    });
    using rig = rigOf(server);
    for (const [parts, length] of [
      [{ method: "HEAD" }, 99],
      [{ target: "/204" }, -1],
      [{ target: "/304" }, 7],
    ] as const) {
      const call = await rig.call(parts).over();
      expect(call.log).toEqual([
        `response ${parts.method === "HEAD" ? 200 : parts.target?.slice(1)}`,
        "end",
      ]);
      expect(call.head).toMatchObject({ hasBody: false, length });
    }
    expect(server.sockets.length).toBe(1);
  });

  test("holds back a fast origin while paused", async () => {
    const size = 24 * 1_048_576;
    let isTaken = false;
    await using server = await rawOrigin((_, __, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      socket.write(Buffer.alloc(size, 7), () => {
        isTaken = true;
      });
    });
    using rig = rigOf(server);
    const call = rig.call();
    call.onBody = () => call.exchange.pause();
    await call.until("some bytes", () => call.bytes.length > 0);
    // Another exchange in the meantime shows that time passed while this one stood.
    await using other = await saying(OK);
    using otherRig = rigOf(other);
    await otherRig.call().over();
    const before = call.bytes.length;
    expect(isTaken).toBe(false);
    expect(before).toBeLessThan(2 * 1_048_576);
    call.onBody = undefined;
    call.exchange.resume();
    await call.over();
    expect(call.bytes.length).toBe(size);
    expect(call.log.at(-1)).toBe("end");
  });

  test("asks the sender to pause while the origin does not read", async () => {
    const size = 24 * 1_048_576;
    await using server = await new RawServer((socket) => socket.pause()).listen({
      host: "127.0.0.1",
    });
    using rig = rigOf(server);
    const call = rig.call({ method: "POST", length: size });
    expect(call.exchange.write(new Uint8Array(1_000))).toBe("more");
    expect(call.exchange.write(new Uint8Array(100_000))).toBe("pause");
    await call.until("room", () => call.log.includes("writable"));
    expect(call.exchange.write(new Uint8Array(size - 101_000))).toBe("pause");
    call.exchange.end();
    const socket = await server.accepted();
    await call.until("the kernel to be full", () => call.takenBytes > 101_000);
    expect(call.takenBytes).toBeLessThan(size);
    const { promise: all, resolve } = Promise.withResolvers<void>();
    let got = 0;
    socket.on("data", (chunk: Buffer) => {
      got += chunk.length;
      if (got > size) resolve();
    });
    socket.resume();
    await call.until("all taken", () => call.takenBytes === size);
    await within(all, "the whole body");
    expect(call.log.filter((line) => line === "writable").length).toBe(2);
    socket.write(OK);
    await call.over();
    expect(rig.origin.idleConnections).toBe(1);
  });

  test("the credit of a chunked upload is exact", async () => {
    const server = await new NodeOrigin((request, response) => {
      let length = 0;
      request.on("data", (chunk: Buffer) => {
        length += chunk.length;
      });
      request.on("end", () => response.end(String(length)));
    }).listen();
    await using _ = server;
    using rig = new Rig(server.url);
    const call = rig.call({ method: "POST", length: -1 });
    let sum = 0;
    for (let index = 0; index < 2_000; index++) {
      const size = 1 + ((index * 37) % 90);
      sum += size;
      call.exchange.write(new Uint8Array(size));
    }
    await call.until("all taken", () => call.takenBytes === sum);
    call.exchange.end();
    await call.over();
    expect(call.takenBytes).toBe(sum);
    expect(call.text).toBe(String(sum));
  });

  test("reads the early answer of an origin that then leaves with the rest unread, which resets the upload", async () => {
    // A process of its own: it answers and leaves while we are writing.
    const child = Bun.spawn([process.execPath, "-e", LEAVING], { stdout: "pipe" });
    const { value } = await within(child.stdout.getReader().read(), "the port");
    using rig = new Rig(`http://127.0.0.1:${new TextDecoder().decode(value)}`);
    let answers = 0;
    const rounds = 100;
    for (let round = 0; round < rounds; round++) {
      const call = rig.call({ method: "POST", length: 1 << 22 });
      call.exchange.write(new Uint8Array(1 << 20));
      await call.over();
      if (call.head?.status === 413 && call.log.at(-1) === "end") answers += 1;
    }
    child.kill("SIGKILL");
    // A write that meets the RST before the answer is read takes it along; without a turn for the reader four in five do.
    expect(answers).toBeGreaterThan(rounds / 2);
  });

  test("forwards an early final answer and never finishes the rest of the upload", async () => {
    await using server = await saying("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    using rig = rigOf(server);
    const call = rig.call({ method: "POST", length: 1_000 });
    call.exchange.write(new Uint8Array(10));
    await call.over();
    expect(call.head?.status).toBe(413);
    expect(call.text).toBe("big");
    expect(call.exchange.write(new Uint8Array(10))).toBe("more");
    call.exchange.end();
    call.exchange.abort();
    const end = await drained(await server.accepted());
    expect(end.how).toBe("ECONNRESET");
    expect(rig.origin.idleConnections).toBe(0);
  });

  test("aborting resets the connection, and nothing follows", async () => {
    await using server = await saying("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    using rig = rigOf(server);
    const call = rig.call();
    await call.until("the part", () => call.text === "part");
    call.exchange.abort();
    call.exchange.abort();
    expect((await drained(await server.accepted())).how).toBe("ECONNRESET");
    expect(call.isOver).toBe(false);
    expect(rig.origin.idleConnections).toBe(0);
  });

  test("a request body that is cut never arrives whole", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = rigOf(server);
    const call = rig.call({ method: "POST", length: -1 });
    call.exchange.write(bytesOf("half"));
    const socket = await server.accepted();
    const end = drained(socket);
    await call.until("the half taken", () => call.takenBytes === 4);
    call.exchange.abort();
    const { bytes, how } = await end;
    expect(how).toBe("ECONNRESET");
    expect(bytes.toString()).not.toEndWith("0\r\n\r\n");
  });

  test("a body other than announced is refused, and its connection reset", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = rigOf(server);
    const short = rig.call({ method: "POST", length: 10 });
    short.exchange.write(bytesOf("half"));
    short.exchange.end();
    await short.over();
    expect(short.failed).toMatchObject({ code: "BAD_REQUEST", sent: true });
    const long = rig.call({ method: "POST", length: 2 });
    await server.accepted();
    await server.accepted();
    long.exchange.write(bytesOf("four"));
    await long.over();
    expect(long.failed?.code).toBe("BAD_REQUEST");
  });
});

describe("reuse of origin connections", () => {
  for (const [name, answer] of [
    ["close was said", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
    ["it speaks 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ["a byte stood behind the answer", `${OK}x`],
    ["a second answer stood behind the first", OK + OK],
    [
      "NTLM was offered",
      "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x, NTLM\r\nContent-Length: 2\r\n\r\nok",
    ],
    [
      "Negotiate was offered",
      "HTTP/1.1 407 No\r\nProxy-Authenticate: negotiate\r\nContent-Length: 2\r\n\r\nok",
    ],
    [
      "its own idle time is too short",
      "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=5\r\nContent-Length: 2\r\n\r\nok",
    ],
  ] as const) {
    test(`none when ${name}`, async () => {
      await using server = await saying(answer);
      using rig = rigOf(server);
      const call = await rig.call().over();
      expect(call.text).toBe("ok");
      expect(call.log.at(-1)).toBe("end");
      expect(rig.origin.idleConnections).toBe(0);
      await drained(await server.accepted());
    });
  }

  for (const scheme of ["NTLM TlRMTVNTUAAB", "negotiate YII="]) {
    test(`none when the visitor logs the connection in: ${scheme.split(" ")[0]}`, async () => {
      await using server = await saying(OK);
      using rig = rigOf(server);
      await rig.call({ fields: `Accept: */*\r\nAUTHORIZATION: ${scheme}\r\n` }).over();
      expect(rig.origin.idleConnections).toBe(0);
      await rig.call({ fields: "Authorization: Basic eDp5\r\n" }).over();
      expect(rig.origin.idleConnections).toBe(1);
    });
  }

  test("none when switched off, and the origin is told", async () => {
    const heads: string[] = [];
    await using server = await rawOrigin((head, _, socket) => {
      heads.push(head);
      socket.write(OK);
    });
    using rig = rigOf(server, { keepAliveConnections: 0 });
    await rig.call().over();
    expect(heads[0]).toContain("Connection: close\r\n");
    expect(rig.origin.idleConnections).toBe(0);
  });

  for (const [name, act] of [
    ["FIN", (socket: Socket) => socket.end()],
    ["RST", (socket: Socket) => socket.resetAndDestroy()],
    ["a byte", (socket: Socket) => socket.write("x")],
    ["an answer nobody asked for", (socket: Socket) => socket.write(OK)],
  ] as const) {
    test(`an idle connection is dropped at ${name}`, async () => {
      await using server = await saying(OK);
      using rig = rigOf(server);
      await rig.call().over();
      expect(rig.origin.idleConnections).toBe(1);
      const socket = await server.accepted();
      const closed = once(socket, "close");
      act(socket);
      socket.resume();
      await eventually("the connection to be dropped", () => rig.origin.idleConnections === 0);
      const call = await rig.call({ target: "/next" }).over();
      expect(call.text).toBe("ok");
      expect(server.sockets.length).toBe(2);
      socket.destroy();
      await within(closed, "the close");
    });
  }

  test("a reused connection that dies unheard: GET goes once more, on a new connection", async () => {
    const heads: string[] = [];
    await using server = await rawOrigin((head, count, socket) => {
      heads.push(head);
      if (count === 0) socket.write(OK);
      else socket.resetAndDestroy();
    });
    using rig = rigOf(server);
    await rig.call({ target: "/first" }).over();
    const call = await rig.call({ target: "/second", fields: "X: 1\r\n" }).over();
    expect(call.text).toBe("ok");
    expect(server.sockets.length).toBe(2);
    expect(heads.map((head) => head.split(" ")[1])).toEqual(["/first", "/second", "/second"]);
    expect(heads[2]).toBe(heads[1] as string);
  });

  test("and no third time", async () => {
    await using server = await rawOrigin((head, _, socket) => {
      if (head.includes("/first")) socket.write(OK);
      else socket.end();
    });
    using rig = rigOf(server);
    await rig.call({ target: "/first" }).over();
    const call = await rig.call({ target: "/second" }).over();
    expect(call.failed).toMatchObject({ code: "ORIGIN_CLOSED", sent: true });
    expect(server.sockets.length).toBe(2);
  });

  for (const parts of [
    { method: "POST", length: 0 },
    { method: "DELETE" },
    { method: "GET", length: 3 },
  ]) {
    test(`${parts.method}${parts.length === undefined ? "" : ` with a body of ${parts.length}`} is not sent again`, async () => {
      await using server = await rawOrigin((_, count, socket) => {
        if (count === 0) socket.write(OK);
        else socket.resetAndDestroy();
      });
      using rig = rigOf(server);
      await rig.call().over();
      const call = rig.call(parts);
      if (parts.length === 3) call.exchange.write(bytesOf("abc"));
      call.exchange.end();
      await call.over();
      expect(call.failed).toMatchObject({ code: "ORIGIN_CLOSED", sent: true });
      expect(server.sockets.length).toBe(1);
    });
  }

  test("after one byte of an answer nothing is sent again", async () => {
    await using server = await rawOrigin((_, count, socket) => {
      if (count === 0) socket.write(OK);
      else socket.write("H", () => socket.end());
    });
    using rig = rigOf(server);
    await rig.call().over();
    const call = await rig.call().over();
    expect(call.failed).toMatchObject({ code: "ORIGIN_CLOSED", sent: true });
    expect(server.sockets.length).toBe(1);
  });

  describe("a connection that speaks or ends just as it is taken out of the pool", () => {
    const acts = {
      "an answer nobody asked for": (socket: Socket) => socket.write(OK.replace("ok", "no")),
      "half a head": (socket: Socket) => socket.write("HTTP/1.1 408 Req"),
      FIN: (socket: Socket) => socket.end(),
    } as const;
    const requests = [{}, { method: "POST" }, { method: "DELETE" }] as const;
    for (const [name, act] of Object.entries(acts)) {
      for (const parts of requests) {
        const { method } = { method: "GET", ...parts };
        test(`${name}: ${method} has not left yet, and goes to a new one`, async () => {
          const heads: string[] = [];
          await using server = await rawOrigin((head, _, socket) => {
            heads.push(head.split(" ")[1] ?? "");
            socket.write(OK);
          });
          using rig = rigOf(server);
          await rig.call({ target: "/first" }).over();
          const pooled = await server.accepted();
          // In one turn of the loop: first the news that lead to a request, then what the origin did before it.
          await using bell = await new RawServer().listen({ host: "127.0.0.1" });
          const listener = connect({ host: "127.0.0.1", port: bell.port });
          const ring = await bell.accepted();
          const rung = Promise.withResolvers<Call>();
          listener.once("data", () => {
            rung.resolve(rig.call({ ...parts, target: "/second" }));
          });
          ring.write("ring");
          act(pooled);
          const call = await (await within(rung.promise, "the bell")).over();
          expect([call.log.at(-1), call.text]).toEqual(["end", "ok"]);
          expect(heads.filter((target) => target === "/second")).toHaveLength(1);
          expect(server.sockets.length).toBe(2);
          listener.destroy();
        });
      }
    }

    test("a new one that speaks first is no HTTP server, and got nothing of the request", async () => {
      await using server = await new RawServer((socket) =>
        socket.write("220 mail ready\r\n"),
      ).listen({ host: "127.0.0.1" });
      using rig = rigOf(server);
      const call = await rig.call({ method: "DELETE" }).over();
      expect(call.failed?.code).toBe("ORIGIN_INVALID");
    });
  });

  test("a new connection that dies unheard is not tried again", async () => {
    await using server = await rawOrigin((_, __, socket) => socket.end());
    using rig = rigOf(server);
    expect((await rig.call().over()).failed).toMatchObject({ code: "ORIGIN_CLOSED", sent: true });
    expect(server.sockets.length).toBe(1);
  });

  test("methods that must not be repeated take a connection only while it is fresh", async () => {
    let now = 1_000;
    await using server = await rawOrigin((_, __, socket) => socket.write(OK));
    using rig = rigOf(server, { now: () => now });
    await rig.call().over();
    now += 999;
    const fresh = rig.call({ method: "POST", length: 0 });
    fresh.exchange.end();
    await fresh.over();
    expect(server.sockets.length).toBe(1);
    now += 1_000;
    const late = rig.call({ method: "POST", length: 0 });
    late.exchange.end();
    await late.over();
    expect(server.sockets.length).toBe(2);
    await rig.call().over();
    expect(server.sockets.length).toBe(2);
  });

  test("two visitors never share what is left of a body", async () => {
    await using server = await rawOrigin((head, _, socket) => {
      const who = /\/(\w+)/.exec(head)?.[1] ?? "";
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${who.length}\r\n\r\n${who}`);
    });
    using rig = rigOf(server);
    for (let round = 0; round < 50; round++) {
      const cut = rig.call({ method: "POST", target: `/cut${round}`, length: 100 });
      cut.exchange.write(bytesOf("GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"));
      if (round % 2 === 0) cut.exchange.abort();
      const call = await rig.call({ target: `/whole${round}` }).over();
      expect(call.text).toBe(`whole${round}`);
      cut.exchange.abort();
    }
  });
});

describe("upgrades at the origin", () => {
  const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
  const ACCEPT = createHash("sha1")
    .update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  const websocket = {
    upgrade: "websocket",
    fields: `Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n`,
  };
  const switching = (accept: string, upgrade = "websocket"): string =>
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${upgrade}\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;

  async function upgraded(server: RawServer, rig: Rig): Promise<{ call: Call; socket: Socket }> {
    const call = rig.call(websocket);
    const socket = await server.accepted();
    await call.until("a 101", () => call.head !== undefined);
    return { call, socket };
  }

  test("relays raw bytes both ways after a right 101, bytes behind the head included", async () => {
    let head = "";
    await using server = await rawOrigin((text, count, socket) => {
      if (count > 0) return;
      head = text;
      socket.write(`${switching(ACCEPT)}first`);
    });
    using rig = rigOf(server);
    const { call, socket } = await upgraded(server, rig);
    expect(head).toContain("Connection: upgrade\r\nUpgrade: websocket\r\n");
    expect(call.fields).toBe(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`);
    expect(call.head).toMatchObject({ status: 101, hasBody: true });
    await call.until("the first bytes", () => call.text === "first");
    const echo = received(socket, 5);
    call.exchange.write(bytesOf("ping!"));
    expect((await echo).toString()).toBe("ping!");
    await call.until("credit", () => call.takenBytes === 5);
    socket.write("pong");
    await call.until("pong", () => call.text === "firstpong");
  });

  test("passes half-close on in either direction", async () => {
    await using server = await saying(switching(ACCEPT));
    using rig = rigOf(server);
    const { call, socket } = await upgraded(server, rig);
    const ours = drained(socket);
    call.exchange.write(bytesOf("question"));
    call.exchange.end();
    expect((await ours).bytes.toString()).toBe("question");
    socket.end("answer");
    await call.until("the end", () => call.log.includes("end"));
    expect(call.text).toBe("answer");
    await within(
      new Promise<void>((resolve) =>
        socket.closed ? resolve() : socket.once("close", () => resolve()),
      ),
      "the close",
    );
    expect(call.cutBy).toBeUndefined();

    await using second = await saying(switching(ACCEPT), (peer) => peer.end("bye"));
    using rig2 = rigOf(second);
    const other = await upgraded(second, rig2);
    await other.call.until("the end", () => other.call.log.includes("end"));
    const rest = received(other.socket, 4);
    other.call.exchange.write(bytesOf("late"));
    expect((await rest).toString()).toBe("late");
    other.call.exchange.end();
    await other.call.until("credit", () => other.call.takenBytes === 4);
  });

  test("passes a reset on in either direction", async () => {
    await using server = await saying(switching(ACCEPT));
    using rig = rigOf(server);
    const { call, socket } = await upgraded(server, rig);
    socket.resetAndDestroy();
    await call.until("a cut", () => call.cutBy !== undefined);
    expect(call.cutBy).toBe("reset");
    const other = await upgraded(server, rig);
    other.call.exchange.abort();
    expect((await drained(other.socket)).how).toBe("ECONNRESET");
  });

  test("bytes sent before the 101 wait for it", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = rigOf(server);
    const call = rig.call(websocket);
    call.exchange.write(bytesOf("GET /smuggled HTTP/1.1\r\n\r\n"));
    const socket = await server.accepted();
    const head = (await received(socket, 1)).toString();
    expect(head).not.toContain("smuggled");
    const early = received(socket, 26);
    socket.write(switching(ACCEPT));
    expect((await early).toString()).toBe("GET /smuggled HTTP/1.1\r\n\r\n");
    await call.until("credit", () => call.takenBytes === 26);
  });

  test("a refused upgrade is an ordinary answer, and what was meant for the protocol is dropped", async () => {
    await using server = await saying(
      "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno",
    );
    using rig = rigOf(server);
    const call = rig.call(websocket);
    call.exchange.write(bytesOf("GET /smuggled HTTP/1.1\r\n\r\n"));
    call.exchange.end();
    await call.over();
    expect(call.head?.status).toBe(426);
    expect(call.text).toBe("no");
    expect(call.takenBytes).toBe(26);
    expect((await drained(await server.accepted())).bytes.toString()).not.toContain("smuggled");
  });

  for (const [name, answer] of [
    ["a wrong accept", switching("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")],
    ["no accept", "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"],
    ["another protocol", switching(ACCEPT, "h2c")],
    ["no upgrade", `HTTP/1.1 101 S\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`],
  ] as const) {
    test(`a 101 with ${name} is refused`, async () => {
      await using server = await saying(answer);
      using rig = rigOf(server);
      const call = await rig.call(websocket).over();
      expect(call.failed).toMatchObject({ code: "ORIGIN_UPGRADE", sent: true });
      expect(call.log.length).toBe(1);
      await drained(await server.accepted());
    });
  }

  test("other protocols need no accept key", async () => {
    await using server = await saying(
      "HTTP/1.1 101 S\r\nUpgrade: TunlTest\r\nConnection: upgrade\r\n\r\n",
    );
    using rig = rigOf(server);
    const call = rig.call({ upgrade: "tunltest" });
    await call.until("a 101", () => call.head?.status === 101);
    call.exchange.abort();
  });
});

describe("http origin settings", () => {
  test("serves a socket file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tunl-"));
    try {
      const path = join(folder, "app.sock");
      const heads: string[] = [];
      await using _ = await new RawServer(
        answering((head, __, socket) => {
          heads.push(head);
          socket.write(OK);
        }),
      ).listen({ path });
      using rig = new Rig(`unix:${path}`, { hostHeader: { kind: "origin" } });
      expect((await rig.call().over()).text).toBe("ok");
      expect(heads[0]).toStartWith("GET / HTTP/1.1\r\nHost: localhost\r\n");
      expect(rig.origin.idleConnections).toBe(1);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("collects a body of unknown length when chunks are not wanted", async () => {
    await using server = await new NodeOrigin((request, response) => {
      let length = 0;
      request.on("data", (chunk: Buffer) => {
        length += chunk.length;
      });
      request.on("end", () =>
        response.end(
          `${request.headers["content-length"]} ${request.headers["transfer-encoding"]} ${length}`,
        ),
      );
    }).listen();
    using rig = new Rig(server.url, { disableChunkedEncoding: true });
    const call = rig.call({ method: "POST", length: -1 });
    for (let index = 0; index < 4; index++)
      expect(call.exchange.write(new Uint8Array(100_000))).toBe("more");
    await call.until("credit", () => call.takenBytes === 400_000);
    call.exchange.end();
    await call.over();
    expect(call.text).toBe("400000 undefined 400000");
    expect(call.takenBytes).toBe(400_000);
    const long = rig.call({ method: "POST", length: -1 });
    long.exchange.write(new Uint8Array(MAX_COLLECTED));
    long.exchange.write(new Uint8Array(1));
    await long.over();
    expect(long.failed).toMatchObject({ code: "LENGTH_REQUIRED", sent: false });
  });

  test("host header: keep, a value, and origin with Origin and Location mapped", async () => {
    const heads: string[] = [];
    await using server = await rawOrigin((head, _, socket) => {
      heads.push(head);
      const location = /\r\nX-Location: (.*)\r\n/.exec(head)?.[1] ?? "/";
      socket.write(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`);
    });
    const local = `127.0.0.1:${server.port}`;
    using keep = rigOf(server);
    await keep.call({ fields: "Origin: https://brave-otter.example.com\r\n" }).over();
    expect(heads[0]).toContain(
      "Host: brave-otter.example.com\r\nOrigin: https://brave-otter.example.com\r\n",
    );
    using value = rigOf(server, { hostHeader: { kind: "value", value: "app.internal" } });
    await value.call().over();
    expect(heads[1]).toContain("Host: app.internal\r\n");
    using origin = rigOf(server, { hostHeader: { kind: "origin" } });
    for (const [sent, arrived] of [
      ["https://brave-otter.example.com", `http://${local}`],
      ["HTTPS://Brave-Otter.example.com", `http://${local}`],
      ["https://brave-otter.example.com.evil", "https://brave-otter.example.com.evil"],
      ["http://brave-otter.example.com", "http://brave-otter.example.com"],
      ["null", "null"],
    ] as const) {
      await origin.call({ fields: `A: 1\r\nOrigin: ${sent}\r\nB: 2\r\n` }).over();
      expect(heads.at(-1)).toContain(`Host: ${local}\r\nA: 1\r\nOrigin: ${arrived}\r\nB: 2\r\n`);
    }
    for (const [sent, arrived] of [
      [`http://${local}/login?x#y`, "https://brave-otter.example.com/login?x#y"],
      [`http://${local}`, "https://brave-otter.example.com"],
      [`http://${local}0/`, `http://${local}0/`],
      [`http://${local}@evil/`, `http://${local}@evil/`],
      [`https://${local}/`, `https://${local}/`],
      ["/relative", "/relative"],
    ] as const) {
      const call = await origin.call({ fields: `X-Location: ${sent}\r\n` }).over();
      expect(call.fields).toBe(`Location: ${arrived}\r\n`);
    }
  });

  test("closing lets requests in progress finish", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = rigOf(server);
    const call = rig.call();
    const socket = await server.accepted();
    await received(socket, 1);
    rig.origin.close();
    socket.write(OK);
    await call.over();
    expect(call.text).toBe("ok");
    expect(rig.origin.idleConnections).toBe(0);
    await drained(socket);
  });

  test("gets on with node:http, small and large", async () => {
    await using server = await new NodeOrigin((request, response) => {
      if (request.url === "/large") response.end(Buffer.alloc(3_000_000, 1));
      else if (request.url === "/stream") {
        response.write("a");
        response.end("b");
      } else request.pipe(response);
    }).listen();
    using rig = new Rig(server.url);
    expect((await rig.call({ target: "/large" }).over()).bytes.length).toBe(3_000_000);
    expect((await rig.call({ target: "/stream" }).over()).text).toBe("ab");
    const echo = rig.call({ method: "POST", target: "/echo", length: 200_000 });
    echo.exchange.write(new Uint8Array(200_000).fill(9));
    echo.exchange.end();
    await echo.over();
    expect(echo.bytes.length).toBe(200_000);
    expect(rig.origin.idleConnections).toBe(1);
  });
});
