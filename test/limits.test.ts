import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unreachedLimits } from "../scripts/limits.ts";
import { PeerLimits } from "../src/edge/listen/peer-limits.ts";
import { LIMITS, type LimitName, reachedLimits } from "../src/limits.ts";
import * as protocol from "../src/wire/limits.ts";
import { filesIn, textOf } from "./docs/text.ts";

const NAMES = Object.keys(LIMITS);

/** Constants of the protocol that bound what a peer can make us hold, do or wait for. */
const BOUNDS: Readonly<Partial<Record<LimitName, string>>> = {
  frameBytes:
    "FRAME_BYTES DATA_BYTES DATAGRAM_BYTES DECODER_SLACK_BYTES OPEN_DATA_BYTES ENTRIES_PER_FRAME MESSAGE_BYTES SOFTWARE_BYTES PARAMETER_PAIRS NAME_BYTES EDGE_BODY_BYTES CONNECTOR_APPLICATION_BYTES EDGE_APPLICATION_BYTES",
  linkHandshakeBytes: "EDGE_HANDSHAKE_BYTES CONNECTOR_HANDSHAKE_BYTES",
  linkHandshakeTime: "FIRST_FRAME_MS HANDSHAKE_MS ANSWER_MS",
  handshakeTime: "TLS_MS",
  linkHandshakes: "HANDSHAKES_PAST_TLS",
  penaltyBox: "FAILED_PROOFS_PER_MINUTE",
  failedCodes: "FAILED_CODES_PER_MINUTE",
  sessionsPerTunnel: "SESSIONS_PER_TUNNEL",
  streamCredit: "OPEN_CREDIT_WAIT_MS",
  connectorOpens: "CONNECTOR_OPENS CONNECTOR_OPENS_WINDOW_MS",
  pongs: "PONGS_PER_SECOND",
  idleFrames: "IDLE_FRAMES_PER_SECOND IDLE_FRAMES_WINDOW_MS",
  flowControl: "W_FLOOR W_MIN W_INIT W_MAX S_WIN_MIN",
  sessionHeld:
    "RECV_SESSION_EDGE RECV_SESSION_CONNECTOR EVICTION_SHARE EVICTION_STALL_MS EVICTION_INTERVAL_MS VALVE_MOST_MS WAITING_MS",
  processHeld: "PROCESS_SHARE PROCESS_MAX PRESSURE_FULL PRESSURE_RELIEVED",
  retained: "RETAIN_SESSION",
  inFlight: "IN_FLIGHT_FIRST IN_FLIGHT_MIN",
};
/** The others: why nothing is held back by them. */
const NO_BOUNDS: Readonly<Record<string, string>> = {
  "forms of fields; other values are no frames":
    "MAX_INTEGER DATA_HEADER_BYTES DATA_FIELDS_BYTES DATAGRAM_FIELDS_BYTES LINK_NUMBER_MAX STREAM_COUNT_MAX KIND_MAX KINDS REVISION REVISION_MAX PARAMETER_OPTIONAL_ID PARAMETER_ID_MAX ALPN KEY_BYTES SIGNATURE_BYTES NONCE_BYTES RANDOM_ID_BYTES",
  "our own doing, and when":
    "ORDINAL_DRAIN AUTH_FAILED_DELAY_MS DIALS STREAMS_LEFT_LOW SLOW_MS PRESSURE_HIGH PRESSURE_SEVERE RETAIN_SESSION_MAX ACK_BYTES ACK_DELAY_MS CONTROL_PER_BATCH BATCH_BYTES QUANTUM SUSPECT_MS SIBLING_LOST_MS TIMER_LAG_MS SUSPEND_LAG_MS FAST_PHASE_MS CLOSE_LINGER_MS GOAWAY_ACCEPT_MS",
  "the longest wait taken from a peer": "RETRY_AFTER_MAX_MS UNPROVEN_RETRY_MAX_MS",
  "not in this version: one link, no datagrams":
    "LINKS_PER_SESSION SYNC_OWED_MS DATAGRAMS_PER_LINK_BYTES DATAGRAMS_PER_STREAM_BYTES DATAGRAM_WAIT_MS",
};

describe("named limits", () => {
  test("every constant of the protocol belongs to one, or to a reason why not (S-44)", () => {
    const sorted = [...Object.values(BOUNDS), ...Object.values(NO_BOUNDS)].flatMap((names) =>
      names.split(" "),
    );
    expect(sorted.toSorted()).toEqual(Object.keys(protocol).toSorted());
    expect(Object.keys(BOUNDS).filter((name) => !NAMES.includes(name))).toEqual([]);
  });

  test("each has a sentence, and a place in the source that counts it (S-44)", () => {
    const code = filesIn("src", ".ts")
      .filter((path) => path !== "src/limits.ts")
      .map(textOf)
      .join("\n");
    expect(NAMES.length).toBeGreaterThan(30);
    expect(NAMES.filter((name) => !code.includes(`"${name}"`))).toEqual([]);
    expect(Object.values(LIMITS).filter((text) => !/^[A-Z].*[^.]$/.test(text))).toEqual([]);
  });

  test("are counted", () => {
    const count = (): number => reachedLimits().connectionsPerSource ?? 0;
    const limits = new PeerLimits({ connectionsPerSource: 1 });
    const before = count();
    limits.admit("192.0.2.1", 0);
    expect(count()).toBe(before);
    limits.admit("192.0.2.1", 0);
    limits.admit("192.0.2.1", 0);
    expect(count()).toBe(before + 2);
  });

  test("that no test reached are found in what the processes of a run wrote down", () => {
    const directory = mkdtempSync(join(tmpdir(), "tunl-limits-test-"));
    try {
      expect(unreachedLimits(directory)).toEqual(NAMES);
      const [first, second, ...others] = NAMES as [string, string, ...string[]];
      writeFileSync(join(directory, "1.jsonl"), `{}\n{"${first}":3}\n`);
      writeFileSync(join(directory, "2.jsonl"), `{"${second}":0}\n`);
      expect(unreachedLimits(directory)).toEqual([second, ...others]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
