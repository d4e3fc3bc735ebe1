// This file is peers that are silent or slow before READY: each deadline of PROTOCOL §3.2 in real time, all of them at once. A-09.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TLSSocket } from "node:tls";
import { acceptLink, connectLink } from "../../src/session/index.ts";
import {
  ANSWER_MS,
  encodeFrame,
  FIRST_FRAME_MS,
  FrameDecoder,
  HANDSHAKE_MS,
  REVISION,
} from "../../src/wire/index.ts";
import { accepting, connecting, failureOf, frameFrom, TestGate } from "./handshake-rig.ts";
import { TlsDoor } from "./tls-rig.ts";

/** A machine that does something else. */
const LATE_MS = 3_000;
const TRICKLE_MS = 200;
const HELLO = encodeFrame("hello", { revision: REVISION, nonce: new Uint8Array(32), extras: [] });
/** A frame that would be allowed, as long as one may be: nobody waits for its end. */
const AUTH_BEGINNING = Uint8Array.of(0xc8, 0x14, 0x00, 0x03);

interface Slow {
  /** Until the side under test gives up, ms. */
  readonly deadlineMs: number;
  readonly side: "edge" | "connector";
  /** What the other side does instead of answering. */
  readonly peer: (socket: TLSSocket) => void | Promise<void>;
}

/** One byte now and then, as long as the socket lives. */
function trickle(socket: TLSSocket, byte: number): void {
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer);
    else socket.write(Uint8Array.of(byte));
  }, TRICKLE_MS);
  socket.on("close", () => clearInterval(timer));
}

/** Says HELLO and reads the edge's proof. */
async function greet(socket: TLSSocket): Promise<void> {
  const decoder = new FrameDecoder({ side: "connector", phase: "handshake", maxDatagram: 0 });
  socket.write(HELLO);
  expect(await frameFrom(socket, decoder)).toBe("edgeAuth");
}

const SLOW: Readonly<Record<string, Slow>> = {
  "a connector that says nothing, after 5 s": {
    deadlineMs: FIRST_FRAME_MS,
    side: "edge",
    peer: () => undefined,
  },
  "a connector whose HELLO trickles, after 5 s": {
    deadlineMs: FIRST_FRAME_MS,
    side: "edge",
    peer: (socket) => {
      socket.write(HELLO.subarray(0, 6));
      trickle(socket, 0);
    },
  },
  "a connector that does not prove itself, 10 s after TLS": {
    deadlineMs: HANDSHAKE_MS,
    side: "edge",
    peer: greet,
  },
  "a connector whose proof trickles, 10 s after TLS": {
    deadlineMs: HANDSHAKE_MS,
    side: "edge",
    peer: async (socket) => {
      await greet(socket);
      socket.write(AUTH_BEGINNING);
      trickle(socket, 0);
    },
  },
  "an edge that says nothing, after 10 s": {
    deadlineMs: ANSWER_MS,
    side: "connector",
    peer: () => undefined,
  },
  "an edge that is silent behind its own proof, 10 s after the answer": {
    deadlineMs: ANSWER_MS,
    side: "connector",
    // An edge that waits for ever whether somebody is registered.
    peer: (socket) => {
      const gate = new TestGate();
      gate.enrol = () => new Promise(() => undefined);
      void acceptLink(socket, accepting(gate)).catch(() => undefined);
    },
  },
};

describe("before READY a side gives up", () => {
  let door: TlsDoor;
  /** What each became of, and after how long. */
  const verdicts = new Map<string, Promise<readonly [error: Error, afterMs: number]>>();

  beforeAll(async () => {
    door = await TlsDoor.listen();
    for (const [what, slow] of Object.entries(SLOW)) {
      const { edge, connector } = await door.pair();
      verdicts.set(what, verdictOf(what, slow, edge, connector));
    }
  });
  afterAll(() => door[Symbol.asyncDispose]());

  for (const [what, { deadlineMs }] of Object.entries(SLOW)) {
    test(
      what,
      async () => {
        const verdict = verdicts.get(what);
        if (verdict === undefined) throw new Error("It was not begun");
        const [error, afterMs] = await verdict;
        expect(error).toMatchObject({ code: "LINK_TIMEOUT" });
        // Timers of the runtime count whole milliseconds.
        expect(afterMs).toBeGreaterThanOrEqual(deadlineMs - 1);
        expect(afterMs).toBeLessThan(deadlineMs + LATE_MS);
      },
      HANDSHAKE_MS + 2 * LATE_MS,
    );
  }
});

async function verdictOf(
  what: string,
  { deadlineMs, side, peer }: Slow,
  edge: TLSSocket,
  connector: TLSSocket,
): Promise<readonly [Error, number]> {
  const from = performance.now();
  const own = side === "edge" ? edge : connector;
  const claim = { kind: "enrol", code: new Uint8Array(16), name: "slow" } as const;
  const running =
    side === "edge"
      ? acceptLink(own, accepting(new TestGate()))
      : connectLink(own, connecting({ claim }));
  const failure = failureOf(running, what, deadlineMs + LATE_MS);
  await peer(side === "edge" ? connector : edge);
  const error = await failure;
  const afterMs = performance.now() - from;
  expect(own.destroyed).toBe(true);
  return [error, afterMs];
}
