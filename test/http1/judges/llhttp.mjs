// This file is a Node program: what Node's own HTTP server and client, which parse with llhttp, read in given bytes.
// Usage: node llhttp.mjs FILE. The file has {connections: base64[], responses: {method, bytes, isLast}[]}; the answer is one line of JSON.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";

const { connections, responses } = JSON.parse(readFileSync(process.argv[2], "utf8"));

/** Connections open at a time. */
const AT_ONCE = 32;

/** Names and values take turns in Node's raw lists. */
const pairs = (raw) =>
  Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at], raw[2 * at + 1]]);

async function bodyOf(message) {
  const chunks = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks).toString("base64");
}

const port = async (server) => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
};

/** Every request on one connection after the other, as a server sees them. */
async function judgeRequests() {
  /** By the port of its client: what was read on each connection. */
  const judgedOn = new Map();
  const server = http.createServer({ maxHeaderSize: 65_536 }, async (request, response) => {
    const seen = {
      method: request.method,
      target: request.url,
      version: request.httpVersion,
      fields: pairs(request.rawHeaders),
    };
    const { requests } = judgedOn.get(request.socket.remotePort);
    const at = requests.push(seen) - 1;
    try {
      seen.body = await bodyOf(request);
    } catch (error) {
      seen.error = error.message;
    }
    seen.trailers = pairs(request.rawTrailers);
    requests[at] = seen;
    response.writeHead(204).end();
  });
  server.maxHeadersCount = 0;
  server.on("clientError", (error, socket) => {
    // A socket that was reset has no port any more, and says nothing about its bytes.
    const judged = judgedOn.get(socket.remotePort);
    if (judged !== undefined) judged.error = error.code;
    socket.destroy();
  });
  const at = await port(server);
  const judge = async (bytes) => {
    const judged = { requests: [], error: null };
    const socket = net.connect({ port: at, host: "127.0.0.1" });
    socket.on("error", () => {});
    await once(socket, "connect");
    judgedOn.set(socket.localPort, judged);
    const port = socket.localPort;
    socket.resume();
    socket.end(Buffer.from(bytes, "base64"));
    await once(socket, "close");
    judgedOn.delete(port);
    return judged;
  };
  const judged = [];
  for (let from = 0; from < connections.length; from += AT_ONCE)
    judged.push(...(await Promise.all(connections.slice(from, from + AT_ONCE).map(judge))));
  server.close();
  return judged;
}

/** Every response on one connection that is kept alive, as a client sees them. */
async function judgeResponses() {
  const server = net.createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (!text.includes("\r\n\r\n")) return;
      const index = Number(/^\S+ \/(\d+) /.exec(text)?.[1]);
      text = "";
      const { bytes, isLast } = responses[index];
      socket.write(Buffer.from(bytes, "base64"));
      if (isLast) socket.end();
    });
  });
  const at = await port(server);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const judged = [];
  for (const [index, { method }] of responses.entries()) {
    const seen = { interim: [], error: null };
    const request = http.request({
      ...{ agent, port: at, host: "127.0.0.1", method, path: `/${index}` },
      maxHeaderSize: 65_536,
    });
    // Also what is wrong behind a response that is over already.
    request.on("error", (error) => (seen.error = error.code ?? error.message));
    request.maxHeadersCount = 0;
    request.on("information", ({ statusCode }) => seen.interim.push(statusCode));
    request.end();
    try {
      const [response] = await once(request, "response");
      seen.status = response.statusCode;
      seen.reason = response.statusMessage;
      seen.version = response.httpVersion;
      seen.fields = pairs(response.rawHeaders);
      seen.body = await bodyOf(response);
      seen.trailers = pairs(response.rawTrailers);
    } catch (error) {
      seen.error = error.code ?? error.message;
    }
    judged.push(seen);
  }
  agent.destroy();
  server.close();
  return judged;
}

process.stdout.write(
  `${JSON.stringify({ connections: await judgeRequests(), responses: await judgeResponses() })}\n`,
);
