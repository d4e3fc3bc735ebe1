// This file is the ways a visitor of the soak uses a service, on Node's own TLS and HTTP client and the `ws` package. Each resolves if every byte was right and rejects otherwise.
import { createHash } from "node:crypto";
import { once } from "node:events";
import https from "node:https";
import { WebSocket } from "ws";
import { drained, hashOf, part, pieces } from "./content.mjs";

const TIMEOUT_MS = 30_000;

/** Connections: kept, new with the TLS session of the one before, new with a full handshake. */
export function agents(tls) {
  return {
    kept: new https.Agent({ ...tls, keepAlive: true, maxSockets: 8 }),
    resumed: new https.Agent({ ...tls, keepAlive: false }),
    fresh: new https.Agent({ ...tls, keepAlive: false, maxCachedSessions: 0 }),
  };
}

/** Makes a request; `start` writes its body. Resolves with the response. */
export function ask(goal, agent, path, { method = "GET", headers = {}, start } = {}) {
  return new Promise((resolve, reject) => {
    const request = https.request({
      host: "127.0.0.1",
      port: goal.port,
      servername: goal.host,
      headers: { host: `${goal.host}:${goal.port}`, ...headers },
      agent,
      method,
      path,
    });
    request.setTimeout(TIMEOUT_MS, () => request.destroy(new Error(`${path}: silent for 30 s`)));
    request.on("error", reject);
    request.on("response", (response) => {
      response.on("error", () => undefined);
      resolve({ request, response });
    });
    if (start === undefined) request.end();
    else start(request).catch((error) => request.destroy(error));
  });
}

/** Reads a response to its end; `paceMs` waits between its pieces. @returns Its length and hash. */
async function read(response, paceMs = 0) {
  const hash = createHash("sha256");
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    hash.update(chunk);
    if (paceMs > 0) await new Promise((resolve) => setTimeout(resolve, paceMs));
  }
  if (!response.complete) throw new Error(`cut after ${length} bytes`);
  return { length, sha256: hash.digest("hex") };
}

function demand(response, path, actual, expected) {
  if (response.statusCode !== 200)
    throw new Error(`${path}: ${response.statusCode} ${response.headers["tunl-error"] ?? ""}`);
  if (actual.length !== expected.length || actual.sha256 !== expected.sha256)
    throw new Error(
      `WRONG BYTES ${path}: ${actual.length} of ${expected.length}, hash ${actual.sha256}`,
    );
}

export async function download(goal, agent, from, length, { isChunked = false, paceMs = 0 } = {}) {
  const path = `/bytes/${from}/${length}${isChunked ? "/chunked" : ""}`;
  const { response } = await ask(goal, agent, path);
  const isReused = response.socket?.isSessionReused?.() === true;
  const actual = await read(response, paceMs);
  demand(response, path, actual, { length, sha256: hashOf(from, length) });
  return isReused;
}

/** Writes a body piece by piece, at the pace at which it is taken. */
export async function send(request, from, length) {
  for (const piece of pieces(from, length)) {
    if (request.destroyed) return;
    if (!request.write(piece)) await drained(request);
  }
  request.end();
}

export async function upload(goal, agent, from, length, { isChunked = false } = {}) {
  const { response } = await ask(goal, agent, "/upload", {
    method: "POST",
    headers: isChunked ? { "transfer-encoding": "chunked" } : { "content-length": length },
    start: (request) => send(request, from, length),
  });
  let text = "";
  for await (const chunk of response) text += chunk.toString("latin1");
  if (!response.complete) throw new Error("/upload: the answer was cut");
  const actual = response.statusCode === 200 ? JSON.parse(text) : {};
  demand(response, "/upload", actual, { length, sha256: hashOf(from, length) });
}

export async function events(goal, agent, count, ms) {
  const { response } = await ask(goal, agent, `/events/${count}/${ms}`);
  let text = "";
  for await (const chunk of response) text += chunk.toString("latin1");
  if (response.statusCode !== 200 || !response.complete)
    throw new Error(`/events: ${response.statusCode}, cut after ${text.length} bytes`);
  const expected = Array.from({ length: count }, (_, index) => `data: ${index}\n\n`).join("");
  if (text !== expected) throw new Error(`WRONG BYTES /events: ${text.length} bytes`);
}

export function openSocket(goal, tls) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`wss://127.0.0.1:${goal.port}/ws`, {
      ca: tls.ca,
      servername: goal.host,
      headers: { host: `${goal.host}:${goal.port}` },
      handshakeTimeout: TIMEOUT_MS,
      perMessageDeflate: false,
    });
    socket.once("open", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Echoes messages of different sizes, and closes as the protocol wants it. */
export async function talk(goal, tls, count, random) {
  const socket = await openSocket(goal, tls);
  socket.on("error", () => socket.terminate());
  const closed = once(socket, "close");
  for (let index = 0; index < count; index++) {
    const message = part(random(1 << 20), 1 + random(40_000));
    socket.send(message);
    const [answer] = await Promise.race([
      once(socket, "message", { signal: AbortSignal.timeout(TIMEOUT_MS) }),
      closed.then(([code]) => Promise.reject(new Error(`/ws: closed with ${code}`))),
    ]);
    if (!message.equals(answer)) throw new Error(`WRONG BYTES /ws: message ${index}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  socket.close(1000);
  const [code] = await closed;
  if (code !== 1000) throw new Error(`/ws: closed with ${code}, expected 1000`);
}
