// This file is what the tests of the handshake share: keys, a gate that knows one of them, options of both sides, and who reads a raw frame.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { fingerprintOf, generateKey } from "../../src/identity/index.ts";
import {
  type AcceptOptions,
  type Admission,
  type ConnectOptions,
  DEFAULT_PARAMETERS,
  type Enrolment,
  type Gate,
} from "../../src/session/index.ts";
import type { FrameDecoder } from "../../src/wire/index.ts";
import { within } from "../within.ts";

export const edgeKey = generateKey();
export const connectorKey = generateKey();
export const code = randomBytes(16);
export const instance = randomBytes(16);

export const ADMISSION: Admission = {
  kind: "tunnel",
  id: "7f0c",
  name: "home",
  keyId: "k1",
  application: Buffer.from('{"hosts":[]}'),
};

/** A gate that knows one key and one code. */
export class TestGate implements Gate {
  readonly admitted: Uint8Array[] = [];
  readonly enrolled: Enrolment[] = [];
  application: Uint8Array | undefined;

  admit(key: Uint8Array, application: Uint8Array): Admission | undefined {
    this.admitted.push(key);
    this.application = application;
    return Buffer.from(key).equals(connectorKey.publicKey) ? ADMISSION : undefined;
  }

  enrol(enrolment: Enrolment): Promise<Admission | undefined> {
    this.enrolled.push(enrolment);
    return Promise.resolve(code.equals(enrolment.code) ? ADMISSION : undefined);
  }
}

export function accepting(gate: Gate, more: Partial<AcceptOptions> = {}): AcceptOptions {
  return {
    key: edgeKey,
    gate,
    parameters: { ...DEFAULT_PARAMETERS.edge, software: "edge 1" },
    admit: () => undefined,
    judge: () => undefined,
    ...more,
  };
}

export function connecting(more: Partial<ConnectOptions> = {}): ConnectOptions {
  return {
    fingerprint: fingerprintOf(edgeKey.publicKey),
    edgeName: "tunnel.example",
    key: connectorKey,
    claim: { kind: "auth", replaces: new Uint8Array(0) },
    instance,
    parameters: { ...DEFAULT_PARAMETERS.connector, software: "connector 1" },
    application: Buffer.from("{}"),
    ...more,
  };
}

/** What a promise is rejected with. */
export async function failureOf(
  promise: Promise<unknown>,
  what: string,
  afterMs?: number,
): Promise<Error> {
  try {
    await within(promise, what, afterMs);
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error(`Expected ${what} to fail`);
}

/** Reads frames before READY from a socket that no connector drives. */
export async function frameFrom(socket: TLSSocket, decoder: FrameDecoder): Promise<string> {
  for (;;) {
    const name = decoder.next();
    if (name !== undefined) return name;
    const [chunk] = (await within(once(socket, "data"), "a frame of the edge")) as [Buffer];
    decoder.feed(new Uint8Array(chunk));
  }
}
