// This file is connectors that prove themselves and then break the rules, against the executable: each is told its fault and loses its session, nobody else does. PROTOCOL §2.2; S-45.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { generateKey, parseJoinLine } from "../../src/identity/index.ts";
import {
  ALPN,
  type ConnectedLink,
  connectLink,
  DEFAULT_PARAMETERS,
  SESSION_CODES,
} from "../../src/session/index.ts";
import { EDGE_SCRIPTS, type Ids, SCRIPTS } from "../session/core/hostile-scripts.ts";
import { within } from "../within.ts";
import { CAN_RUN, TestEdge, Tunnel } from "./rig.ts";

/** What a connector of the real edge calls things: odd ids are its own, control streams are what it may open. */
const IDS: Ids = { theirs: (ordinal) => 2 * ordinal + 1, ours: (ordinal) => 2 * ordinal, kind: 0 };

/** Those that need nothing before them and no parameters that the edge does not have. */
const LONE = [...SCRIPTS, ...EDGE_SCRIPTS].filter(
  ({ before, code, options }) =>
    before === undefined &&
    (options === undefined ||
      code === "STREAM_STATE" ||
      options.local?.initialMaxStreams === DEFAULT_PARAMETERS.edge.initialMaxStreams),
);

describe.skipIf(!CAN_RUN)("a proven connector", () => {
  let edge: TestEdge;
  let honest: Tunnel;
  const key = generateKey();

  beforeAll(async () => {
    edge = await TestEdge.start();
    honest = await Tunnel.start({ target: "http_status:204", edge });
    // The first of them joins; all others are the same key again.
    const { fingerprint, code } = parseJoinLine(await edge.invite(["--name", "hostile"]));
    const link = await linkTo(edge, fingerprint, { kind: "enrol", code, name: "hostile" });
    link.socket.destroy();
  });
  afterAll(async () => {
    await honest?.[Symbol.asyncDispose]();
    await edge?.[Symbol.asyncDispose]();
  });

  async function linkTo(
    to: TestEdge,
    fingerprint: string,
    claim: Parameters<typeof connectLink>[1]["claim"],
  ): Promise<ConnectedLink> {
    const options: ConnectionOptions & { allowHalfOpen: boolean } = {
      host: "127.0.0.1",
      port: to.port,
      allowHalfOpen: true,
      ALPNProtocols: [ALPN],
      minVersion: "TLSv1.3",
      rejectUnauthorized: false,
    };
    const socket = connect(options);
    socket.on("error", () => undefined);
    await within(once(socket, "secureConnect"), "the TLS handshake");
    return await within(
      connectLink(socket, {
        fingerprint,
        edgeName: "the edge",
        key,
        claim,
        instance: randomBytes(16),
        parameters: DEFAULT_PARAMETERS.connector,
        application: Buffer.from('{"for":"tunnel"}'),
      }),
      "the handshake",
    );
  }

  /** What the edge says to a connector that proves itself and then says `bytes`. */
  async function answerTo(bytes: Uint8Array): Promise<{ code: number; message: string }> {
    const { socket, decoder } = await linkTo(edge, await fingerprint(), AUTH);
    try {
      socket.write(bytes);
      return await closeOf(socket, decoder);
    } finally {
      socket.destroy();
    }
  }

  for (const { bytes, code, text, title } of LONE) {
    test(`is closed with ${code} for ${title}`, async () => {
      const close = await answerTo(bytes(IDS));
      expect(close.code).toBe(SESSION_CODES[code].code);
      expect(close.message).toBe(text(IDS));
    });
  }

  test("does no harm to others", async () => {
    expect(LONE.length).toBeGreaterThan(30);
    const seen = edge.process.lineCount;
    await answerTo(Uint8Array.of(0));
    const lost = await edge.process.event("link.lost", { after: seen });
    expect(lost["tunnel"]).toBe("hostile");
    expect((await honest.get("/")).status).toBe(204);
    expect(edge.process.output).not.toContain('"level":"error"');
    expect(honest.connector.output).not.toContain('"link.lost"');
  });

  let invited: Promise<string> | undefined;
  /** Of the edge's key. */
  async function fingerprint(): Promise<string> {
    invited ??= edge.invite();
    return parseJoinLine(await invited).fingerprint;
  }
});

const AUTH = { kind: "auth", replaces: new Uint8Array(0) } as const;

/** Reads until CLOSE, and until the edge has ended the link. */
async function closeOf(
  socket: TLSSocket,
  decoder: ConnectedLink["decoder"],
): Promise<{ readonly code: number; readonly message: string }> {
  const closed = Promise.withResolvers<{ code: number; message: string }>();
  const ended = Promise.withResolvers<void>();
  socket.on("data", (chunk: Buffer) => {
    decoder.feed(new Uint8Array(chunk));
    for (let name = decoder.next(); name !== undefined; name = decoder.next())
      if (name === "close") closed.resolve({ ...decoder.record("close") });
  });
  socket.on("end", () => ended.resolve());
  socket.resume();
  const close = await within(closed.promise, "CLOSE");
  await within(ended.promise, "the end of the link");
  return close;
}
