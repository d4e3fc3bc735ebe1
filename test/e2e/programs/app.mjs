// This file is a Node program: the origin of most end-to-end tests, on Node's own HTTP server and the real `ws` package.
// Usage: node app.mjs '{"host": "127.0.0.1"}' | '{"path": "/tmp/x.sock"}', with "key" and "cert" (files) for https.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { WebSocketServer } from "ws";

const { host = "127.0.0.1", port = 0, path, key, cert } = JSON.parse(process.argv[2] ?? "{}");

/** Requests whose head arrived. */
let seen = 0;
/** How often an image of the page was sent. */
let images = 0;

/** A 1 × 1 PNG: what a browser has to decode to say that an image is loaded. */
const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

const COLOURS = ["#b4541a", "#2f6f4f", "#2c5aa0", "#8a3b6b", "#7a6a1f", "#444c5a"];

const PAGE = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Through the tunnel</title>
<style>body{font:16px sans-serif;margin:2rem}img{width:7rem;height:7rem;margin:.25rem;border-radius:8px}#count{font-size:2rem}</style>
<h1>Through the tunnel</h1>
<p>${COLOURS.map((_, index) => `<img alt="${index}" src="/image/${index}.svg">`).join("\n")}
<img alt="pixel" src="/image/pixel.png"></p>
<p>Counter: <span id="count">-</span> <span id="state">connecting</span></p>
<script>
  const socket = new WebSocket("wss://" + location.host + "/ws/counter");
  socket.onopen = () => (document.getElementById("state").textContent = "open");
  socket.onclose = (event) => (document.getElementById("state").textContent = "closed " + event.code);
  socket.onmessage = (event) => (document.getElementById("count").textContent = event.data);
</script>
</html>`;

function sendImage(name, response) {
  images += 1;
  if (name === "pixel.png")
    return response.writeHead(200, { "content-type": "image/png" }).end(PIXEL);
  const colour = COLOURS[Number.parseInt(name, 10)];
  response.writeHead(200, { "content-type": "image/svg+xml" });
  response.end(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><rect width="10" height="10" fill="${colour}"/></svg>`,
  );
}

/** Says back what came: method, target, header lines in order, length and SHA-256 of the body, trailers. */
function echo(request, response) {
  const hash = createHash("sha256");
  let length = 0;
  request.on("data", (bytes) => {
    length += bytes.length;
    hash.update(bytes);
  });
  request.on("end", () => {
    const { method, url, httpVersion, rawHeaders, rawTrailers } = request;
    const body = JSON.stringify({
      method,
      url,
      httpVersion,
      headers: rawHeaders,
      trailers: rawTrailers,
      length,
      sha256: hash.digest("hex"),
    });
    response.writeHead(200, { "content-type": "application/json", "x-origin": "node" });
    response.end(request.method === "HEAD" ? undefined : body);
  });
}

/** Hashes an upload of any size, and says on stdout how far it is. */
function upload(request, response) {
  const hash = createHash("sha256");
  let length = 0;
  let told = 0;
  request.once("data", () => console.log("upload begun"));
  request.on("close", () => console.log(request.complete ? "upload whole" : "upload cut"));
  request.on("data", (bytes) => {
    length += bytes.length;
    hash.update(bytes);
    while (length - told >= 1 << 20) {
      told += 1 << 20;
      if (told % (16 << 20) === 0) console.log(`uploaded ${told >> 20} MiB`);
    }
  });
  request.on("end", () => response.end(JSON.stringify({ length, sha256: hash.digest("hex") })));
}

/** An event a second; each says when it was written, wall clock in ms. */
function events(count, response) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  let sent = 0;
  const send = () => {
    response.write(`data: ${Date.now()}\n\n`);
    sent += 1;
    if (sent < count) return;
    clearInterval(timer);
    response.end();
  };
  const timer = setInterval(send, 1_000);
  send();
}

/** Says 102 every so often, then answers. */
function sayProcessing(times, everyMs, response) {
  let said = 0;
  const timer = setInterval(() => {
    said += 1;
    if (said <= times) return response.writeProcessing();
    clearInterval(timer);
    return response.end("patience paid");
  }, everyMs);
}

/** Begins an answer and never ends it: whoever runs the test cuts it, or a reset does. */
function begin(how, end, response) {
  const part = Buffer.alloc(10_000, "x");
  if (how === "length") response.writeHead(200, { "content-length": 100_000 });
  if (how === "chunked") response.writeHead(200, { "content-type": "text/plain" });
  if (how === "close") {
    // Node frames by itself unless it is told not to.
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { connection: "close" });
  }
  response.write(part);
  if (end === "reset") setTimeout(() => response.socket.resetAndDestroy(), 200);
}

function answer(request, response) {
  seen += 1;
  const url = new URL(request.url, "http://origin");
  const [, name, argument, option] = url.pathname.split("/");
  const number = Number(argument);
  switch (name) {
    case "":
      return response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(PAGE);
    case "image":
      return sendImage(argument, response);
    case "echo":
      return echo(request, response);
    case "upload":
      return upload(request, response);
    case "late":
      // Nothing of the body is read before.
      setTimeout(() => upload(request, response), number);
      return undefined;
    case "status":
      return response.writeHead(number, number === 304 ? { etag: '"v1"' } : {}).end();
    case "bytes":
      return response.end(Buffer.alloc(number, "b"));
    case "chunked":
      for (let index = 0; index < number; index++) response.write(`piece ${index}\n`);
      return response.end();
    case "trailers":
      response.writeHead(200, { trailer: "X-Check" });
      response.write("body with trailers");
      response.addTrailers({ "X-Check": "whole" });
      return response.end();
    case "header":
      return response.writeHead(200, { "x-large": "h".repeat(number) }).end("large header");
    case "cookies":
      return response.writeHead(200, { "set-cookie": ["a=1", "b=2"], "x-case-Kept": "Yes" }).end();
    case "hops":
      response.writeHead(200, {
        connection: "keep-alive, x-hop",
        "x-hop": "1",
        "keep-alive": "timeout=5",
        "proxy-authenticate": "Basic",
        "alt-svc": 'h3=":1"',
        "tunl-error": "FORGED",
        "x-tunl-request-id": "forged",
        "x-kept": "yes",
      });
      return response.end("hops");
    case "split":
      // Head and body in two writes, nothing between them.
      response.writeHead(200, { "content-type": "text/plain", "content-length": 5 });
      response.flushHeaders();
      return response.end("split");
    case "slow":
      setTimeout(() => response.end("slow but whole"), number);
      return undefined;
    case "patience":
      return sayProcessing(number, Number(option), response);
    case "drip":
      response.writeHead(200, { "content-length": 20 });
      response.write("0123456789");
      setTimeout(() => response.end("0123456789"), number);
      return undefined;
    case "events":
      return events(number, response);
    case "begin":
      return begin(argument, option, response);
    case "seen":
      return response.end(JSON.stringify({ seen, images }));
    default:
      return response
        .writeHead(404, { "content-type": "text/plain" })
        .end("the origin has no such page");
  }
}

const server =
  key === undefined
    ? http.createServer(answer)
    : https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, answer);
// The size of one header line is what one of the tests measures.
server.maxHeadersCount = 0;

const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: 8 << 20,
  perMessageDeflate: true,
  handleProtocols: (offered) => (offered.has("chat.v2") ? "chat.v2" : false),
});
server.on("upgrade", (request, socket, head) => {
  seen += 1;
  if (request.url === "/ws/refused") {
    socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\nconnection: close\r\n\r\nrefused");
    return;
  }
  sockets.handleUpgrade(request, socket, head, (live) => serveSocket(request.url, live));
});

function serveSocket(url, live) {
  if (url === "/ws/counter") {
    let count = 0;
    console.log("counting");
    const timer = setInterval(() => live.send(String((count += 1))), 50);
    live.on("close", () => clearInterval(timer));
  } else if (url.startsWith("/ws/close/")) {
    live.close(Number(url.split("/")[3]), "as asked");
  } else {
    live.on("message", (data, isBinary) => live.send(data, { binary: isBinary }));
    live.on("close", (code, reason) => console.log(`closed ${code} ${reason}`));
  }
}

server.listen(path === undefined ? { host, port } : { path }, () => {
  const address = server.address();
  console.log(`listening ${typeof address === "string" ? address : address.port}`);
});
