// This file is a Node program: the service behind the tunnels of the soak.
//   origin.mjs PORT (0: the system chooses); prints "listening PORT"
// GET /bytes/FROM/LENGTH[/chunked], POST /upload, GET /events/COUNT/MS, GET /wait/MS, WebSocket /ws (echo).
import { createHash } from "node:crypto";
import http from "node:http";
import { WebSocketServer } from "ws";
import { drained, pieces } from "./content.mjs";

const port = Number(process.argv[2] ?? 0);

async function bytes(response, from, length, isChunked) {
  response.writeHead(200, isChunked ? {} : { "content-length": length });
  for (const piece of pieces(from, length)) {
    if (response.destroyed) return;
    if (!response.write(piece)) await drained(response);
  }
  response.end();
}

function upload(request, response) {
  const hash = createHash("sha256");
  let length = 0;
  request.on("data", (chunk) => {
    length += chunk.length;
    hash.update(chunk);
  });
  request.on("end", () => response.end(JSON.stringify({ length, sha256: hash.digest("hex") })));
}

function events(response, count, ms) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  let sent = 0;
  const timer = setInterval(() => {
    response.write(`data: ${sent}\n\n`);
    sent += 1;
    if (sent < count) return;
    clearInterval(timer);
    response.end();
  }, ms);
  response.on("close", () => clearInterval(timer));
}

const server = http.createServer((request, response) => {
  const [, name, first, second, third] = request.url.split("/");
  if (name === "bytes") void bytes(response, Number(first), Number(second), third === "chunked");
  else if (name === "upload") upload(request, response);
  else if (name === "events") events(response, Number(first), Number(second));
  else if (name === "wait") setTimeout(() => response.end("waited"), Number(first));
  else response.writeHead(404).end();
});

// The connector lets go a second earlier, so that the end of a soak is soon quiet.
server.keepAliveTimeout = 2_000;

const sockets = new WebSocketServer({ server, path: "/ws", maxPayload: 8 << 20 });
sockets.on("connection", (socket) => {
  // Visitors of the soak leave in the middle of things.
  socket.on("error", () => socket.terminate());
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.listen({ host: "127.0.0.1", port }, () => console.log(`listening ${server.address().port}`));
