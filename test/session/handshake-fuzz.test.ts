// This file is damaged handshakes against both sides, up to the proof and through it: nobody gets in, nothing is thrown but faults of the wire. PROTOCOL §3.
import { describe, expect, test } from "bun:test";
import { fingerprintOf, generateKey, type SigningKey } from "../../src/identity/index.ts";
import {
  ConnectorHandshake,
  type ConnectorHandshakeOptions,
  EdgeHandshake,
} from "../../src/session/core/index.ts";
import { DEFAULT_PARAMETERS, HandshakeError } from "../../src/session/index.ts";
import { FrameDecoder, WireError } from "../../src/wire/index.ts";
import { Random, seedOf } from "../msgpack/random.ts";
import { damaged, pieces } from "../wire/damage.ts";

const ROUNDS = process.env["TUNL_SLOW"] === "1" ? 1_000_000 : 10_000;
const TIMEOUT_MS = 1_200_000;
const EDGE_BYTES = 8_192;
const CONNECTOR_BYTES = 24_576;

/** The same random numbers in every handshake, so that recorded frames stay valid: only damage can make them wrong. */
const exporters = { edge: new Uint8Array(32).fill(1), connector: new Uint8Array(32).fill(2) };
const edgeKey = remembering(generateKey());
const connectorKey = remembering(generateKey());

/** Ed25519 is deterministic: the same message is signed once. */
function remembering(key: SigningKey): SigningKey {
  const signatures = new Map<string, Uint8Array>();
  return {
    ...key,
    sign: (message) => {
      const name = Buffer.from(message).toString("latin1");
      const known = signatures.get(name) ?? key.sign(message);
      if (signatures.size < 10_000) signatures.set(name, known);
      return known;
    },
  };
}

function edge(): EdgeHandshake {
  return new EdgeHandshake({ key: edgeKey, nonce: new Uint8Array(32).fill(3), exporters });
}

function connector(claim: ConnectorHandshakeOptions["claim"]): ConnectorHandshake {
  return new ConnectorHandshake({
    fingerprint: fingerprintOf(edgeKey.publicKey),
    edgeName: "tunnel.example",
    key: connectorKey,
    claim,
    instance: new Uint8Array(16).fill(4),
    nonce: new Uint8Array(32).fill(5),
    exporters,
    parameters: DEFAULT_PARAMETERS.connector,
    application: Buffer.from('{"label":"x"}'),
  });
}

const CLAIMS: readonly ConnectorHandshakeOptions["claim"][] = [
  { kind: "auth", replaces: new Uint8Array(0) },
  { kind: "enrol", code: new Uint8Array(16).fill(6), name: "home" },
];

/** What an edge makes of the bytes of a connector: "live" when a proof was accepted. */
function atEdge(chunks: readonly Uint8Array[]): "live" | "waits" | "unproven" {
  const decoder = new FrameDecoder({ side: "edge", phase: "handshake", maxDatagram: 0 });
  const handshake = edge();
  let isGreeted = false;
  decoder.expect("hello");
  for (const chunk of chunks) {
    decoder.feed(chunk);
    expectBounded(decoder, EDGE_BYTES);
    for (let name = decoder.next(); name !== undefined; name = decoder.next()) {
      if (!isGreeted) {
        handshake.hello(decoder.record("hello"), decoder.raw);
        decoder.expect("auth", "enroll");
        isGreeted = true;
        continue;
      }
      const kind = name === "auth" ? "auth" : "enroll";
      return handshake.proof(kind, decoder.record(kind)) === undefined ? "unproven" : "live";
    }
  }
  return "waits";
}

/** What a connector makes of the bytes of an edge; `sent` are the frames it was willing to say. */
function atConnector(
  chunks: readonly Uint8Array[],
  claim: ConnectorHandshakeOptions["claim"],
  sent: Uint8Array[],
): "live" | "waits" | "refused" {
  const decoder = new FrameDecoder({ side: "connector", phase: "handshake", maxDatagram: 0 });
  const handshake = connector(claim);
  let isProven = false;
  decoder.expect("edgeAuth", "refused");
  for (const chunk of chunks) {
    decoder.feed(chunk);
    expectBounded(decoder, CONNECTOR_BYTES);
    for (let name = decoder.next(); name !== undefined; name = decoder.next()) {
      if (name === "refused") {
        handshake.refused(decoder.record("refused"));
        return "refused";
      }
      if (isProven) {
        handshake.ready(decoder.record("ready"));
        return "live";
      }
      sent.push(handshake.edgeAuth(decoder.record("edgeAuth"), decoder.raw));
      decoder.expect("ready", "refused");
      isProven = true;
    }
  }
  return "waits";
}

function expectBounded(decoder: FrameDecoder, most: number): void {
  const { held, allocated } = decoder.snapshot();
  if (held > most || allocated > held + 1_024)
    throw new Error(`The decoder holds ${held} and allocated ${allocated} bytes`);
}

/** The frames of an honest handshake, by who says them. */
function recordedWith(claim: ConnectorHandshakeOptions["claim"]): {
  readonly hello: Uint8Array;
  readonly proof: Uint8Array;
  readonly edgeAuth: Uint8Array;
  readonly ready: Uint8Array;
} {
  const dialler = connector(claim);
  const hello = dialler.hello();
  const acceptor = edge();
  const decoder = new FrameDecoder({ side: "edge", phase: "handshake", maxDatagram: 0 });
  decoder.feed(hello.slice());
  expect(decoder.next()).toBe("hello");
  const edgeAuth = acceptor.hello(decoder.record("hello"), decoder.raw);
  const reader = new FrameDecoder({ side: "connector", phase: "handshake", maxDatagram: 0 });
  reader.feed(edgeAuth.slice());
  expect(reader.next()).toBe("edgeAuth");
  const proof = dialler.edgeAuth(reader.record("edgeAuth"), reader.raw);
  const ready = acceptor.ready(
    new Uint8Array(16).fill(7),
    0,
    DEFAULT_PARAMETERS.edge,
    Buffer.from("{}"),
  );
  return { hello, proof, edgeAuth, ready };
}

function startsWith(said: readonly Uint8Array[], frames: readonly Uint8Array[]): boolean {
  const expected = Buffer.concat(frames);
  return Buffer.concat(said).subarray(0, expected.length).equals(expected);
}

/** Runs one side; undefined stands for a fault of the wire or of the handshake, which end the link. */
function verdictOf<V>(run: () => V): V | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof WireError || error instanceof HandshakeError) return undefined;
    throw error;
  }
}

describe("fuzz before READY", () => {
  test(
    `${2 * ROUNDS} damaged handshakes open nothing`,
    () => {
      const random = new Random(seedOf("handshake fuzz"));
      const honest = CLAIMS.map((claim) => ({ claim, ...recordedWith(claim) }));
      const seen = new Map<string, number>();
      const count = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);
      for (let round = 0; round < ROUNDS; round++) {
        const { claim, hello, proof, edgeAuth, ready } = random.pick(honest);
        const other = random.pick(honest);
        // Damage in one frame, in both, frames twice, in another order, of another claim.
        const mixed = (frames: readonly Uint8Array[]): readonly Uint8Array[] =>
          frames
            .flatMap((frame) => (random.below(20) === 0 ? [frame, frame] : [frame]))
            .map((frame) => (random.below(3) === 0 ? frame : damaged(frame, random)));
        const said = mixed(random.below(10) === 0 ? [hello, other.proof] : [hello, proof]);
        const edgeSays = verdictOf(() => atEdge(pieces(said, random)));
        count(`edge ${edgeSays ?? "fault"}`);
        // Only the very bytes that were signed open a session.
        const isHonest = honest.some((each) => startsWith(said, [each.hello, each.proof]));
        if (edgeSays === "live" && !isHonest) throw new Error("a damaged handshake was accepted");

        const answered = mixed([edgeAuth, ready]);
        const sent: Uint8Array[] = [];
        const connectorSays = verdictOf(() => atConnector(pieces(answered, random), claim, sent));
        count(`connector ${connectorSays ?? "fault"}`);
        if (sent.length > 0 && !startsWith(answered, [edgeAuth]))
          throw new Error("something was said to an edge that proved nothing");
      }
      // The honest ones among them got in, so the others were refused for what was done to them.
      for (const what of ["edge live", "edge unproven", "edge fault", "connector live"])
        expect([what, (seen.get(what) ?? 0) > ROUNDS / 1_000]).toEqual([what, true]);
      expect(seen.get("connector fault")).toBeGreaterThan(ROUNDS / 10);
    },
    TIMEOUT_MS,
  );
});
