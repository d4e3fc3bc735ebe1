import { beforeAll, describe, expect, test } from "bun:test";
import { request as httpsRequest } from "node:https";
import type { IncomingMessage } from "node:http";
import { makeSelfSigned, type PemPair } from "../../../src/edge/certificates/internal-ca.ts";
import type { Serve } from "../../../src/edge/visit.ts";
import { get, headOf, lines, NO_LINES, PEER, Pipeline, request, respond, Rig } from "./rig.ts";
import { within } from "../../within.ts";

let certificate: PemPair;

beforeAll(async () => {
  certificate = await makeSelfSigned("app.example.com", 1, Date.now());
});

const start = (serve: Serve): Promise<Rig> => new Rig(serve, {}, PEER, certificate).start();

describe("visitor connection over TLS", () => {
  test("serves requests with bodies one after the other", async () => {
    const pipeline = new Pipeline();
    await using rig = await start(pipeline.serve);
    const visitor = await rig.connect();
    for (let index = 0; index < 5; index++) {
      visitor.send(`${request("POST", "/", "Content-Length: 3")}a${index}b`);
      const visit = (await pipeline.visit(index)).start();
      await pipeline.until(() => visit.hasEnded, "the body");
      respond(visit.reply, `<${visit.text}>`);
      await visitor.until(`<a${index}b>`);
    }
  });

  test("a cut close-delimited response is a reset, not an end", async () => {
    const pipeline = new Pipeline();
    await using rig = await start(pipeline.serve);
    const visitor = await rig.connect();
    visitor.send("GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n");
    const { reply } = (await pipeline.visit(0)).start();
    reply.head(headOf(-1));
    reply.body(Buffer.from("hello"));
    await visitor.until("hello");
    reply.cut("truncated");
    expect(await visitor.ended()).toBe("reset");
  });

  test("half-close of an upgraded connection passes both ways", async () => {
    const pipeline = new Pipeline();
    await using rig = await start(pipeline.serve);
    const visitor = await rig.connect();
    visitor.send(get("/", "Connection: upgrade", "Upgrade: raw"));
    const visit = (await pipeline.visit(0)).start();
    visit.reply.upgrade("raw", NO_LINES);
    await visitor.until("\r\n\r\n");
    visitor.send("up");
    visitor.fin();
    await pipeline.until(() => visit.hasEnded, "the FIN of the visitor");
    expect(visit.text).toBe("up");
    visit.reply.body(Buffer.from("down"));
    visit.reply.end(undefined);
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toEndWith("\r\n\r\ndown");
    await rig.empty();
    expect(visit.cause).toBeUndefined();
  });

  test("a refusal reaches a visitor that is still sending", async () => {
    const pipeline = new Pipeline();
    await using rig = await start(pipeline.serve);
    const visitor = await rig.connect();
    visitor.send("nonsense\r\n\r\n" + "x".repeat(100_000));
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toStartWith("HTTP/1.1 400 ");
    expect(pipeline.visits).toHaveLength(0);
  });

  test("node:https agrees on bodies, trailers and framing both ways", async () => {
    const upload = Buffer.alloc(3_000_000, "0123456789");
    const pipeline = new Pipeline((visit) => visit.start());
    await using rig = await start(pipeline.serve);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const client = httpsRequest(
      {
        port: rig.port,
        host: "127.0.0.1",
        method: "POST",
        rejectUnauthorized: false,
        headers: {
          Host: "app.example.com",
          TE: "trailers",
          Connection: "TE",
          "Transfer-Encoding": "chunked",
        },
      },
      resolve,
    );
    client.on("error", reject);
    client.end(upload);
    const visit = await pipeline.visit(0);
    await pipeline.until(() => visit.hasEnded, "the upload");
    expect(Buffer.from(visit.text, "latin1").equals(upload)).toBe(true);
    visit.reply.head(headOf(-1, 201, lines("X-A: 1", "X-A: 2")));
    for (let at = 0; at < upload.length; at += 50_000)
      visit.reply.body(upload.subarray(at, at + 50_000));
    visit.reply.end(lines("X-Sum: 1"));
    const response = await within(promise, "the response");
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    await within(new Promise((done) => response.on("end", done)), "the end of the response");
    expect(response.statusCode).toBe(201);
    expect(response.rawHeaders.filter((_, index) => index % 2 === 1)).toContain("2");
    expect(Buffer.concat(chunks).equals(upload)).toBe(true);
    expect(response.rawTrailers).toEqual(["X-Sum", "1"]);
    expect(visit.takenBytes).toBe(upload.length);
  });
});
