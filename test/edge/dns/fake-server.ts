// This file is a name server that says what a test wants, as bytes: lies, silence, nonsense.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { createServer, type Server, type Socket as Connection } from "node:net";
import { Packet } from "dns2";
import { freeDnsPort } from "./named.ts";

/** One question as it came. */
export interface Asked {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly by: "udp" | "tcp";
  /** Of the asker. */
  readonly port: number;
  readonly bytes: Uint8Array;
}

export type Script = (asked: Asked) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;

/** Answers with whatever the script makes of a question; nothing is silence. */
export class FakeServer implements AsyncDisposable {
  readonly port: number;
  readonly asked: Asked[] = [];
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly #connections = new Set<Connection>();

  private constructor(port: number, udp: Socket, tcp: Server) {
    this.port = port;
    this.#udp = udp;
    this.#tcp = tcp;
  }

  /** @param at Where it listens: a port of the system's choice on 127.0.0.1 if absent. */
  static async start(
    script: Script,
    at: { readonly host: string; readonly port: number } | undefined = undefined,
  ): Promise<FakeServer> {
    const { host, port } = at ?? { host: "127.0.0.1", port: await freeDnsPort() };
    const [udp, tcp] = [createSocket("udp4"), createServer()];
    const server = new FakeServer(port, udp, tcp);
    const take = async (
      bytes: Buffer,
      by: "udp" | "tcp",
      port: number,
    ): Promise<readonly Uint8Array[]> => {
      const packet = Packet.parse(bytes);
      const { name = "", type = 0 } = packet.questions[0] ?? {};
      const asked = { id: packet.header.id, name, type, by, port, bytes };
      server.asked.push(asked);
      return await script(asked);
    };
    udp.on("message", async (bytes: Buffer, from: RemoteInfo) => {
      for (const reply of await take(bytes, "udp", from.port))
        udp.send(reply, from.port, from.address);
    });
    tcp.on("connection", (connection) => {
      server.#connections.add(connection);
      connection.on("error", () => undefined);
      connection.on("data", async (data: Buffer) => {
        for (const reply of await take(data.subarray(2), "tcp", connection.remotePort ?? 0)) {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(reply.length);
          connection.write(Buffer.concat([length, reply]));
        }
      });
    });
    await new Promise<void>((resolve) => udp.bind(port, host, resolve));
    await new Promise<void>((resolve) => tcp.listen(port, host, resolve));
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    this.#udp.close();
    await new Promise((resolve) => this.#tcp.close(resolve));
  }
}

export interface ReplyParts {
  readonly code?: number;
  readonly isAuthoritative?: boolean;
  readonly isTruncated?: boolean;
  readonly answers?: readonly Record<string, unknown>[];
  readonly authorities?: readonly Record<string, unknown>[];
}

/** An honest reply. */
export function reply(asked: Asked, parts: ReplyParts): Uint8Array {
  const packet = new Packet();
  const { code = 0, isAuthoritative = true, isTruncated = false } = parts;
  packet.header = new Packet.Header({
    ...{ id: asked.id, qr: 1, rcode: code },
    ...{ aa: isAuthoritative ? 1 : 0, tc: isTruncated ? 1 : 0 },
  });
  packet.questions.push(new Packet.Question(asked.name, asked.type, 1));
  for (const [section, records] of [
    ["answers", parts.answers],
    ["authorities", parts.authorities],
  ] as const)
    for (const record of records ?? [])
      packet[section].push(new Packet.Resource({ class: 1, ttl: 60, ...record }));
  return packet.toBuffer();
}

/** The SOA record of a zone. */
export function soa(zone: string): Record<string, unknown> {
  const times = { serial: 1, refresh: 1, retry: 1, expiration: 1, minimum: 1 };
  return { name: zone, type: 6, primary: `ns1.${zone}`, admin: `root.${zone}`, ...times };
}
