// This file is the ways a visitor of the soak leaves in the middle: one for each phase of a connection and of an exchange.
import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { ask, openSocket, send } from "./clients.mjs";

const BIG = 8 << 20;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A TCP connection that says so much of a ClientHello, or nothing. */
async function rawBytes(goal, bytes) {
  const socket = connect(goal.port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(bytes);
  await pause(20);
  socket.resetAndDestroy();
}

async function tls(goal, options, text) {
  const socket = connectTls({
    ...options,
    host: "127.0.0.1",
    port: goal.port,
    servername: goal.host,
  });
  socket.on("error", () => undefined);
  await Promise.race([once(socket, "secureConnect"), once(socket, "close")]);
  socket.write(text);
  await pause(20);
  socket.destroy();
}

/** Leaves a response after so many bytes of it. */
async function leave(goal, agent, path, bytes) {
  const { request, response } = await ask(goal, agent, path);
  let seen = 0;
  for await (const chunk of response) {
    seen += chunk.length;
    if (seen >= bytes) break;
  }
  request.destroy();
}

const started = (request, from, length) =>
  Promise.race([send(request, from, length), pause(30)]).then(() => request.destroy());

/** Every phase by name. What the other side makes of it is its own business: none of them fails. */
export const ABORTS = {
  "before the hello": (goal) => rawBytes(goal, Buffer.alloc(0)),
  "in the hello": (goal) => rawBytes(goal, Buffer.from("16030100c8010000c40303", "hex")),
  "after the handshake": (goal, { options }) => tls(goal, options, ""),
  "in the head": (goal, { options }) => tls(goal, options, "GET /bytes/0/100 HTTP/1.1\r\nHo"),
  "in a request body": (goal, { agent }) =>
    ask(goal, agent, "/upload", {
      method: "POST",
      headers: { "content-length": BIG },
      start: (request) => started(request, 0, BIG),
    }),
  "in a chunked request body": (goal, { agent }) =>
    ask(goal, agent, "/upload", {
      method: "POST",
      headers: { "transfer-encoding": "chunked" },
      start: (request) => started(request, 0, BIG),
    }),
  "before the answer": (goal, { agent }) =>
    ask(goal, agent, "/wait/5000", {
      start: async (request) => {
        request.end();
        await pause(50);
        request.destroy();
      },
    }),
  "in the answer": (goal, { agent }) => leave(goal, agent, `/bytes/0/${BIG}`, 100_000),
  "in a chunked answer": (goal, { agent }) => leave(goal, agent, `/bytes/0/${BIG}/chunked`, 1),
  "in an event stream": (goal, { agent }) => leave(goal, agent, "/events/100/20", 30),
  "in a WebSocket": async (goal, { options }) => {
    const socket = await openSocket(goal, options);
    socket.on("error", () => undefined);
    socket.send(Buffer.alloc(200_000));
    await pause(5);
    socket.terminate();
  },
};
