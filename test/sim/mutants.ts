// This file is rules broken on purpose, one each: a simulator that does not notice is not worth its time.
import { ACK_BYTES, encodeFrame } from "../../src/wire/index.ts";
import { Ledger } from "../../src/session/core/ledger.ts";
import { LinkTable } from "../../src/session/core/link-table.ts";
import { AckDebt } from "../../src/session/core/links.ts";
import { Liveness } from "../../src/session/core/liveness.ts";
import { ReceiveWindow, SessionWindow } from "../../src/session/core/receive-window.ts";
import type { StreamState } from "../../src/session/core/streams.ts";
import { changing, copyOf, dataOf, hiding, patching, without } from "./mutate.ts";
import type { Mutant } from "./shell.ts";

export interface BrokenRule {
  readonly mutant: () => Mutant;
  /** What the simulator says. */
  readonly finding: RegExp;
}

const NOT_OVER = /is not over at the/;

/** What is broken, by the sentence of the rule. */
export const BROKEN_RULES: Readonly<Record<string, BrokenRule>> = {
  "credit follows consumption, not receipt": {
    mutant: () => ({ hasCreditOnReceipt: true }),
    finding: /counts \d+ bytes as held/,
  },
  "stream credit comes back": { mutant: () => without("maxStreamData"), finding: NOT_OVER },
  "session credit comes back": { mutant: () => without("maxData"), finding: NOT_OVER },
  "stream count comes back": { mutant: () => without("maxStreams"), finding: /may open no stream/ },
  "receipt is acknowledged": { mutant: () => without("ack"), finding: NOT_OVER },
  "the final ACK leaves before a stream is forgotten": {
    mutant: withoutFinalAck,
    finding: NOT_OVER,
  },
  "FIN arrives": { mutant: withoutFin, finding: NOT_OVER },
  "FIN of an OPEN arrives": {
    mutant: () =>
      changing("open", (decoder) => encodeFrame("open", { ...decoder.record("open"), fin: false })),
    finding: NOT_OVER,
  },
  "RESET arrives": { mutant: () => without("reset"), finding: NOT_OVER },
  "STOP_SENDING arrives": { mutant: () => without("stopSending"), finding: NOT_OVER },
  "OPEN comes first": { mutant: openLater, finding: /violation 8 .* was not opened/ },
  "limits are those announced": {
    mutant: higherLimits,
    finding: /wrote \d+ bytes of stream \d+, allowed/,
  },
  "bytes stay what they were": { mutant: otherBytes, finding: /delivered other bytes/ },
  "no byte is left out": {
    mutant: () =>
      changing("data", (decoder) => dataOf(decoder, decoder.offset, decoder.bytes.subarray(0, -1))),
    finding: /Received offset|ended after/,
  },
  "a paused writer is woken": { mutant: () => hiding("streamWritable"), finding: NOT_OVER },
  "the end of a direction is told": {
    mutant: () => hiding("streamEnded"),
    finding: /before its reader knew/,
  },
  "a reset is told": { mutant: () => hiding("streamReset"), finding: /before its reader knew/ },
  "the end of a stream is told": {
    mutant: () => hiding("streamClosed"),
    finding: /is not over at the|left stream \d+ open/,
  },
  "an ACK takes the link on which the bytes came": {
    // A second link would have died with every other of them; here there is one, so they are lost.
    mutant: acksElsewhere,
    finding: NOT_OVER,
  },
  "ACK is due by the bytes of the link, not by those of one stream": {
    mutant: acksPerStream,
    finding: /wrote a batch and left \d+ bytes unacknowledged/,
  },
  "what nobody reads is given up": {
    mutant: () =>
      patching(
        ReceiveWindow.prototype,
        "arrived",
        (original) =>
          function (this: ReceiveWindow, ...args) {
            original.apply(this, args);
            this.waitingSince = Number.POSITIVE_INFINITY;
          },
      ),
    finding: /bytes for \d+.* ms and gives no stream up/,
  },
  "only what waited long is given up": {
    mutant: () =>
      patching(
        ReceiveWindow.prototype,
        "arrived",
        (original) =>
          function (this: ReceiveWindow, ...args) {
            original.apply(this, args);
            this.waitingSince = 0;
          },
      ),
    finding: /evicted stream \d+, whose bytes waited for/,
  },
  "a full process reads no more": {
    mutant: () => ({ isUnpressed: true }),
    finding: /is full for .* and reads on/,
  },
  "a session that reads no more pauses its link": {
    mutant: () => patching(LinkTable.prototype, "read", () => () => undefined),
    finding: /is given bytes, though its session reads none/,
  },
  "a link that was paused is read again": {
    mutant: () => hiding("resumeLink"),
    finding: /ended without a reason/,
  },
  "a link carries no more than its path takes": {
    mutant: () =>
      patching(
        Ledger.prototype,
        "hasRoomOn",
        () =>
          function (this: Ledger) {
            return this.canSendBytes;
          },
      ),
    finding: /bytes in flight, allowed/,
  },
  "the session grants no more than its budget": {
    mutant: () =>
      patching(
        SessionWindow.prototype,
        "raise",
        (original) =>
          function (this: SessionWindow, now) {
            const rose = original.call(this, now);
            if (rose) this.limit += this.budget;
            return rose;
          },
      ),
    finding: /granted more than its budget/,
  },
  "a session retains no more than it may": {
    mutant: () =>
      patching(
        Ledger.prototype,
        "sessionRoom",
        () =>
          function (this: Ledger) {
            return this.credit.left;
          },
      ),
    finding: /retains \d+ bytes, allowed/,
  },
  "silence of a stalled loop is not the peer's": {
    mutant: () =>
      patching(
        Liveness.prototype,
        "check",
        (original) =>
          function (this: Liveness, now) {
            return original.call(this, now, 0);
          },
      ),
    finding: /ended without a reason/,
  },
  "a link that goes dark is noticed": {
    mutant: () => patching(Liveness.prototype, "check", () => () => "quiet"),
    finding: /saw the link dark|is due again at once|outlived/,
  },
};

function acksElsewhere(): Mutant {
  return changing("ack", (decoder) => {
    const entries = decoder.record("ack").entries.filter(({ id }) => id % 4 < 2);
    return entries.length === 0 ? undefined : encodeFrame("ack", { entries });
  });
}

function acksPerStream(): Mutant {
  const counted = new WeakMap<AckDebt, Map<StreamState, number>>();
  const adding = patching(
    AckDebt.prototype,
    "add",
    (original) =>
      function (this: AckDebt, stream, bytes, now) {
        const counts = counted.get(this) ?? new Map<StreamState, number>();
        counted.set(this, counts.set(stream, (counts.get(stream) ?? 0) + bytes));
        original.call(this, stream, 0, now);
      },
  );
  const settling = patching(
    AckDebt.prototype,
    "settle",
    (original) =>
      function (this: AckDebt, mark) {
        counted.delete(this);
        original.call(this, mark);
      },
  );
  const due = patching(
    AckDebt.prototype,
    "isDue",
    (original) =>
      function (this: AckDebt, now) {
        for (const bytes of counted.get(this)?.values() ?? []) if (bytes >= ACK_BYTES) return true;
        return original.call(this, now);
      },
  );
  return {
    patch: () => {
      const undo = [adding, settling, due].map(({ patch }) => patch?.());
      return () => {
        for (const each of undo) each?.();
      };
    },
  };
}

function withoutFinalAck(): Mutant {
  return changing("ack", (decoder) => {
    const entries = decoder.record("ack").entries.filter(({ ended }) => !ended);
    return entries.length === 0 ? undefined : encodeFrame("ack", { entries });
  });
}

function withoutFin(): Mutant {
  return changing("dataFin", (decoder) =>
    decoder.bytes.length === 0 ? undefined : dataOf(decoder, decoder.offset, decoder.bytes),
  );
}

function higherLimits(): Mutant {
  return changing("maxStreamData", (decoder) => {
    const entries = decoder
      .record("maxStreamData")
      .entries.map(({ id, limit }) => ({ id, limit: limit + 1 }));
    return encodeFrame("maxStreamData", { entries });
  });
}

function otherBytes(): Mutant {
  return changing("data", (decoder) => {
    const frame = copyOf(decoder);
    const last = frame.length - 1;
    frame[last] = (frame[last] as number) ^ 1;
    return frame;
  });
}

/** The first OPEN leaves behind a frame of its own stream. */
function openLater(): Mutant {
  let kept: { readonly id: number; readonly frame: Uint8Array } | undefined;
  return {
    frame: ({ name, decoder }) => {
      const frame = copyOf(decoder);
      if (name === "open" && kept === undefined) {
        kept = { id: decoder.record("open").id, frame };
        return undefined;
      }
      const isData = name === "data" || name === "dataFin";
      if (kept === undefined || !isData || decoder.stream !== kept.id) return frame;
      const late = kept.frame;
      kept = undefined;
      return new Uint8Array(Buffer.concat([frame, late]));
    },
  };
}
