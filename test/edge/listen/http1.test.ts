import { describe, expect, test } from "bun:test";
import { get as httpGet } from "node:http";
import { connect } from "node:net";
import { VISITOR_LIMITS } from "../../../src/edge/listen/visitor-options.ts";
import {
  get,
  headOf,
  lines,
  NO_LINES,
  Pipeline,
  request,
  respond,
  Rig,
  seed,
  seededRandom,
} from "./rig.ts";
import { STEP_MS } from "../../../src/deadlines.ts";
import { within } from "../../within.ts";

const WEBSOCKET = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const count = (text: string, part: string): number => text.split(part).length - 1;
/** The body of the only response in `text`. */
const bodyOf = (text: string): string => text.slice(text.indexOf("\r\n\r\n") + 4);

/** A pipeline that answers every request with its own target. */
const echo = (): Pipeline =>
  new Pipeline((visit) => {
    visit.start();
    respond(visit.reply, `<${Buffer.from(visit.visit.request.target).toString()}>`);
  });

describe("visitor connection: requests", () => {
  test("serves many requests on one connection", async () => {
    const pipeline = echo();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    for (let index = 0; index < 20; index++) {
      visitor.send(get(`/${index}`));
      await visitor.until(`</${index}>`);
    }
    expect(pipeline.visits).toHaveLength(20);
    expect(pipeline.visits.every((visit) => visit.hasEnded && visit.cause === undefined)).toBe(
      true,
    );
    expect(count(visitor.text, "HTTP/1.1 200 OK\r\n")).toBe(20);
    expect(rig.visitors.count).toBe(1);
  });

  test("answers pipelined requests one after the other and in order", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(
      get("/a") + get("/b") + request("POST", "/c", "Content-Length: 3") + "xyz" + get("/d"),
    );
    for (const [index, target] of ["/a", "/b", "/c", "/d"].entries()) {
      const visit = (await pipeline.visit(index)).start();
      expect(pipeline.visits).toHaveLength(index + 1);
      expect(Buffer.from(visit.visit.request.target).toString()).toBe(target);
      await pipeline.until(() => visit.hasEnded, "the end of the request");
      expect(visit.text).toBe(target === "/c" ? "xyz" : "");
      respond(visit.reply, `<${target}>`);
    }
    const text = await visitor.until("</d>");
    expect(text.match(/<\/.>/g)).toEqual(["</a>", "</b>", "</c>", "</d>"]);
  });

  test("reads heads and bodies that come byte by byte", async () => {
    const pipeline = new Pipeline((visit) => {
      visit.start();
      if (!visit.visit.body.hasBody) respond(visit.reply, "</b>");
    });
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    const message = `${request("POST", "/a", "Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n`;
    const socket = await rig.firstSocket();
    // The edge's socket is fed directly, so that each byte is one read.
    for (const byte of Buffer.from(message, "latin1")) socket.emit("data", Buffer.of(byte));
    respond((await pipeline.visit(0)).reply, "one");
    for (const byte of Buffer.from(get("/b"), "latin1")) socket.emit("data", Buffer.of(byte));
    await visitor.until("</b>");
    expect(pipeline.visits[0]?.text).toBe("hello");
    expect(pipeline.visits[0]?.trailers).toBe("X-Sum: 1\r\n");
    expect(pipeline.visits[1]?.hasEnded).toBe(true);
  });

  test("holds at most one header section behind a request, then pauses the socket", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/first"));
    const first = (await pipeline.visit(0)).start();
    const socket = await rig.firstSocket();
    const more = get("/more", `X-Fill: ${"x".repeat(900)}`);
    const total = Math.ceil((4 * VISITOR_LIMITS.heldBytes) / more.length);
    visitor.send(more.repeat(total));
    await rig.until(() => socket.isPaused(), "the pause");
    expect(pipeline.visits).toHaveLength(1);
    respond(first.reply, "ok");
    for (let index = 1; index <= total; index++)
      respond((await pipeline.visit(index)).start().reply, "ok");
    await visitor.until((text) => count(text, "HTTP/1.1 200 OK") === total + 1, "all responses");
    expect(total).toBeGreaterThan(100);
  });

  test.each([
    ["a bare line feed", "GET / HTTP/1.1\nHost: app.example.com\r\n\r\n", 400, "BAD_REQUEST"],
    [
      "two lengths",
      request("POST", "/", "Content-Length: 1", "Content-Length: 1"),
      400,
      "BAD_REQUEST",
    ],
    ["no Host", "GET / HTTP/1.1\r\n\r\n", 400, "BAD_HOST"],
    ["a bad Host", "GET / HTTP/1.1\r\nHost: a_b\r\n\r\n", 400, "BAD_HOST"],
    ["a bad target", get("/%zz"), 400, "BAD_PATH"],
    [
      "a host of another certificate",
      "GET / HTTP/1.1\r\nHost: x.example.net\r\n\r\n",
      421,
      "WRONG_CONNECTION",
    ],
    ["CONNECT", request("CONNECT", "app.example.com:443"), 405, "METHOD_REFUSED"],
    ["another expectation", get("/", "Expect: more"), 417, "EXPECTATION_REFUSED"],
    [
      "too many fields",
      get("/", ...Array.from({ length: 128 }, () => "A: b")),
      431,
      "HEADERS_TOO_LARGE",
    ],
    ["a long target", get(`/${"x".repeat(9_000)}`), 414, "TARGET_TOO_LONG"],
    [
      "a header section of more than 32 KiB",
      get("/", ...Array.from({ length: 9 }, (_, index) => `A${index}: ${"x".repeat(4_000)}`)),
      431,
      "HEADERS_TOO_LARGE",
    ],
    ["another version", "GET / HTTP/2.0\r\nHost: app.example.com\r\n\r\n", 505, "VERSION_REFUSED"],
    ["our own loop mark", get("/", "CDN-Loop: tunl-0123456789abcdef"), 508, "LOOP"],
    ["a protected name in Connection", get("/", "Connection: x-forwarded-for"), 400, "BAD_REQUEST"],
  ])("answers %s without asking the pipeline and closes", async (_, bytes, status, code) => {
    const pipeline = echo();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(bytes + get("/smuggled"));
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toStartWith(`HTTP/1.1 ${status} `);
    expect(visitor.text).toContain(`Tunl-Error: ${code}\r\n`);
    expect(visitor.text).toContain("Connection: close\r\n");
    expect(visitor.text.match(/^HTTP\/1\.1 \d/gm)).toHaveLength(1);
    expect(pipeline.visits).toHaveLength(0);
    visitor.fin();
    await rig.empty();
  });

  test("refuses the malformed request behind a good one after the good one's response", async () => {
    const pipeline = echo();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(`${get("/good")}GET / HTTP/1.1\r\n : x\r\n\r\n`);
    await visitor.ended();
    expect(visitor.text).toMatch(/^HTTP\/1\.1 200 OK[^]*<\/good>HTTP\/1\.1 400 /);
    expect(pipeline.visits).toHaveLength(1);
  });

  test("a lingering close ends after 256 KiB or 2 s at the latest", async () => {
    await using rig = await new Rig(echo().serve, { timeouts: { lingerMs: 200 } }).start();
    const [quiet, loud] = [await rig.connect(), await rig.connect()];
    quiet.send("nonsense\r\n\r\n");
    loud.send("nonsense\r\n\r\n");
    await Promise.all([quiet.ended(), loud.ended()]);
    expect(loud.text).toContain("400 Bad Request");
    loud.send("x".repeat(VISITOR_LIMITS.lingerBytes + 1));
    await rig.empty();
  });

  test("a slow visitor gets what waits for him in the kernel when the lingering ends (S-11)", async () => {
    const pipeline = new Pipeline((visit) => {
      visit.start();
      respond(visit.reply, "x".repeat(100_000));
    });
    await using rig = await new Rig(pipeline.serve, { timeouts: { lingerMs: 100 } }).start();
    const socket = connect({ host: "127.0.0.1", port: rig.port });
    const ending = Promise.withResolvers<string>();
    let received = "";
    socket.pause();
    socket.on("error", (error) => ending.resolve(error.message));
    socket.on("end", () => ending.resolve("end"));
    socket.write(request("GET", "/", "Connection: close"));
    await pipeline.visit(0);
    // The edge has let go: nobody but its kernel has the rest.
    await rig.empty();
    socket.on("data", (bytes: Buffer) => (received += bytes.toString("latin1")));
    socket.resume();
    expect(await within(ending.promise, "the end of the connection")).toBe("end");
    expect(bodyOf(received).length).toBe(100_000);
    socket.destroy();
  });

  test("the last of the allowed requests is answered with Connection: close", async () => {
    await using rig = await new Rig(echo().serve, { limits: { requests: 3 } }).start();
    const visitor = await rig.connect();
    visitor.send(get("/1") + get("/2") + get("/3") + get("/4"));
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text.match(/<\/\d>/g)).toEqual(["</1>", "</2>", "</3>"]);
    expect(count(visitor.text, "Connection: close")).toBe(1);
    expect(visitor.text.indexOf("Connection: close")).toBeGreaterThan(visitor.text.indexOf("</2>"));
  });
});

describe("visitor connection: bodies", () => {
  test("delivers nothing before start and stops while paused", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(`${request("POST", "/", "Content-Length: 10")}hello`);
    const visit = await pipeline.visit(0);
    expect(visit.visit.body).toMatchObject({ length: 10, hasBody: true });
    expect(visit.text).toBe("");
    visit.start();
    expect(visit.text).toBe("hello");
    visit.visit.body.pause();
    const socket = await rig.firstSocket();
    const before = socket.bytesRead;
    visitor.send("wor");
    await Bun.sleep(50);
    // Not even read: what is held for nobody is in no account.
    expect([visit.text, socket.bytesRead]).toEqual(["hello", before]);
    visit.visit.body.resume();
    visitor.send("ld");
    await pipeline.until(() => visit.hasEnded, "the end of the body");
    expect(visit.text).toBe("helloworld");
  });

  test("the sink may pause inside its own callback, at every chunk", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    const chunks = Array.from(
      { length: 50 },
      (_, index) => `3\r\n${String(index).padStart(3, "0")}\r\n`,
    ).join("");
    visitor.send(`${request("POST", "/", "Transfer-Encoding: chunked")}${chunks}0\r\n\r\n`);
    const visit = await pipeline.visit(0);
    const { body } = visit.visit;
    let paused = 0;
    body.start({
      bytes(bytes) {
        visit.bytes(bytes);
        body.pause();
        paused += 1;
        setImmediate(() => body.resume());
      },
      end: (trailers) => visit.end(trailers),
    });
    await pipeline.until(() => visit.hasEnded, "the end of the body");
    expect(paused).toBe(50);
    expect(visit.text).toBe(
      Array.from({ length: 50 }, (_, index) => String(index).padStart(3, "0")).join(""),
    );
  });

  test("a sink that goes on by little steps makes nothing be read ahead of it", async () => {
    const total = 8 * 1_048_576;
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    const socket = await rig.firstSocket();
    visitor.send(request("POST", "/", "Transfer-Encoding: chunked"));
    const visit = await pipeline.visit(0);
    const { body } = visit.visit;
    // Many of them come in one chunk of the socket: each resume finds the next one there already.
    const piece = Buffer.concat([
      Buffer.from("1000\r\n"),
      Buffer.alloc(4_096),
      Buffer.from("\r\n"),
    ]);
    visitor.send(Buffer.concat(Array.from({ length: total / 4_096 }, () => piece)));
    visitor.send("0\r\n\r\n");
    let bytes = 0;
    let most = 0;
    body.start({
      bytes(part) {
        bytes += part.length;
        most = Math.max(most, socket.readableLength);
        body.pause();
        setImmediate(() => body.resume());
      },
      end: (trailers) => visit.end(trailers),
    });
    await pipeline.until(() => visit.hasEnded, "the end of the body");
    expect({ bytes, most }).toEqual({ bytes: total, most: 0 });
  });

  test("answers Expect with 100 when the body is started, not before", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(request("POST", "/", "Content-Length: 2", "Expect: 100-continue"));
    const visit = await pipeline.visit(0);
    expect(visitor.text).toBe("");
    visit.start();
    await visitor.until("HTTP/1.1 100 Continue\r\n\r\n");
    visitor.send("hi");
    await pipeline.until(() => visit.hasEnded, "the body");
    respond(visit.reply, "done");
    await visitor.until("done");
    expect(visitor.text).not.toContain("Connection: close");
    visitor.send(get("/again"));
    await pipeline.visit(1);
  });

  test("an expectation that is never met ends the connection: nothing is read as the next request", async () => {
    const pipeline = new Pipeline((visit) => respond(visit.reply, "no", 403));
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(
      request("POST", "/", "Content-Length: 50", "Expect: 100-continue") + get("/smuggled"),
    );
    expect(await visitor.ended()).toBe("end");
    expect(count(visitor.text, "HTTP/1.1")).toBe(1);
    expect(visitor.text).toContain("Connection: close\r\n");
    expect(pipeline.visits).toHaveLength(1);
  });

  test("an early response arrives while the upload runs; the rest is dropped and the connection closed", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(`${request("POST", "/", "Content-Length: 1000000")}${"x".repeat(1_000)}`);
    const visit = (await pipeline.visit(0)).start();
    respond(visit.reply, "enough", 413);
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toEndWith("enough");
    const before = visit.text.length;
    visitor.send("y".repeat(1_000));
    visitor.fin();
    await rig.empty();
    expect(visit.text.length).toBe(before);
    expect(visit.hasEnded).toBe(false);
  });

  test("an early response to a body that is already here keeps the connection", async () => {
    const pipeline = new Pipeline((visit) => respond(visit.reply, "no", 404));
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(`${request("POST", "/a", "Content-Length: 5")}hello${get("/b")}`);
    await visitor.until((text) => count(text, "404") === 2, "two responses");
    expect(pipeline.visits).toHaveLength(2);
    expect(pipeline.visits[0]?.text).toBe("");
  });

  test("an endless upload behind an early response is not read while the response waits for its visitor", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve, { timeouts: { writeStallMs: 1_000 } }).start();
    const visitor = await rig.connect();
    visitor.socket.pause();
    visitor.send(request("POST", "/", "Content-Length: 100000000"));
    const visit = (await pipeline.visit(0)).start();
    const length = 16 * 1024 * 1024;
    visit.reply.head(headOf(length));
    visit.reply.body(Buffer.alloc(length));
    visit.reply.end(undefined);
    const socket = await rig.firstSocket();
    visitor.send(Buffer.alloc(8 * 1024 * 1024));
    await rig.until(() => socket.isPaused(), "the pause");
    expect(socket.bytesRead).toBeLessThan(VISITOR_LIMITS.heldBytes + 1024 * 1024);
    expect(visit.text).toBe("");
    await pipeline.until(() => visit.cause, "the stall");
    expect(visit.cause).toBe("stalled");
  });

  test("FIN inside a body is an abort, RST anywhere is", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const short = await rig.connect();
    short.send(`${request("POST", "/", "Content-Length: 10")}hello`);
    const first = (await pipeline.visit(0)).start();
    short.fin();
    await pipeline.until(() => first.cause, "the abort");
    expect(first.cause).toBe("short");
    expect(first.hasEnded).toBe(false);

    const rude = await rig.connect();
    rude.send(`${request("POST", "/", "Content-Length: 10")}hello`);
    const second = (await pipeline.visit(1)).start();
    rude.reset();
    await pipeline.until(() => second.cause, "the abort");
    expect(second.cause).toBe("left");

    const gone = await rig.connect();
    gone.send(get("/"));
    const third = (await pipeline.visit(2)).start();
    gone.reset();
    await pipeline.until(() => third.cause, "the abort");
    expect(third.cause).toBe("left");
    await rig.empty();
  });

  test("a broken chunk is 400 before the response and a reset after it has begun", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const chunked = request("POST", "/", "Transfer-Encoding: chunked");
    const early = await rig.connect();
    early.send(`${chunked}3\r\nabc\r\n`);
    const first = (await pipeline.visit(0)).start();
    early.send("zz\r\n");
    expect(await early.ended()).toBe("end");
    expect(early.text).toStartWith("HTTP/1.1 400 ");
    expect(first.cause).toBe("short");
    expect(first.hasEnded).toBe(false);
    respond(first.reply, "ignored");

    const late = await rig.connect();
    late.send(`${chunked}3\r\nabc\r\n`);
    const second = (await pipeline.visit(1)).start();
    second.reply.head(headOf(-1));
    await late.until("200 OK");
    late.send("zz\r\n");
    expect(await late.ended()).toBe("reset");
    expect(second.cause).toBe("short");
    expect(early.text).not.toContain("ignored");
  });

  test.each([
    ["chunk extensions above 256 bytes", `1;x=${"y".repeat(300)}\r\na\r\n`],
    ["chunk extensions above 4 KiB in all", `1;x=${"y".repeat(250)}\r\na\r\n`.repeat(17)],
    ["trailers above 8 KiB", `0\r\n${`A: ${"x".repeat(2_000)}\r\n`.repeat(5)}\r\n`],
    ["more than 32 trailers", `0\r\n${"A: b\r\n".repeat(33)}\r\n`],
  ])("refuses %s", async (_, bytes) => {
    const pipeline = new Pipeline((visit) => visit.start());
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(request("POST", "/", "Transfer-Encoding: chunked") + bytes);
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toStartWith("HTTP/1.1 400 ");
    expect(pipeline.visits[0]?.cause).toBe("short");
  });

  test("limits.bodyBytes is 413, announced or found out", async () => {
    const pipeline = new Pipeline((visit) => visit.start());
    await using rig = await new Rig(pipeline.serve, { limits: { bodyBytes: 4 } }).start();
    const honest = await rig.connect();
    honest.send(request("POST", "/", "Content-Length: 5"));
    await honest.ended();
    expect(honest.text).toContain("Tunl-Error: BODY_TOO_LARGE");
    expect(pipeline.visits).toHaveLength(0);
    const sly = await rig.connect();
    sly.send(`${request("POST", "/", "Transfer-Encoding: chunked")}5\r\nabcde\r\n`);
    await sly.ended();
    expect(sly.text).toStartWith("HTTP/1.1 413 ");
    expect(pipeline.visits[0]?.cause).toBe("short");
  });
});

describe("visitor connection: a body that is withheld", () => {
  const SIZE = 8 << 20;

  test("is read no further than it was here, and comes whole once it is wanted", async () => {
    const held: number[] = [];
    const pipeline = new Pipeline(({ visit }) => held.push(visit.body.withhold()));
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(request("POST", "/", `Content-Length: ${SIZE}`));
    const visit = await pipeline.visit(0);
    visitor.send(Buffer.alloc(SIZE, "w"));
    // A round trip of another visitor, then some more turns: bytes that were read would have come.
    const other = await rig.connect();
    other.send(get("/"));
    respond((await pipeline.visit(1)).start().reply, "other");
    await other.until("other");
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    held.push(visit.visit.body.withhold());
    expect(held).toEqual([0, 0, 0]);
    expect(visitor.socket.writableLength).toBeGreaterThan(0);
    visit.start();
    await pipeline.until(() => visit.hasEnded, "the whole body");
    expect(visit.text.length).toBe(SIZE);
    respond(visit.reply, "done");
    await visitor.until("done");
  });

  test("is dropped like any other where an answer of ours comes first", async () => {
    const pipeline = new Pipeline(({ visit }) => visit.body.withhold());
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(`${request("POST", "/", "Content-Length: 10")}hello`);
    respond((await pipeline.visit(0)).reply, "busy");
    await visitor.until("busy");
    visitor.send("world");
    expect(await visitor.ended()).toBe("end");
  });

  test("a visitor who resets meanwhile is gone", async () => {
    const pipeline = new Pipeline(({ visit }) => visit.body.withhold());
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(`${request("POST", "/", "Content-Length: 10")}hello`);
    const visit = await pipeline.visit(0);
    visitor.reset();
    await pipeline.until(() => visit.cause, "the end");
    expect(visit.cause).toBe("left");
    await rig.empty();
  });
});

describe("visitor connection: responses", () => {
  test("head and first body bytes leave in one write", async () => {
    const pipeline = echo();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    const socket = await rig.firstSocket();
    const writes: number[] = [];
    const write = socket.write.bind(socket);
    socket.write = ((bytes: Uint8Array, done: () => void) => {
      writes.push(bytes.length);
      return write(bytes, done);
    }) as typeof socket.write;
    visitor.send(get("/one"));
    await visitor.until("</one>");
    expect(writes).toEqual([visitor.text.length]);
  });

  test("frames by length, by chunks with trailers, and by the end of the connection", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/", "TE: trailers", "Connection: TE"));
    const chunked = (await pipeline.visit(0)).start().reply;
    chunked.head(headOf(-1, 200, lines("X-A: 1")));
    chunked.body(Buffer.from("hello"));
    chunked.body(NO_LINES);
    chunked.end(lines("X-Sum: 5"));
    const text = await visitor.until("0\r\nX-Sum: 5\r\n\r\n");
    expect(text).toContain("X-A: 1\r\nTransfer-Encoding: chunked\r\n");
    expect(bodyOf(text)).toBe("5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n");

    visitor.send(get("/"));
    const plain = (await pipeline.visit(1)).start().reply;
    plain.head(headOf(-1));
    plain.end(lines("X-Sum: 5"));
    await visitor.until(/\r\n\r\n0\r\n\r\n$/);

    const old = await rig.connect();
    old.send("GET / HTTP/1.0\r\nHost: app.example.com\r\nConnection: keep-alive\r\n\r\n");
    const until = (await pipeline.visit(2)).start().reply;
    until.head(headOf(-1));
    until.body(Buffer.from("hello"));
    until.end(undefined);
    expect(await old.ended()).toBe("end");
    expect(old.text).toContain("Connection: close\r\n");
    expect(old.text).not.toMatch(/transfer-encoding|content-length/i);
    expect(bodyOf(old.text)).toBe("hello");
  });

  test("1.0 keeps the connection only when it asks and the length is known", async () => {
    await using rig = await new Rig(echo().serve).start();
    const kept = await rig.connect();
    const old = (target: string, ...fields: string[]): string =>
      `GET ${target} HTTP/1.0\r\nHost: app.example.com\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`;
    kept.send(old("/1", "Connection: keep-alive"));
    await kept.until("</1>");
    expect(kept.text).toContain("Connection: keep-alive\r\n");
    kept.send(old("/2"));
    expect(await kept.ended()).toBe("end");
    expect(kept.text).toEndWith("</2>");
  });

  test("Connection: close of the visitor is honoured", async () => {
    await using rig = await new Rig(echo().serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/1", "Connection: close") + get("/2"));
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toEndWith("</1>");
  });

  test("answers to HEAD, 204 and 304 have no body", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    const cases = [
      { method: "HEAD", status: 200, length: 5, body: "hello", announces: "Content-Length: 5\r\n" },
      { method: "HEAD", status: 200, length: -1, body: "", announces: "Content" },
      { method: "GET", status: 204, length: 0, body: "", announces: "Content" },
      { method: "GET", status: 304, length: 7, body: "", announces: "Content-Length: 7\r\n" },
    ];
    for (const [index, { method, status, length, body, announces }] of cases.entries()) {
      const before = visitor.text.length;
      visitor.send(request(method, "/"));
      const { reply } = (await pipeline.visit(index)).start();
      reply.head({
        status,
        reason: Buffer.from("Fine"),
        fields: NO_LINES,
        length,
        hasBody: method === "HEAD",
      });
      reply.body(Buffer.from(body));
      reply.end(undefined);
      await visitor.until((text) => text.slice(before).includes("\r\n\r\n"), "the head");
      const head = visitor.text.slice(before);
      expect(head).toStartWith(`HTTP/1.1 ${status} Fine\r\n`);
      expect(head).toEndWith("\r\n\r\n");
      if (announces === "Content") expect(head).not.toContain("Content-Length");
      else expect(head).toContain(announces);
      expect(head).not.toContain("Transfer-Encoding");
    }
    expect(pipeline.visits).toHaveLength(4);
  });

  test("interim responses reach 1.1 only, and never 100 or 101", async () => {
    const pipeline = new Pipeline((visit) => {
      visit.start();
      for (const status of [100, 101, 103, 200]) visit.reply.interim(status, lines("Link: </a>"));
      respond(visit.reply, "ok");
      visit.reply.interim(103, NO_LINES);
    });
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/"));
    await visitor.until(/ok$/);
    expect(visitor.text).toStartWith("HTTP/1.1 103 \r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n");
    expect(count(visitor.text, "HTTP/1.1")).toBe(2);
    const old = await rig.connect();
    old.send("GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n");
    await old.ended();
    expect(old.text).toStartWith("HTTP/1.1 200 OK\r\n");
  });

  test("credit is returned for body bytes alone, whatever the framing", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    for (const [index, length] of [-1, 30_000].entries()) {
      visitor.send(get("/"));
      const visit = (await pipeline.visit(index)).start();
      visit.reply.head(headOf(length));
      for (let part = 0; part < 300; part++) visit.reply.body(Buffer.alloc(100, 65));
      await pipeline.until(() => visit.takenBytes >= 30_000, "all bytes to be taken");
      visit.reply.end(undefined);
      await visitor.until(length < 0 ? /0\r\n\r\n$/ : /A{30000}$/);
      expect(visit.takenBytes).toBe(30_000);
    }
  });

  test("a cut response never looks whole: length", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/") + get("/next"));
    const { reply } = (await pipeline.visit(0)).start();
    reply.head(headOf(10));
    reply.body(Buffer.from("hello"));
    reply.cut("truncated");
    await visitor.ended();
    expect(visitor.text).toContain("Content-Length: 10\r\n");
    expect(bodyOf(visitor.text)).toBe("hello");
    expect(pipeline.visits).toHaveLength(1);
  });

  test("a cut response never looks whole: chunked", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/"));
    const { reply } = (await pipeline.visit(0)).start();
    reply.head(headOf(-1));
    reply.body(Buffer.from("hello"));
    reply.cut("truncated");
    reply.end(undefined);
    await visitor.ended();
    expect(bodyOf(visitor.text)).toBe("5\r\nhello\r\n");
  });

  test.each(["truncated", "reset"] as const)(
    "a cut response never looks whole: close-delimited, %s",
    async (cause) => {
      const pipeline = new Pipeline();
      await using rig = await new Rig(pipeline.serve).start();
      const visitor = await rig.connect();
      visitor.send("GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n");
      const { reply } = (await pipeline.visit(0)).start();
      reply.head(headOf(-1));
      reply.body(Buffer.from("hello"));
      await visitor.until("hello");
      reply.cut(cause);
      expect(await visitor.ended()).toBe("reset");
    },
  );

  test("node:http never takes a response that was cut anywhere for a whole one (S-11)", async () => {
    const draw = seededRandom();
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    let rounds = 0;
    for (; rounds < 60; rounds++) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const client = httpGet({
        port: rig.port,
        host: "127.0.0.1",
        agent: false,
        headers: { Host: "app.example.com" },
      });
      client.on("error", () => resolve(false));
      client.on("response", (response) => {
        response.on("error", () => resolve(false));
        response.on("close", () => resolve(response.complete));
        response.resume();
      });
      const { reply } = (await pipeline.visit(rounds)).start();
      const length = 1 + Math.floor(draw() * 100_000);
      const sent = Math.floor(draw() * length);
      reply.head(headOf(draw() < 0.5 ? length : -1));
      reply.body(Buffer.alloc(sent));
      if (draw() < 0.5) setImmediate(() => reply.cut("truncated"));
      else reply.cut(draw() < 0.5 ? "truncated" : "reset");
      const isWhole = await within(promise, `the end of response ${rounds}`);
      if (isWhole)
        throw new Error(
          `TUNL_SEED=${seed}: ${sent} of ${length} bytes look whole in round ${rounds}`,
        );
    }
    expect(rounds).toBe(60);
  });

  test("a response with too few or too many bytes is aborted, not mended", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const few = await rig.connect();
    few.send(get("/"));
    const first = (await pipeline.visit(0)).start().reply;
    first.head(headOf(10));
    first.body(Buffer.from("hello"));
    first.end(undefined);
    expect(await few.ended()).toBe("end");
    expect(bodyOf(few.text)).toBe("hello");
    const many = await rig.connect();
    many.send(get("/"));
    const second = (await pipeline.visit(1)).start().reply;
    second.head(headOf(3));
    second.body(Buffer.from("hello"));
    expect(await many.ended()).toBe("reset");
    expect(pipeline.visits[1]?.cause).toBe("short");
    expect(bodyOf(many.text)).toBe("");
  });

  test("calls after the end are ignored, also when the next request has begun", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/1") + get("/2"));
    const first = (await pipeline.visit(0)).start();
    respond(first.reply, "one");
    const second = (await pipeline.visit(1)).start();
    first.reply.cut("reset");
    first.reply.body(Buffer.from("evil"));
    first.reply.end(undefined);
    first.visit.body.pause();
    respond(second.reply, "two");
    await visitor.until(/two$/);
    expect(visitor.text).not.toContain("evil");
  });
});

describe("visitor connection: half-close and deadlines", () => {
  test("FIN after a complete request is legal", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/1") + get("/2"));
    visitor.fin();
    const first = (await pipeline.visit(0)).start();
    await rig.until(() => rig.sockets[0]?.readableEnded === true, "the FIN");
    respond(first.reply, "one");
    respond((await pipeline.visit(1)).start().reply, "two");
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toEndWith("two");
    expect(visitor.text).toContain("one");
    await rig.empty();
    expect(pipeline.visits.every((visit) => visit.cause === undefined)).toBe(true);
  });

  test("a half-closed visitor is given up when there is nothing to write", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve, { timeouts: { halfClosedMs: 300 } }).start();
    const visitor = await rig.connect();
    visitor.send(get("/"));
    visitor.fin();
    const visit = (await pipeline.visit(0)).start();
    await pipeline.until(() => visit.cause, "the end");
    expect(visit.cause).toBe("left");
    await rig.empty();
  });

  test("an unfinished head is 408, however it trickles", async () => {
    const pipeline = echo();
    await using rig = await new Rig(pipeline.serve, { timeouts: { headMs: 400 } }).start();
    const visitor = await rig.connect();
    const started = performance.now();
    const trickle = setInterval(() => visitor.send("X"), 50);
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\nX: ");
    await visitor.ended().finally(() => clearInterval(trickle));
    expect(visitor.text).toStartWith("HTTP/1.1 408 ");
    // Two steps of the wheel, and a machine that does something else.
    expect(performance.now() - started).toBeLessThan(4_400);
    expect(performance.now() - started).toBeGreaterThanOrEqual(400);
    expect(pipeline.visits).toHaveLength(0);
  });

  test("a timeout of 0 is never: not at once", async () => {
    const timeouts = { headMs: 0, idleMs: 0, bodyIdleMs: 0, writeStallMs: 0, halfClosedMs: 0 };
    const pipeline = new Pipeline((visit) => visit.start());
    await using rig = await new Rig(pipeline.serve, { timeouts }).start();
    const visitor = await rig.connect();
    visitor.send("POST / HTTP/1.1\r\nHost: app.example.com\r\n");
    const other = await rig.connect();
    other.send(request("POST", "/", "Content-Length: 3") + "a");
    const visit = await pipeline.visit(0);
    // The wheel turns: whatever was armed for "now" has had its step.
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.deadlines.schedule(2 * STEP_MS, resolve);
    await promise;
    expect(rig.deadlines.pending).toBe(0);
    visitor.send("Content-Length: 0\r\n\r\n");
    other.send("bc");
    other.fin();
    await pipeline.until(() => visit.hasEnded && pipeline.visits[1]?.hasEnded, "both requests");
    respond(visit.reply, "never");
    await other.until("never");
  });

  test("an idle connection is closed without a word, before and between requests", async () => {
    await using rig = await new Rig(echo().serve, { timeouts: { idleMs: 300 } }).start();
    const [silent, used] = [await rig.connect(), await rig.connect()];
    used.send(get("/1"));
    expect(await silent.ended()).toBe("end");
    expect(silent.text).toBe("");
    expect(await used.ended()).toBe("end");
    expect(used.text).toEndWith("</1>");
    expect(count(used.text, "HTTP/1.1")).toBe(1);
  });

  test("a body that stops is 408, a body we hold back is not", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve, { timeouts: { bodyIdleMs: 300 } }).start();
    const held = await rig.connect();
    held.send(`${request("POST", "/", "Content-Length: 10")}hello`);
    const second = (await pipeline.visit(0)).start();
    second.visit.body.pause();
    const unread = await rig.connect();
    unread.send(`${request("POST", "/", "Content-Length: 10")}hello`);
    const third = await pipeline.visit(1);
    const stopped = await rig.connect();
    stopped.send(`${request("POST", "/", "Content-Length: 10")}hello`);
    const first = (await pipeline.visit(2)).start();
    await stopped.ended();
    expect(stopped.text).toStartWith("HTTP/1.1 408 ");
    expect(first.cause).toBe("short");
    expect(second.cause).toBeUndefined();
    expect(third.cause).toBeUndefined();
    third.start();
    second.visit.body.resume();
    held.send("world");
    unread.send("world");
    await pipeline.until(() => second.hasEnded && third.hasEnded, "both bodies");
  });

  test("a body that trickles is 408 although it is never silent", async () => {
    const pipeline = new Pipeline((visit) => visit.start());
    await using rig = await new Rig(pipeline.serve, {
      timeouts: { bodyRateMs: 400 },
      limits: { bodyRate: 1_000 },
    }).start();
    const visitor = await rig.connect();
    visitor.send(request("POST", "/", "Content-Length: 1000"));
    const trickle = setInterval(() => visitor.send("x"), 60);
    await visitor.ended().finally(() => clearInterval(trickle));
    expect(visitor.text).toStartWith("HTTP/1.1 408 ");
    expect(pipeline.visits[0]?.cause).toBe("short");
  });

  test("a visitor that does not read is cut when data is pending, an idle stream is not", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve, { timeouts: { writeStallMs: 500 } }).start();
    const idle = await rig.connect();
    idle.send(get("/events"));
    const events = (await pipeline.visit(0)).start();
    events.reply.head(headOf(-1));
    const slow = await rig.connect();
    slow.socket.pause();
    slow.send(get("/"));
    const visit = (await pipeline.visit(1)).start();
    visit.reply.head(headOf(-1));
    const total = 16 * 1024 * 1024;
    visit.reply.body(Buffer.alloc(total));
    await pipeline.until(() => visit.cause, "the stall");
    expect(visit.cause).toBe("stalled");
    expect(visit.takenBytes).toBeLessThan(total);
    expect(events.cause).toBeUndefined();
    events.reply.body(Buffer.from("data: 1\n\n"));
    await idle.until("data: 1");
  });

  test("a slow reader that reads is not cut", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve, { timeouts: { writeStallMs: 700 } }).start();
    const slow = await rig.connect();
    slow.send(get("/"));
    const visit = (await pipeline.visit(0)).start();
    const total = 12 * 1024 * 1024;
    visit.reply.head(headOf(total));
    visit.reply.body(Buffer.alloc(total));
    visit.reply.end(undefined);
    // Reads for a moment, then pauses for one, until all is there.
    const turn = setInterval(
      () => (slow.socket.isPaused() ? slow.socket.resume() : slow.socket.pause()),
      20,
    );
    await slow
      .until((text) => text.length > total, "the download")
      .finally(() => clearInterval(turn));
    expect(visit.cause).toBeUndefined();
    expect(visit.takenBytes).toBe(total);
  });

  test("a connection schedules next to nothing per request", async () => {
    const pipeline = echo();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    let scheduled = 0;
    const schedule = rig.deadlines.schedule.bind(rig.deadlines);
    rig.deadlines.schedule = (afterMs, run) => {
      scheduled += 1;
      return schedule(afterMs, run);
    };
    for (let index = 0; index < 200; index++) {
      visitor.send(get(`/${index}`));
      await visitor.until(`</${index}>`);
    }
    expect(scheduled).toBeLessThan(5);
    expect(rig.deadlines.pending).toBe(1);
  });
});

describe("visitor connection: upgrades", () => {
  test("raw bytes both ways after a 101, those behind the head included", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(`${get("/socket", ...WEBSOCKET)}early`);
    const visit = (await pipeline.visit(0)).start();
    expect(visit.visit.request.upgrade).toBe("websocket");
    expect(visit.hasEnded).toBe(false);
    expect(visit.text).toBe("");
    visit.reply.upgrade("websocket", lines("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    expect(visit.text).toBe("early");
    visit.reply.body(Buffer.from("\x81\x02hi", "latin1"));
    const text = await visitor.until("\x81\x02hi");
    expect(text).toStartWith("HTTP/1.1 101 Switching Protocols\r\n");
    expect(text).toContain("Connection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi");
    visitor.send("late");
    await pipeline.until(() => visit.text === "earlylate", "the bytes of the visitor");
    await pipeline.until(() => visit.takenBytes === 4, "the credit");
  });

  test.each(["visitor", "origin"] as const)(
    "half-close of the %s passes, the other direction goes on",
    async (first) => {
      const pipeline = new Pipeline();
      await using rig = await new Rig(pipeline.serve, { timeouts: { halfClosedMs: 1 } }).start();
      const visitor = await rig.connect();
      visitor.send(get("/socket", "Connection: upgrade", "Upgrade: raw"));
      const visit = (await pipeline.visit(0)).start();
      visit.reply.upgrade("raw", NO_LINES);
      await visitor.until("\r\n\r\n");
      if (first === "visitor") {
        visitor.fin();
        await pipeline.until(() => visit.hasEnded, "the FIN of the visitor");
        visit.reply.body(Buffer.from("still"));
        await visitor.until("still");
        visit.reply.end(undefined);
        expect(await visitor.ended()).toBe("end");
      } else {
        visit.reply.end(undefined);
        expect(await visitor.ended()).toBe("end");
        visitor.send("still");
        await pipeline.until(() => visit.text === "still", "the bytes of the visitor");
        visitor.fin();
        await pipeline.until(() => visit.hasEnded, "the FIN of the visitor");
      }
      await rig.empty();
      expect(visit.cause).toBeUndefined();
    },
  );

  test("what a visitor sent before its FIN is delivered although both ends are closed", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/socket", "Connection: upgrade", "Upgrade: raw"));
    const visit = (await pipeline.visit(0)).start();
    visit.reply.upgrade("raw", NO_LINES);
    visit.visit.body.pause();
    visit.reply.end(undefined);
    visitor.send("last words");
    visitor.fin();
    await visitor.ended();
    expect(visit.text).toBe("");
    visit.visit.body.resume();
    await pipeline.until(() => visit.hasEnded, "the FIN of the visitor");
    expect(visit.text).toBe("last words");
    expect(visit.cause).toBeUndefined();
    const socket = await rig.firstSocket();
    await rig.until(() => socket.destroyed, "the socket to close");
    expect(rig.visitors.count).toBe(0);
  });

  test("reset passes both ways", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const rude = await rig.connect();
    rude.send(get("/socket", "Connection: upgrade", "Upgrade: raw"));
    const first = (await pipeline.visit(0)).start();
    first.reply.upgrade("raw", NO_LINES);
    await rude.until("101");
    rude.reset();
    await pipeline.until(() => first.cause, "the reset of the visitor");
    expect(first.cause).toBe("left");
    expect(first.hasEnded).toBe(false);
    for (const cause of ["reset", "truncated"] as const) {
      const visitor = await rig.connect();
      visitor.send(get("/socket", "Connection: upgrade", "Upgrade: raw"));
      const visit = (await pipeline.visit(pipeline.visits.length)).start();
      visit.reply.upgrade("raw", NO_LINES);
      await visitor.until("101");
      visit.reply.cut(cause);
      expect(await visitor.ended()).toBe("reset");
    }
    await rig.empty();
  });

  test("a refused upgrade is an ordinary response and what follows is the next request (S-50)", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/socket", ...WEBSOCKET) + get("/next"));
    const visit = (await pipeline.visit(0)).start();
    expect(visit.hasEnded).toBe(false);
    respond(visit.reply, "no", 426);
    expect(visit.hasEnded).toBe(true);
    expect(visit.text).toBe("");
    const next = await pipeline.visit(1);
    expect(next.visit.request.upgrade).toBeUndefined();
    respond(next.start().reply, "next");
    await visitor.until(/no[^]*next$/);
  });

  test("an upgraded connection is cut when it does not read, and when it is idle only if that is configured", async () => {
    const pipeline = new Pipeline((visit) => {
      visit.start();
      visit.reply.upgrade("raw", NO_LINES);
    });
    await using rig = await new Rig(pipeline.serve, {
      timeouts: { idleMs: 100, bodyIdleMs: 100, headMs: 100, upgradeIdleMs: 600 },
    }).start();
    const visitor = await rig.connect();
    const started = performance.now();
    visitor.send(get("/socket", "Connection: upgrade", "Upgrade: raw"));
    await visitor.until("101");
    await visitor.ended();
    expect(performance.now() - started).toBeGreaterThan(550);
    expect(pipeline.visits[0]?.cause).toBe("stalled");
  });
});

describe("visitor connection: drain and abort", () => {
  test("drain closes idle connections and lets the others finish with Connection: close", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const [idle, busy] = [await rig.connect(), await rig.connect()];
    busy.send(get("/busy"));
    const visit = (await pipeline.visit(0)).start();
    await rig.until(() => rig.visitors.count === 2, "both connections");
    const drained = rig.visitors.drain();
    expect(await idle.ended()).toBe("end");
    respond(visit.reply, "done");
    expect(await busy.ended()).toBe("end");
    expect(busy.text).toContain("Connection: close\r\n");
    expect(busy.text).toEndWith("done");
    idle.fin();
    busy.fin();
    await within(drained, "the drain");
    const late = await rig.connect();
    expect(await late.ended()).toBe("end");
  });

  test("abort tells the pipeline and resets", async () => {
    const pipeline = new Pipeline();
    await using rig = await new Rig(pipeline.serve).start();
    const visitor = await rig.connect();
    visitor.send(get("/"));
    const visit = (await pipeline.visit(0)).start();
    rig.visitors.abort();
    expect(visit.cause).toBe("left");
    expect(await visitor.ended()).toBe("reset");
    expect(rig.visitors.count).toBe(0);
    respond(visit.reply, "ignored");
  });

  test("a pipeline that throws costs its own connection only", async () => {
    const pipeline = new Pipeline((visit) => {
      if (visit.visit.request.target.length > 1) throw new Error("boom");
      respond(visit.start().reply, "fine");
    });
    await using rig = await new Rig(pipeline.serve).start();
    const [bad, good] = [await rig.connect(), await rig.connect()];
    bad.send(get("/bad"));
    expect(await bad.ended()).toBe("reset");
    good.send(get("/"));
    await good.until("fine");
    expect(rig.records.some((record) => record.level === "error")).toBe(true);
  });
});
