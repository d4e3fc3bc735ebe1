// This file is an origin whose every response is planned to the byte: what it sends, where it stops, and how (S-11).
import { type Peer, RawOrigin } from "./peer.ts";

export type Framing = "length" | "chunked" | "close";

/** How an origin stops: `hold` sends no more and stays, for what is cut elsewhere. */
export type Stop = "fin" | "rst" | "hold" | "whole";

export interface Plan {
  readonly framing: Framing;
  readonly body: string;
  /** Bytes of the message, head included, that leave the origin. */
  readonly offset: number;
  readonly stop: Stop;
}

/** The bytes of a whole response. */
export function responseOf(framing: Framing, body: string): string {
  const head = (field: string): string => `HTTP/1.1 200 OK\r\n${field}\r\n`;
  if (framing === "length") return head(`Content-Length: ${body.length}\r\n`) + body;
  if (framing === "close") return head("X-Framing: none\r\n") + body;
  const chunks = body.match(/[^]{1,5000}/g) ?? [];
  const pieces = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
  return `${head("Transfer-Encoding: chunked\r\n")}${pieces.join("")}0\r\n\r\n`;
}

/** Bytes that differ from place to place, so that a byte too few or moved shows. */
export function bodyOf(length: number, seed: number): string {
  const line = (index: number): string => `${seed}:${index} `;
  let text = "";
  for (let index = 0; text.length < length; index++) text += line(index);
  return text.slice(0, length);
}

export class CuttingOrigin implements AsyncDisposable {
  readonly #origin: RawOrigin;
  readonly #planned: Map<string, Plan>;
  #count = 0;

  private constructor(origin: RawOrigin, planned: Map<string, Plan>) {
    this.#origin = origin;
    this.#planned = planned;
  }

  static async start(): Promise<CuttingOrigin> {
    const planned = new Map<string, Plan>();
    const origin = await RawOrigin.start({}, (peer) =>
      peer.onHead((head) => {
        const found = planned.get(head.split(" ")[1] ?? "");
        if (found === undefined) peer.reset();
        else carryOut(peer, found);
      }),
    );
    return new CuttingOrigin(origin, planned);
  }

  get port(): number {
    return this.#origin.port;
  }

  /** @returns The path to ask for. */
  plan(plan: Plan): string {
    const path = `/${(this.#count += 1)}`;
    this.#planned.set(path, plan);
    return path;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#origin[Symbol.asyncDispose]();
  }
}

function carryOut(peer: Peer, { framing, body, offset, stop }: Plan): void {
  const text = responseOf(framing, body);
  const end = (): void => {
    // Half of them leave the bytes a moment to get through: an RST takes along what was not read.
    if (stop === "rst" && offset % 2 === 0) peer.reset();
    else if (stop === "rst") setTimeout(() => peer.reset(), 10);
    else if (stop === "fin" || (stop === "whole" && framing === "close")) peer.fin();
  };
  const bytes = Buffer.from(stop === "whole" ? text : text.slice(0, offset), "latin1");
  if (bytes.length === 0) end();
  else peer.socket.write(bytes, end);
}
