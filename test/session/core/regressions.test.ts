// Precedents of other multiplexers, against a core of either side: what ended a process there ends one session here. PROTOCOL §2.2; S-45.
import { describe, expect, test } from "bun:test";
import { encodeFrame, SESSION_CODES } from "../../../src/wire/index.ts";
import { ScriptedPeer } from "./peer.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));

/** First bytes of a peer that was just let in. */
const FIRST_FRAMES: Readonly<
  Record<string, { bytes: Uint8Array; code: keyof typeof SESSION_CODES }>
> = {
  "an array that claims 50 million values": {
    bytes: hex("dd 02 fa f0 80"),
    code: "FRAME_ENCODING",
  },
  "an OPEN of 4 GiB": { bytes: hex("c9 ffffffff 22"), code: "FRAME_TOO_LARGE" },
  "DATA one byte too long": { bytes: hex("c9 00003ffb 20"), code: "FRAME_TOO_LARGE" },
  "a type that does not exist": { bytes: hex("d4 63 00"), code: "UNKNOWN_FRAME" },
};

describe.each(["edge", "connector"] as const)("first frames at the %s", (side) => {
  test.each(Object.entries(FIRST_FRAMES))(
    "%s is a clean error of the session, told to the peer, at no cost [CVE-2026-32314]",
    (_, { bytes, code }) => {
      const peer = new ScriptedPeer({ side });
      expect(() => peer.bytes(bytes)).not.toThrow();
      expect(peer.violations.map((violation) => violation.code)).toEqual([
        SESSION_CODES[code].code,
      ]);
      expect(peer.drain().filter(({ name }) => name === "close")).toHaveLength(1);
      expect(peer.held).toBe(0);
    },
  );

  test("an id that nobody opened ends the session, and only it [rabbitmq-c 899]", () => {
    const other = new ScriptedPeer({ side });
    for (const id of [1_000, 1_001, 2 ** 40, 2 ** 40 + 1]) {
      const peer = new ScriptedPeer({ side });
      peer.data(id, 0, Uint8Array.of(1));
      expect([id, peer.violations.length]).toEqual([id, 1]);
      expect(peer.closed).toMatchObject({ remote: false });
      expect([id, peer.held, peer.core.stats().streams]).toEqual([id, 0, 0]);
    }
    other.bytes(encodeFrame("ping", { id: 1 }));
    expect(other.closed).toBeUndefined();
  });
});
