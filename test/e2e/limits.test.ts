// This file is the rows of http.md §14 that a visitor can reach, on the executable: who is late is told so or cut, in time, and nobody else.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { eventually } from "../binary/program.ts";
import { IS_SLOW, tunl } from "../binary/tunl.ts";
import { captureHello } from "../edge/listen/hello-bytes.ts";
import { within } from "../within.ts";
import { App, CAN_RUN, TestEdge, Tunnel } from "./rig.ts";

/** The long form holds the edge to its defaults, the short one to these, ms. */
const TIMES = IS_SLOW
  ? {
      clientHello: 5_000,
      handshake: 10_000,
      head: 10_000,
      idle: 60_000,
      bodyIdle: 60_000,
      firstByte: 100_000,
      writeStall: 30_000,
    }
  : {
      clientHello: 1_000,
      handshake: 2_000,
      head: 1_000,
      idle: 3_000,
      bodyIdle: 2_000,
      firstByte: 2_500,
      writeStall: 2_000,
    };
const UPGRADE_IDLE_MS = 2_000;
/** Constants of the visitor's connection, ms. */
const LINGER_MS = 2_000;
const HALF_CLOSED_MS = 30_000;
const BODY_RATE_MS = 20_000;
/** A step of the wheel, the second between two looks for the first byte, and a machine that does something else. */
const LATE_MS = 3_000;
const DEADLINE_MS = (IS_SLOW ? 200_000 : 12_000) + LATE_MS;
/** More than all buffers on the way hold. */
const LARGE = 64 << 20;

const CONFIG = `limits: {connectionsPerIp: off, acceptPerIp: off, bodyBytes: 128MiB}
timeouts: {upgradeIdle: 2s${
  IS_SLOW
    ? ""
    : Object.entries(TIMES)
        .map(([key, ms]) => `, ${key}: ${ms}ms`)
        .join("")
}}
`;

/** One connection of a visitor: what came, and when it ended. */
class Client implements Disposable {
  readonly socket: Socket;
  text = "";
  readonly #since = performance.now();
  readonly #end = Promise.withResolvers<number>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.text += bytes.toString("latin1");
    });
    // Told by its end, whatever kind of end it is.
    socket.on("error", () => undefined);
    socket.on("end", () => this.#end.resolve(performance.now() - this.#since));
    socket.on("close", () => this.#end.resolve(performance.now() - this.#since));
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Waits for the end and for its time, counted from the start of this client. */
  async endsAfter(ms: number, lateMs = LATE_MS): Promise<void> {
    const elapsed = await within(this.#end.promise, "the end of the connection", ms + lateMs);
    // The wheel and this clock do not tick together.
    expect(elapsed).toBeGreaterThan(ms - 50);
  }

  async says(part: string): Promise<void> {
    await eventually(() => (this.text.includes(part) ? true : undefined), part, DEADLINE_MS);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

describe.skipIf(!CAN_RUN)("limits", () => {
  let app: App;
  let tunnel: Tunnel;
  const outcomes = new Map<string, Promise<void>>();

  const host = (): string => `${tunnel.host}:${tunnel.edge.port}`;
  const raw = (): Client =>
    new Client(connectTcp({ host: "127.0.0.1", port: tunnel.edge.port, allowHalfOpen: true }));
  async function visit(): Promise<Client> {
    const options = {
      host: "127.0.0.1",
      port: tunnel.edge.port,
      servername: tunnel.host,
      ca: readFileSync(tunnel.edge.ca),
      allowHalfOpen: true,
    };
    const socket = connectTls(options);
    await within(once(socket, "secureConnect"), "the TLS handshake");
    return new Client(socket);
  }
  const head = (method: string, path: string, ...fields: string[]): string =>
    `${[`${method} ${path} HTTP/1.1`, `Host: ${host()}`, ...fields].join("\r\n")}\r\n\r\n`;
  /** Sends a byte every so often until the client is gone. */
  function trickle(client: Client, everyMs: number): void {
    const timer = setInterval(() => client.send("x"), everyMs);
    client.socket.once("close", () => clearInterval(timer));
  }

  /** Each row by its name; they run side by side, or the long form would take as long as all timeouts together. */
  const ROWS: Readonly<Record<string, () => Promise<void>>> = {
    "a silent connection is closed after timeouts.clientHello": async () => {
      using client = raw();
      await client.endsAfter(TIMES.clientHello);
      expect(client.text).toBe("");
    },

    "a hello and then nothing is closed after timeouts.handshake": async () => {
      const hello = await captureHello({ servername: tunnel.host });
      using client = raw();
      client.socket.write(hello);
      await client.endsAfter(TIMES.handshake);
      expect(client.text).not.toBe("");
    },

    "a visitor that asks nothing is closed after timeouts.idle, without a word": async () => {
      using client = await visit();
      await client.endsAfter(TIMES.idle);
      expect(client.text).toBe("");
    },

    "half a head is 408 after timeouts.head": async () => {
      using client = await visit();
      client.send("GET / HTTP/1.1\r\nHost:");
      await client.endsAfter(TIMES.head);
      expect(client.text).toStartWith("HTTP/1.1 408 ");
      expect(client.text).toContain("Tunl-Error: REQUEST_TIMEOUT\r\n");
    },

    "so is a head that comes byte by byte, however long it goes on": async () => {
      using client = await visit();
      client.send("GET / HTTP/1.1\r\nX: ");
      trickle(client, 100);
      await client.endsAfter(TIMES.head);
      expect(client.text).toStartWith("HTTP/1.1 408 ");
    },

    "a body that stops is 408 after timeouts.bodyIdle": async () => {
      using client = await visit();
      client.send(`${head("POST", "/echo", "Content-Length: 10")}12345`);
      await client.endsAfter(TIMES.bodyIdle);
      expect(client.text).toStartWith("HTTP/1.1 408 ");
    },

    "a body that waits for a service that does not read is not late": async () => {
      using client = await visit();
      client.send(head("POST", `/late/${TIMES.bodyIdle + 1_000}`, `Content-Length: ${LARGE}`));
      client.socket.write(Buffer.alloc(LARGE, "u"));
      await client.says(`"length":${LARGE}`);
      expect(client.text).toStartWith("HTTP/1.1 200 ");
    },

    "a visitor that does not read its answer is cut after timeouts.writeStall": async () => {
      using client = await visit();
      client.socket.pause();
      client.send(head("GET", `/bytes/${LARGE}`));
      await eventually(
        async () => ((await counted("writeStall")) > 0 ? true : undefined),
        "the cut",
        TIMES.writeStall + 2 * LATE_MS,
      );
      client.socket.resume();
      await client.endsAfter(TIMES.writeStall, DEADLINE_MS);
      expect(client.text.length).toBeLessThan(LARGE);
    },

    "a stream that has nothing to say is not": async () => {
      using client = await visit();
      const count = Math.ceil(TIMES.writeStall / 1_000) + 2;
      client.send(head("GET", `/drip/${count * 1_000}`));
      await client.says("01234567890123456789");
      expect(client.text).toStartWith("HTTP/1.1 200 ");
    },

    "a service that says nothing is 504 after timeouts.firstByte": async () => {
      using client = await visit();
      client.send(head("GET", `/slow/${TIMES.firstByte + 30_000}`, "Connection: close"));
      await client.endsAfter(TIMES.firstByte);
      expect(client.text).toStartWith("HTTP/1.1 504 ");
      expect(client.text).toContain("Tunl-Error: ORIGIN_TIMEOUT\r\n");
    },

    "an event stream may take longer": async () => {
      using client = await visit();
      client.send(head("GET", `/slow/${TIMES.firstByte + 2_500}`, "Accept: text/event-stream"));
      await client.says("slow but whole");
    },

    "so may gRPC": async () => {
      using client = await visit();
      const fields = ["Content-Type: application/grpc-web+proto", "Content-Length: 0"];
      client.send(head("POST", `/slow/${TIMES.firstByte + 2_500}`, ...fields));
      await client.says("slow but whole");
    },

    "so may a service that says that it is at work": async () => {
      using client = await visit();
      client.send(head("GET", `/patience/5/${0.3 * TIMES.firstByte}`));
      await client.says("patience paid");
      expect(client.text.split("HTTP/1.1 102 ").length - 1).toBe(5);
    },

    "a WebSocket without a byte is cut after timeouts.upgradeIdle": async () => {
      using client = await visit();
      client.send(
        head(
          ...(["GET", "/ws/echo", "Connection: Upgrade", "Upgrade: websocket"] as const),
          ...["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
        ),
      );
      await client.says("HTTP/1.1 101 ");
      await client.endsAfter(UPGRADE_IDLE_MS);
    },

    "a body above limits.bodyBytes is 413 before any of it is asked for": async () => {
      using client = await visit();
      client.send(
        head("POST", "/echo", `Content-Length: ${(128 << 20) + 1}`, "Expect: 100-continue"),
      );
      await client.endsAfter(0);
      expect(client.text).toStartWith("HTTP/1.1 413 ");
    },

    "who goes on sending after the last answer gets a reset behind 256 KiB": async () => {
      // Asked before: what comes behind the answer has the 2 s of the lingering, and a process more may take them all.
      const before = await counted("lingerBytes");
      using client = await visit();
      client.send("nonsense\r\n\r\n");
      await client.says("HTTP/1.1 400 ");
      client.socket.write(Buffer.alloc(300 << 10));
      await eventually(
        async () => ((await counted("lingerBytes")) > before ? true : undefined),
        "the reset",
        DEADLINE_MS,
      );
    },

    "who does not close after it is closed in 2 s": async () => {
      const before = await counted("lingerTime");
      using client = await visit();
      client.send("nonsense\r\n\r\n");
      await client.says("HTTP/1.1 400 ");
      await eventually(
        async () => ((await counted("lingerTime")) > before ? true : undefined),
        "the end of the lingering",
        LINGER_MS + LATE_MS,
      );
    },

    ...(IS_SLOW && {
      "a body below 240 bytes a second is 408 after 10 s and 10 s more": async () => {
        using client = await visit();
        client.send(head("POST", "/echo", "Content-Length: 1000000"));
        trickle(client, 50);
        await client.endsAfter(BODY_RATE_MS, 2 * LATE_MS);
        expect(client.text).toStartWith("HTTP/1.1 408 ");
      },

      "a visitor that closed its half is given up after 30 s without a byte for it": async () => {
        using client = await visit();
        client.send(head("GET", "/slow/90000"));
        client.socket.end();
        await client.endsAfter(HALF_CLOSED_MS);
        expect(client.text).toBe("");
      },

      "the answer to the 10,000th request of a connection is the last one": async () => {
        using client = await visit();
        const request = head("GET", "/status/204");
        for (let sent = 0; sent < 10_001; sent += 73) client.send(request.repeat(73));
        await client.endsAfter(0, DEADLINE_MS);
        expect(client.text.split("HTTP/1.1 204 ").length - 1).toBe(10_000);
        const [first, ...others] = client.text.split("Connection: close\r\n");
        expect(others.length).toBe(1);
        expect(first?.split("HTTP/1.1 204 ").length).toBe(10_001);
      },
    }),
  };

  async function counted(name: string): Promise<number> {
    const { stdout } = await tunl(["status", "--json"], tunnel.edge);
    const status: { edge: { limits: Record<string, number> } } = JSON.parse(stdout);
    return status.edge.limits[name] ?? 0;
  }

  beforeAll(async () => {
    app = await App.start();
    const edge = await TestEdge.start({ config: CONFIG });
    tunnel = await Tunnel.start({ target: String(app.port), edge });
    for (const [name, run] of Object.entries(ROWS)) {
      const outcome = run();
      outcome.catch(() => undefined);
      outcomes.set(name, outcome);
    }
  });

  afterAll(async () => {
    await tunnel?.[Symbol.asyncDispose]();
    await tunnel?.edge[Symbol.asyncDispose]();
    await app?.[Symbol.asyncDispose]();
  });

  test.each(Object.keys(ROWS))(
    "%s (S-40, S-41, S-42)",
    async (name) => {
      await (outcomes.get(name) as Promise<void>);
    },
    DEADLINE_MS + 20_000,
  );
});
