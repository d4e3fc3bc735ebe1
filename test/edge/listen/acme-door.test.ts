// This file is the front door while a CA is at work: visitors wait for a first certificate, the CA gets its challenge certificate, strangers nothing.
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, type ConnectionOptions } from "node:tls";
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  type Challenge,
  ChallengeAnswers,
} from "../../../src/edge/certificates/acme/challenges.ts";
import { Deadlines } from "../../../src/deadlines.ts";
import { reachedLimits } from "../../../src/limits.ts";
import { within } from "../../within.ts";
import {
  type Authority,
  type Door,
  type DoorOptions,
  makeAuthority,
  openDoor,
  tls,
  until,
} from "./door.ts";

const NAME = "new.example.com";

describe("front door and ACME", () => {
  let authority: Authority;
  let ca: string;
  let door: Door | undefined;
  const lingering = new Deadlines((error) => {
    throw error;
  });

  beforeAll(async () => {
    authority = await makeAuthority();
    ca = authority.root.cert;
  });

  afterEach(async () => {
    if (door === undefined) return;
    await door[Symbol.asyncDispose]();
    expect(door.limits.snapshot()).toMatchObject({ connections: 0, pendingHandshakes: 0 });
    expect(door.deadlines.pending).toBe(0);
    door = undefined;
  });

  async function open(options: Partial<DoorOptions>): Promise<Door> {
    door = await openDoor({ authority, certificates: [], ...options });
    return door;
  }

  test("a visitor who comes while the first order runs waits, and is served with what it brings", async () => {
    const order = Promise.withResolvers<void>();
    const { front, table, limits } = await open({
      arriving: (name) => (name === NAME ? order.promise : undefined),
    });
    const clients = [1, 2, 3].map(() => tls(front.port, { ca, servername: NAME }));
    await until(() => limits.snapshot().pendingHandshakes === 3, "three handshakes");
    table.put(await authority.leaf("new", NAME));
    order.resolve();
    for (const { ended } of clients)
      expect(await ended).toMatchObject({ text: `visitor ${NAME}`, subject: NAME });
    // Another name is refused as ever, at once.
    const stranger = await tls(front.port, { ca, servername: "other.example.com" }).ended;
    expect(stranger.error).toBeDefined();
    expect(stranger.subject).toBeUndefined();
  });

  test("an order that fails ends the wait without a certificate", async () => {
    const order = Promise.withResolvers<void>();
    const { front, limits } = await open({ arriving: () => order.promise });
    const { ended } = tls(front.port, { ca, servername: NAME });
    await until(() => limits.snapshot().pendingHandshakes === 1, "the handshake");
    order.resolve();
    const { error, subject } = await ended;
    expect([error === undefined, subject]).toEqual([false, undefined]);
  });

  test("an order that hangs ends with the handshake's deadline", async () => {
    const { front } = await open({
      arriving: () => new Promise<void>(() => undefined),
      timeouts: { handshakeMs: 300 },
    });
    const { error } = await tls(front.port, { ca, servername: NAME }).ended;
    expect(error).toBeDefined();
    await until(() => front.size === 0, "the end of the connection");
  });

  test("a visitor who leaves while it waits is forgotten", async () => {
    const order = Promise.withResolvers<void>();
    const { front, table, limits } = await open({ arriving: () => order.promise });
    const client = tls(front.port, { ca, servername: NAME });
    await until(() => limits.snapshot().pendingHandshakes === 1, "the handshake");
    client.socket.destroy();
    await until(() => front.size === 0, "the end of the connection");
    table.put(await authority.leaf("new", NAME));
    order.resolve();
    expect(await tls(front.port, { ca, servername: NAME }).ended).toMatchObject({ subject: NAME });
  });

  test("TLS-ALPN-01: the CA sees the challenge certificate while it is expected, a visitor its own", async () => {
    const answers = new ChallengeAnswers(undefined, Date.now);
    const challenges = {
      server: answers.createTlsServer(lingering),
      isExpected: (name: string) => answers.isExpected(name),
    };
    const { front, table } = await open({ challenges });
    table.put(await authority.leaf("old", NAME));
    const ask = (alpn: readonly string[]) =>
      tls(front.port, {
        servername: NAME,
        ALPNProtocols: [...alpn],
        rejectUnauthorized: false,
      }).ended;
    expect((await ask(["acme-tls/1"])).subject).toBeUndefined();
    const challenge = {
      type: "tls-alpn-01",
      name: NAME,
      token: "t",
      keyAuthorization: "t.thumb",
    } as const;
    const shown = await answers.present(challenge, new AbortController().signal);
    expect(await ask(["acme-tls/1"])).toMatchObject({
      alpn: "acme-tls/1",
      subject: "tunl challenge",
      text: "",
    });
    expect((await ask(["http/1.1"])).subject).toBe(NAME);
    // Offered beside another protocol it is no CA (RFC 8737 §3).
    expect((await ask(["acme-tls/1", "http/1.1"])).subject).toBe(NAME);
    await shown[Symbol.asyncDispose]();
    expect((await ask(["acme-tls/1"])).subject).toBeUndefined();
  });

  test("TLS-ALPN-01: whoever has seen the challenge certificate and does not close is cut", async () => {
    const answers = new ChallengeAnswers(undefined, Date.now);
    const isExpected = (name: string): boolean => answers.isExpected(name);
    const { front } = await open({
      challenges: { server: answers.createTlsServer(lingering), isExpected },
    });
    const challenge = { type: "tls-alpn-01", name: NAME, token: "t", keyAuthorization: "t.t" };
    await using _shown = await answers.present(
      challenge as Challenge,
      new AbortController().signal,
    );
    const before = reachedLimits().challengeLinger ?? 0;
    const stays = connect({
      ...{ host: "127.0.0.1", port: front.port, servername: NAME, ALPNProtocols: ["acme-tls/1"] },
      ...{ rejectUnauthorized: false, allowHalfOpen: true },
    } as ConnectionOptions);
    stays.on("error", () => undefined);
    await within(once(stays, "secureConnect"), "the handshake");
    await until(() => front.size === 0, "the end of the connection");
    expect(reachedLimits().challengeLinger).toBe(before + 1);
    stays.destroy();
  });

  test("the challenge certificate names the host alone and has the digest in a critical extension (RFC 8737 §3)", async () => {
    const { makeChallengeCertificate } =
      await import("../../../src/edge/certificates/acme/alpn-certificate.ts");
    const { cert } = await makeChallengeCertificate(NAME, "token.thumb", Date.now());
    const { subjectAltName, raw } = new X509Certificate(cert);
    expect(subjectAltName).toBe(`DNS:${NAME}`);
    const digest = new Bun.CryptoHasher("sha256").update("token.thumb").digest("hex");
    // Extension: its OID, TRUE, an OCTET STRING that holds an OCTET STRING of 32 bytes.
    expect(raw.toString("hex")).toContain(`06082b0601050507011f0101ff04220420${digest}`);
  });
});
