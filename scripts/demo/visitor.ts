// This file is the visitor of the demo: https and WebSocket to a public name, dialled at 127.0.0.1 without asking a resolver.
import { request } from "node:https";
import type { IncomingMessage } from "node:http";
import type { RequestOptions } from "node:https";
import { WebSocketClient } from "./websocket.ts";

const HOST = "127.0.0.1";
/** How long one answer may take. */
const ANSWER_MS = 15_000;

/** An answer in full. */
export interface Answer {
  readonly status: number;
  readonly body: Buffer;
  /** `Tunl-Error` of an answer that the edge made itself. */
  readonly errorCode?: string | undefined;
}

/** What the checks need of a visitor. */
export interface Visits {
  /** @throws Error if the connection or the answer breaks, or after 15 s. */
  send(method: "GET" | "POST", path: string, body?: Uint8Array): Promise<Answer>;
  /** @throws Error if it is not upgraded. */
  openWebSocket(path: string): Promise<Conversation>;
}

/** A WebSocket, as far as the checks use it. */
export interface Conversation extends Disposable {
  /** Sends a text and waits for the next one. @throws Error if the connection breaks, or after 15 s. */
  exchange(text: string): Promise<string>;
}

/** Visits one public name; its certificate must be good for that name under `ca`. */
export class Visitor implements Visits {
  readonly #url: URL;
  readonly #ca: string;

  constructor(url: URL, ca: string) {
    this.#url = url;
    this.#ca = ca;
  }

  send(method: "GET" | "POST", path: string, body?: Uint8Array): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        this.#options(method, path, body === undefined ? {} : { "content-length": body.length }),
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            if (!response.complete) reject(new Error("The answer was cut"));
            else
              resolve({
                status: response.statusCode ?? 0,
                body: Buffer.concat(chunks),
                errorCode: errorCodeOf(response),
              });
          });
        },
      );
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  openWebSocket(path: string): Promise<Conversation> {
    const client = new WebSocketClient(ANSWER_MS);
    return new Promise((resolve, reject) => {
      const outgoing = request(this.#options("GET", path, client.headers), (response) => {
        response.resume();
        const code = errorCodeOf(response);
        const status = `${response.statusCode}${code === undefined ? "" : ` (${code})`}`;
        reject(new Error(`The upgrade was answered with ${status}, expected 101`));
      });
      outgoing.on("upgrade", (response, socket, head) => {
        try {
          client.start(response.headers["sec-websocket-accept"], socket, head);
          resolve(client);
        } catch (error) {
          socket.destroy();
          reject(error);
        }
      });
      outgoing.on("error", reject);
      outgoing.end();
    });
  }

  #options(method: string, path: string, headers: Record<string, string | number>): RequestOptions {
    const { hostname, port, host } = this.#url;
    return {
      host: HOST,
      port,
      servername: hostname,
      ca: this.#ca,
      agent: false,
      method,
      path,
      headers: { host, ...headers },
      signal: AbortSignal.timeout(ANSWER_MS),
    };
  }
}

function errorCodeOf({ headers }: IncomingMessage): string | undefined {
  const value = headers["tunl-error"];
  return typeof value === "string" ? value : undefined;
}
