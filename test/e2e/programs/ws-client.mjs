// This file is a Node program: a WebSocket visitor on the real `ws` package. Prints what it saw as one JSON line.
// Usage: node ws-client.mjs '{"url": "wss://…", "ca": FILE, "do": "echo" | "large" | "close" | "wait" | "leave", …}'
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import WebSocket from "ws";

const task = JSON.parse(process.argv[2]);
const seen = { opened: false, messages: 0, wrong: 0, sha256: [], largest: 0 };

const socket = new WebSocket(task.url, task.protocols ?? [], {
  ca: readFileSync(task.ca),
  // Every name leads to this machine, whatever its resolver says of *.localhost.
  lookup: (_, { all }, done) =>
    all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4),
});

/** Half of them binary, sizes around the frame header's steps (125, 126, 65,535, 65,536), each with its number in front. */
function message(index) {
  const size = [0, 1, 125, 126, 127, 1_000, 4_096][index % 7] + (index % 250 === 0 ? 65_536 : 0);
  const text = `${index}:${"m".repeat(size)}`;
  return index % 2 === 0 ? text : Buffer.from(text);
}

let sent = 0;
const WINDOW = 32;
function sendMore() {
  while (sent < task.count && sent - seen.messages < WINDOW) socket.send(message(sent++));
}

socket.on("open", () => {
  seen.opened = true;
  seen.protocol = socket.protocol;
  seen.extensions = socket.extensions;
  if (task.do === "echo") sendMore();
  if (task.do === "large") {
    seen.sent = [];
    for (let index = 0; index < task.count; index++) {
      const bytes = randomBytes(task.size);
      seen.sent.push(createHash("sha256").update(bytes).digest("hex"));
      socket.send(bytes);
    }
  }
  if (task.do === "close") socket.close(task.code, task.reason);
  if (task.do === "leave") socket.terminate();
});

socket.on("message", (data, isBinary) => {
  const index = seen.messages++;
  seen.largest = Math.max(seen.largest, data.length);
  if (task.do === "echo") {
    const expected = message(index);
    const isSame =
      isBinary === (typeof expected !== "string") && data.equals(Buffer.from(expected));
    if (!isSame) seen.wrong += 1;
    sendMore();
  }
  if (task.do === "large") seen.sha256.push(createHash("sha256").update(data).digest("hex"));
  if (task.do !== "wait" && seen.messages === task.count) socket.close(1000, "done");
});

socket.on("unexpected-response", (_, response) => {
  let body = "";
  response.on("data", (text) => (body += text));
  response.on("end", () => finish({ status: response.statusCode, body }));
});
socket.on("error", (error) => (seen.error = error.message));
socket.on("close", (code, reason) => finish({ code, reason: String(reason) }));

function finish(end) {
  console.log(JSON.stringify({ ...seen, ...end }));
  process.exit(0);
}
