// This file is peers that break the rules of PROTOCOL §2.2, against a core of either side: the code, the frame and the sentence they get.
import { describe, expect, test } from "bun:test";
import {
  encodeFrame,
  FRAME_SPECS,
  SESSION_CODES,
  type SessionCodeName,
} from "../../../src/wire/index.ts";
import { EDGE_SCRIPTS, type Script, SCRIPTS } from "./hostile-scripts.ts";
import { ScriptedPeer } from "./peer.ts";

function typeOf({ frame }: Script): number {
  if (typeof frame === "number") return frame;
  return FRAME_SPECS.find(({ name }) => name === frame)?.type as number;
}

/** Codes that travel in CLOSE. */
const CLOSE_CODES = Object.entries(SESSION_CODES)
  .filter(([, row]) => (row.in as readonly string[]).includes("close"))
  .map(([name]) => name as SessionCodeName);
/** Of these, the ones a peer deserves. */
const FAULTS = CLOSE_CODES.filter((name) => SESSION_CODES[name].effect === "slow");

for (const side of ["edge", "connector"] as const) {
  describe(`hostile peer of a core at the ${side}`, () => {
    for (const script of [...SCRIPTS, ...(side === "edge" ? EDGE_SCRIPTS : [])]) {
      const { title, code, options, before, bytes, text } = script;
      test(`is closed with ${code} for ${title}`, () => {
        const peer = new ScriptedPeer({ ...options, side });
        before?.(peer);
        expect(peer.closed).toBeUndefined();
        peer.bytes(bytes(peer));
        const violation = {
          code: SESSION_CODES[code].code,
          frameType: typeOf(script),
          message: text(peer),
        };
        expect(peer.violations).toEqual([violation]);
        expect(peer.closed).toMatchObject({ code: violation.code, remote: false });
        const closes = peer.drain().filter(({ name }) => name === "close");
        expect(closes).toEqual([{ name: "close", ...violation, retryAfterMs: 0 }]);
        // Nothing stays: no stream, no byte, and nobody is told anything more.
        expect(peer.core.stats().streams).toBe(0);
        expect(peer.held).toBe(0);
        const told = peer.outputs.length;
        peer.bytes(encodeFrame("ping", { id: 1 }));
        expect(peer.outputs).toHaveLength(told);
      });
    }
  });
}

describe("codes of CLOSE", () => {
  test("each that a peer can deserve is deserved by some script", () => {
    const reached = new Set([...SCRIPTS, ...EDGE_SCRIPTS].map(({ code }) => code));
    expect([...reached].toSorted()).toEqual(FAULTS.toSorted());
    expect(FAULTS).toHaveLength(10);
  });

  for (const name of CLOSE_CODES.filter((each) => !FAULTS.includes(each))) {
    test(`${name} travels as it is, both ways`, () => {
      const { code } = SESSION_CODES[name];
      const speaker = new ScriptedPeer();
      speaker.core.close(code, "why", speaker.now);
      const [close] = speaker.drain().filter((frame) => frame.name === "close");
      expect(close).toEqual({ name: "close", code, frameType: 0, retryAfterMs: 0, message: "why" });
      const listener = new ScriptedPeer();
      listener.send("close", { code, frameType: 0, retryAfterMs: 0, message: "why" });
      expect(listener.closed).toMatchObject({ code, remote: true, message: "why" });
      expect(listener.violations).toEqual([]);
    });
  }

  test("INTERNAL_ERROR is what a broken invariant of ours becomes, not an exception", () => {
    const peer = new ScriptedPeer({
      budget: {
        hold: (bytes) => {
          if (bytes > 0) throw new Error("the books do not add up");
        },
      },
    });
    peer.open(peer.theirs(0), Uint8Array.of(1));
    expect(peer.violations).toEqual([
      {
        code: SESSION_CODES.INTERNAL_ERROR.code,
        frameType: 0,
        message: "the books do not add up",
      },
    ]);
    expect(peer.closed).toMatchObject({ code: SESSION_CODES.INTERNAL_ERROR.code, remote: false });
  });
});
