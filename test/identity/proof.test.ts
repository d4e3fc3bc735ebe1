import { describe, expect, test } from "bun:test";
import {
  hashFrames,
  keyFromSeed,
  PROOF_LABELS,
  signProof,
  verifyProof,
} from "../../src/identity/index.ts";
import type { Proof, ProofKind } from "../../src/identity/index.ts";

const fill = (byte: number, length: number): number[] => Array.from({ length }, () => byte);
const count = (from: number): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, index) => from + index);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const kinds = Object.keys(PROOF_LABELS) as ProofKind[];

// The vectors of PROTOCOL §3.1, their msgpack written out.
const edgeKey = keyFromSeed(count(0x00));
const connectorKey = keyFromSeed(count(0x20));
const hello = Uint8Array.from([0xc7, 0x25, 0x01, 0x93, 0x01, 0xc4, 0x20, ...fill(0xaa, 32), 0x90]);
const edgeBody = Uint8Array.from([
  0x94,
  0x01,
  0xc4,
  0x20,
  ...edgeKey.publicKey,
  0xc4,
  0x20,
  ...fill(0xbb, 32),
  0x90,
]);
const authBody = Uint8Array.from([
  ...[0x95, 0xc4, 0x20, ...connectorKey.publicKey, 0xc4, 0x10, ...fill(0xcc, 16), 0xc4, 0x00],
  ...[0x94, 0x01, 0xcd, 0x03, 0xe8, 0x03, 0x90, 0xc4, 0x00],
]);
const edgeProof: Proof = {
  exporter: Uint8Array.from(fill(0x11, 32)),
  transcript: hashFrames(hello),
  body: edgeBody,
};

describe("proof", () => {
  test("makes the edge's signature of PROTOCOL §3.1", () => {
    expect(text(edgeProof.transcript)).toStartWith("501c7ab5d49ab159");
    const signature = signProof(edgeKey, "edgeAuth", edgeProof);
    expect(text(signature)).toStartWith("b42086f4f3fe98d2");
    expect(text(signature)).toEndWith("bd9c388fa452e0f");
    expect(verifyProof(edgeKey.publicKey, "edgeAuth", edgeProof, signature)).toBe(true);
  });

  test("makes the connector's AUTH signature of PROTOCOL §3.1", () => {
    const signature = signProof(edgeKey, "edgeAuth", edgeProof);
    const payload = [0x92, 0xc4, edgeBody.length, ...edgeBody, 0xc4, 0x40, ...signature];
    const edgeAuth = Uint8Array.from([0xc7, payload.length, 0x02, ...payload]);
    const proof: Proof = {
      exporter: Uint8Array.from(fill(0x22, 32)),
      transcript: hashFrames(hello, edgeAuth),
      body: authBody,
    };
    const own = signProof(connectorKey, "auth", proof);
    expect(text(own)).toStartWith("7dfb502ecb1fb97c");
    expect(text(own)).toEndWith("b98865434fdf5ada09");
  });

  test("holds for its own frame only: no label stands in for another (A-03)", () => {
    for (const kind of kinds) {
      const signature = signProof(edgeKey, kind, edgeProof);
      for (const other of kinds) {
        expect(verifyProof(edgeKey.publicKey, other, edgeProof, signature)).toBe(other === kind);
      }
    }
    expect(new Set(Object.values(PROOF_LABELS)).size).toBe(4);
  });

  test("holds for its own link, transcript and body only (A-02)", () => {
    const signature = signProof(connectorKey, "resume", edgeProof);
    expect(verifyProof(connectorKey.publicKey, "resume", edgeProof, signature)).toBe(true);
    for (const part of ["exporter", "transcript", "body"] as const) {
      const altered = Uint8Array.from(edgeProof[part]);
      altered[0] = (altered[0] as number) ^ 0x80;
      expect(
        verifyProof(connectorKey.publicKey, "resume", { ...edgeProof, [part]: altered }, signature),
      ).toBe(false);
    }
    expect(verifyProof(edgeKey.publicKey, "resume", edgeProof, signature)).toBe(false);
  });

  test("hashes frames as one sequence", () => {
    expect(hashFrames(hello, edgeBody)).toEqual(hashFrames(Buffer.concat([hello, edgeBody])));
    expect(hashFrames(hello, edgeBody)).not.toEqual(hashFrames(edgeBody, hello));
  });
});
