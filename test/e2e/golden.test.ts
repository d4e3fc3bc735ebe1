// Requests and responses before and after the tunnel, byte for byte: the files of golden/. S-34, S-35.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { within } from "../within.ts";
import { CAN_RUN, TestEdge, Tunnel } from "./rig.ts";

const FOLDER = fileURLToPath(new URL("golden/", import.meta.url));
const FILES = readdirSync(FOLDER).sort();

/**
 * A golden file: a sentence, then four sections that begin with `== `. A line of a section is a line of the message;
 * the last one has no line end, so a head without a body ends with two empty lines.
 */
interface Golden {
  readonly sentence: string;
  readonly sections: Readonly<Record<string, string>>;
}

const SECTIONS = ["visitor sends", "origin gets", "origin sends", "visitor gets"] as const;

function readGolden(name: string): Golden {
  const [sentence = "", ...parts] = readFileSync(FOLDER + name, "latin1")
    .replace(/\n$/, "")
    .split(/\n?^== /m);
  const sections = Object.fromEntries(
    parts.map((part) => {
      const [title = "", ...lines] = part.split("\n");
      return [title, lines.join("\r\n")];
    }),
  );
  expect(Object.keys(sections)).toEqual([...SECTIONS]);
  return { sentence: sentence.trim(), sections };
}

/** Collects what a socket receives, as text. */
class Received {
  text = "";
  #wake: () => void = () => undefined;

  add(bytes: Buffer): void {
    this.text += bytes.toString("latin1");
    this.#wake();
  }

  /** Waits until `isThere`; at the deadline it goes on, and the comparison shows what is missing. */
  async until(isThere: (text: string) => boolean): Promise<void> {
    const deadline = performance.now() + 5_000;
    while (!isThere(this.text) && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - performance.now());
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

describe.skipIf(!CAN_RUN)("through the tunnel, byte for byte", () => {
  let edge: TestEdge;
  let tunnel: Tunnel;
  let origin: Server;
  let ca: Buffer;
  /** Given a connection to the origin. */
  let onConnection: (socket: Socket) => void = () => undefined;

  beforeAll(async () => {
    origin = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      onConnection(socket);
    });
    origin.listen(0, "127.0.0.1");
    await within(once(origin, "listening"), "the origin");
    edge = await TestEdge.start();
    const { port } = origin.address() as AddressInfo;
    tunnel = await Tunnel.start({ target: String(port), edge });
    ca = readFileSync(edge.ca);
  });

  afterAll(async () => {
    await tunnel?.[Symbol.asyncDispose]();
    await edge?.[Symbol.asyncDispose]();
    origin?.close();
  });

  const filled = (text: string): string =>
    text
      .replaceAll("{authority}", `${tunnel.host}:${edge.port}`)
      .replaceAll("{host}", tunnel.host)
      .replaceAll("{port}", String(edge.port));

  /** What differs from run to run, by the name it has in the files. */
  const blanked = (text: string): string =>
    text
      .replace(/^(X-Tunl-Request-Id: )[0-9a-f]{32}\r$/m, "$1{id}\r")
      .replace(/^(CDN-Loop: )tunl-[0-9a-z]+\r$/m, "$1{loop}\r")
      .replace(/^(Date: )(?!Tue, 24 Nov 2026 07:24:26)\w{3}, .* GMT\r$/m, "$1{date}\r");

  test.each(FILES)("%s", async (name) => {
    const { sentence, sections } = readGolden(name);
    expect(sentence).toEndWith(".");
    const [sent = "", expected = "", answer = "", shown = ""] = SECTIONS.map((title) =>
      filled(sections[title] ?? ""),
    );
    const atOrigin = new Received();
    const atVisitor = new Received();
    const sockets: Socket[] = [];
    onConnection = (socket) => {
      sockets.push(socket);
      socket.on("data", (bytes: Buffer) => atOrigin.add(bytes));
    };
    const visitor = connect({
      host: "127.0.0.1",
      port: edge.port,
      servername: tunnel.host,
      ca,
      ALPNProtocols: ["http/1.1"],
    });
    try {
      visitor.on("data", (bytes: Buffer) => atVisitor.add(bytes));
      visitor.on("error", (error) => atVisitor.add(Buffer.from(`ERROR ${error.message}`)));
      await within(once(visitor, "secureConnect"), "the TLS handshake");
      visitor.write(sent, "latin1");
      await atOrigin.until((text) => blanked(text).length >= expected.length);
      expect(blanked(atOrigin.text)).toBe(expected);
      expect(sockets).toHaveLength(1);
      sockets[0]?.write(answer, "latin1");
      await atVisitor.until((text) => blanked(text).length >= shown.length);
      expect(blanked(atVisitor.text)).toBe(shown);
    } finally {
      visitor.destroy();
      for (const socket of sockets) socket.destroy();
    }
  });

  test("are some", () => {
    expect(FILES.length).toBeGreaterThan(5);
  });
});
