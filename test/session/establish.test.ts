// This file is the handshake over real TLS: who gets in, who does not, and what the other side learned by then. PROTOCOL §3.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { fingerprintOf, generateKey, type SigningKey } from "../../src/identity/index.ts";
import {
  acceptLink,
  type AcceptOptions,
  connectLink,
  type ConnectOptions,
  DEFAULT_PARAMETERS,
  HandshakeError,
  WireError,
} from "../../src/session/index.ts";
import { encodeFrame, FrameDecoder, REVISION, SESSION_CODES } from "../../src/wire/index.ts";
import {
  accepting,
  ADMISSION,
  code,
  connecting,
  connectorKey,
  failureOf,
  frameFrom,
  instance,
  TestGate,
} from "./handshake-rig.ts";
import { recorded, TlsDoor } from "./tls-rig.ts";

const HELLO_BYTES = encodeFrame("hello", {
  revision: REVISION,
  nonce: new Uint8Array(32),
  extras: [],
}).length;
const AUTH_FAILED_MS = 250;

describe("establish", () => {
  let door: TlsDoor;

  beforeAll(async () => {
    door = await TlsDoor.listen();
  });
  afterAll(() => door[Symbol.asyncDispose]());

  test("proves both ends by AUTH and hands the parameters over", async () => {
    const { edge, connector } = await door.pair();
    const gate = new TestGate();
    const options = connecting({ application: Buffer.from('{"v":1}') });
    const [accepted, connected] = await Promise.all([
      acceptLink(edge, accepting(gate)),
      connectLink(connector, options),
    ]);
    expect(accepted.admission).toBe(ADMISSION);
    expect(accepted.proven).toMatchObject({ kind: "auth" });
    expect(Buffer.from(accepted.proven.key)).toEqual(Buffer.from(connectorKey.publicKey));
    expect(Buffer.from(accepted.proven.instance)).toEqual(instance);
    expect(Buffer.from(gate.application ?? []).toString()).toBe('{"v":1}');
    expect(accepted.proven.parameters.software).toBe("connector 1");
    expect(connected.parameters).toEqual({ ...DEFAULT_PARAMETERS.edge, software: "edge 1" });
    expect([...connected.sessionId]).toEqual([...accepted.sessionId]);
    expect(connected.link).toBe(0);
    expect(connected.rttMs).toBeGreaterThan(0);
    expect(Buffer.from(connected.application).toString()).toBe('{"hosts":[]}');
  });

  test("enrols a new key with a code", async () => {
    const { edge, connector } = await door.pair();
    const gate = new TestGate();
    const key = generateKey();
    const options = connecting({ key, claim: { kind: "enrol", code, name: "büro" } });
    const [accepted] = await Promise.all([
      acceptLink(edge, accepting(gate)),
      connectLink(connector, options),
    ]);
    expect(accepted.proven).toMatchObject({ kind: "enrol", name: "büro" });
    expect(gate.enrolled).toHaveLength(1);
    expect(Buffer.from(gate.enrolled[0]?.key ?? [])).toEqual(Buffer.from(key.publicKey));
    expect(gate.admitted).toEqual([]);
  });

  test("says nothing after HELLO to an edge with another key", async () => {
    const { edge, connector } = await door.pair();
    const seen = recorded(edge);
    const gate = new TestGate();
    const accepted = failureOf(acceptLink(edge, accepting(gate)), "the edge's handshake");
    const error = await failureOf(
      connectLink(connector, connecting({ fingerprint: fingerprintOf(generateKey().publicKey) })),
      "the connector's handshake",
    );
    expect(error).toMatchObject({ code: "EDGE_KEY_MISMATCH", retryable: false });
    expect(await accepted).toMatchObject({ code: "LINK_CLOSED" });
    expect(seen.bytes()).toHaveLength(HELLO_BYTES);
    expect(gate.admitted).toEqual([]);
  });

  test("says nothing after HELLO through a relay that ends TLS itself", async () => {
    await using relay = await TlsDoor.listen();
    const { edge: inner, connector } = await relay.pair();
    const { edge, connector: outer } = await door.pair();
    const seen = recorded(edge);
    inner.pipe(outer);
    outer.pipe(inner);
    const accepted = failureOf(acceptLink(edge, accepting(new TestGate())), "the edge's handshake");
    const error = await failureOf(
      connectLink(connector, connecting()),
      "the connector's handshake",
    );
    expect(error).toMatchObject({ code: "EDGE_KEY_MISMATCH" });
    expect(error.message).toContain("without proving it");
    expect(await accepted).toMatchObject({ code: "LINK_CLOSED" });
    expect(seen.bytes()).toHaveLength(HELLO_BYTES);
  });

  const UNPROVEN: Readonly<
    Record<string, { readonly key: SigningKey; readonly claim?: ConnectOptions["claim"] }>
  > = {
    "an unknown key": { key: generateKey() },
    "the signature of another key": {
      key: { ...connectorKey, sign: (message) => generateKey().sign(message) },
    },
    "a wrong code": {
      key: connectorKey,
      claim: { kind: "enrol", code: randomBytes(16), name: "x" },
    },
  };
  for (const [what, { key, ...claim }] of Object.entries(UNPROVEN)) {
    test(`answers ${what} with AUTH_FAILED, 250 ms after the proof`, async () => {
      const { edge, connector } = await door.pair();
      const gate = new TestGate();
      let provenAt = 0;
      const sign = (message: Uint8Array): Uint8Array => {
        provenAt = performance.now();
        return key.sign(message);
      };
      const accepted = failureOf(acceptLink(edge, accepting(gate)), "the edge's handshake");
      const error = await failureOf(
        connectLink(connector, connecting({ ...claim, key: { ...key, sign } })),
        "the connector's handshake",
      );
      // Timers of the runtime count whole milliseconds.
      expect(performance.now() - provenAt).toBeGreaterThanOrEqual(AUTH_FAILED_MS - 1);
      expect(error).toBeInstanceOf(HandshakeError);
      expect(error).toMatchObject({
        code: "AUTH_FAILED",
        retryable: false,
        sessionCode: SESSION_CODES.AUTH_FAILED.code,
      });
      expect(await accepted).toMatchObject({ code: "AUTH_FAILED" });
      if (what.startsWith("the signature")) expect(gate.admitted).toEqual([]);
    });
  }

  test("refuses the recorded frames of an earlier link", async () => {
    const first = await door.pair();
    const seen = recorded(first.edge);
    await Promise.all([
      acceptLink(first.edge, accepting(new TestGate())),
      connectLink(first.connector, connecting()),
    ]);
    const [hello, auth] = [
      seen.bytes().subarray(0, HELLO_BYTES),
      seen.bytes().subarray(HELLO_BYTES),
    ];
    expect(auth.length).toBeGreaterThan(100);

    const { edge, connector } = await door.pair();
    const gate = new TestGate();
    const accepted = failureOf(acceptLink(edge, accepting(gate)), "the edge's handshake");
    const decoder = new FrameDecoder({ side: "connector", phase: "handshake", maxDatagram: 0 });
    connector.write(hello);
    expect(await frameFrom(connector, decoder)).toBe("edgeAuth");
    connector.write(auth);
    expect(await frameFrom(connector, decoder)).toBe("refused");
    expect(decoder.record("refused").code).toBe(SESSION_CODES.AUTH_FAILED.code);
    expect(await accepted).toMatchObject({ code: "AUTH_FAILED" });
    expect(gate.admitted).toEqual([]);
  });

  test("tells a proven key that its tunnel has too many sessions", async () => {
    const { edge, connector } = await door.pair();
    const asked: string[] = [];
    const judge: AcceptOptions["judge"] = ({ name }) => {
      asked.push(name);
      return "LIMIT";
    };
    const accepted = failureOf(
      acceptLink(edge, accepting(new TestGate(), { judge })),
      "the edge's handshake",
    );
    const error = await failureOf(
      connectLink(connector, connecting()),
      "the connector's handshake",
    );
    expect(error).toMatchObject({ code: "LIMIT", retryable: true });
    expect(await accepted).toMatchObject({ code: "LIMIT" });
    expect(asked).toEqual(["home"]);
  });

  test("takes the wait of an edge that is full as a hint of at most 60 s", async () => {
    const { edge, connector } = await door.pair();
    const options = accepting(new TestGate(), {
      admit: () => ({ code: "RETRY_LATER", retryAfterMs: 3_600_000 }),
    });
    const accepted = failureOf(acceptLink(edge, options), "the edge's handshake");
    const error = await failureOf(
      connectLink(connector, connecting()),
      "the connector's handshake",
    );
    expect(error).toMatchObject({ code: "RETRY_LATER", retryable: true, retryAfterMs: 60_000 });
    expect(await accepted).toMatchObject({ code: "RETRY_LATER" });
  });

  test("reports a link that ends early", async () => {
    const { edge, connector } = await door.pair();
    edge.destroy();
    const error = await failureOf(
      connectLink(connector, connecting()),
      "the connector's handshake",
    );
    expect(error).toMatchObject({ code: "LINK_CLOSED", retryable: true });
  });

  const WRONG: Readonly<Record<string, readonly [Uint8Array, string]>> = {
    "no frame": [Buffer.from("GET / HTTP/1.1\r\n\r\n"), "FRAME_ENCODING"],
    "a frame of the time after READY": [encodeFrame("ping", { id: 1 }), "UNEXPECTED_FRAME"],
    "AUTH before HELLO": [
      encodeFrame("auth", { body: new Uint8Array(10), signature: new Uint8Array(64) }),
      "UNEXPECTED_FRAME",
    ],
    "more than 8,192 bytes": [new Uint8Array(8_193), "FRAME_TOO_LARGE"],
  };
  for (const [what, [bytes, wanted]] of Object.entries(WRONG)) {
    test(`names the rule to a peer that sends ${what} first`, async () => {
      const { edge, connector } = await door.pair();
      const accepted = failureOf(
        acceptLink(edge, accepting(new TestGate())),
        "the edge's handshake",
      );
      const decoder = new FrameDecoder({ side: "connector", phase: "handshake", maxDatagram: 0 });
      connector.write(bytes);
      expect(await frameFrom(connector, decoder)).toBe("refused");
      const error = await accepted;
      expect(error).toBeInstanceOf(WireError);
      expect(error).toMatchObject({ code: wanted });
      expect(decoder.record("refused").code).toBe((error as WireError).sessionCode);
    });
  }
});
