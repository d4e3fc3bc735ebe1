// This file is a program: closed loop of requests, each on a connection and a full handshake of its own, for wrk resumes TLS sessions. benchmarks.md §5.
//   connect-load.ts SCHEME HOST PORT CA_PATH|- SECONDS CONNECTIONS PATH
// Prints one line of JSON: requests, errors, seconds, p50 and p99 in milliseconds.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls, createSecureContext } from "node:tls";

const ADDRESS = "127.0.0.1";
const TIMEOUT_MS = 5_000;
const OK = "HTTP/1.1 200 ";

const [scheme = "", host = "", port = "", caPath = "", seconds = "", connections = "", path = ""] =
  process.argv.slice(2);
const request = `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`;
const context =
  scheme === "https" ? createSecureContext({ ca: readFileSync(caPath, "utf8") }) : undefined;
const latencies: number[] = [];
let errors = 0;

function dial(): Socket {
  // Without `session` and an agent there is nothing to resume.
  return context === undefined
    ? connect({ host: ADDRESS, port: Number(port) })
    : connectTls({ host: ADDRESS, port: Number(port), servername: host, secureContext: context });
}

/** One request. @returns True if the answer came whole: it ends with the connection, and was 200. */
function once(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dial();
    let received = "";
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
    socket.on(context === undefined ? "connect" : "secureConnect", () => socket.write(request));
    socket.on("data", (bytes: Buffer) => (received += bytes.toString("latin1")));
    // What is missing shows in `received`.
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    socket.on("close", () => resolve(isWhole(received)));
  });
}

function isWhole(answer: string): boolean {
  const headEnd = answer.indexOf("\r\n\r\n");
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(answer.slice(0, headEnd + 2));
  return answer.startsWith(OK) && answer.length === headEnd + 4 + Number(length?.[1]);
}

const startedAt = performance.now();
const endsAt = startedAt + Number(seconds) * 1_000;

async function loop(): Promise<void> {
  while (performance.now() < endsAt) {
    const sentAt = performance.now();
    if (await once()) latencies.push(performance.now() - sentAt);
    else errors += 1;
  }
}

await Promise.all(Array.from({ length: Number(connections) }, loop));
latencies.sort((left, right) => left - right);
const quantile = (part: number): number =>
  latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))] ?? 0;
console.log(
  JSON.stringify({
    requests: latencies.length,
    errors,
    us: (performance.now() - startedAt) * 1_000,
    p50: quantile(0.5) * 1_000,
    p99: quantile(0.99) * 1_000,
  }),
);
