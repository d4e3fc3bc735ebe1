// This file is what each link owes in ACKs, and that bytes count where they came. PROTOCOL §6.2.
import { describe, expect, test } from "bun:test";
import { Inbound } from "../../../src/session/core/inbound.ts";
import { Ledger } from "../../../src/session/core/ledger.ts";
import { AckDebt, type LinkState } from "../../../src/session/core/links.ts";
import { DIRTY, StreamState } from "../../../src/session/core/streams.ts";
import {
  ACK_BYTES,
  ACK_DELAY_MS,
  DEFAULT_PARAMETERS,
  encodeFrame,
} from "../../../src/wire/index.ts";
import { dataFrame, join, pattern } from "./peer.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;
const NOW = 1_000;

function stream(id: number): StreamState {
  return new StreamState(id, 1, false, 0, 64 * KIB, 64 * KIB);
}

/** The streams a debt hands over when it is settled. */
function settled(debt: AckDebt): number[] {
  const ids: number[] = [];
  debt.settle(({ id }, bits) => {
    expect(bits).toBe(DIRTY.ack);
    ids.push(id);
  });
  return ids;
}

/** A core of a connector without its shell, with two links attached. */
function twoLinks(): {
  readonly ledger: Ledger;
  readonly inbound: Inbound;
  readonly links: readonly [LinkState, LinkState];
} {
  const ledger = new Ledger({
    side: "connector",
    local: DEFAULT_PARAMETERS.connector,
    remote: DEFAULT_PARAMETERS.edge,
    trace: {
      link: () => undefined,
      stream: () => undefined,
      dropped: () => undefined,
      violation: () => undefined,
    },
    budget: {
      receive: 16 * MIB,
      retain: 16 * MIB,
      unsent: 16 * MIB,
      pressure: () => 0,
      hold: () => undefined,
    },
  });
  const inbound = new Inbound(ledger, { goAway: () => true, closed: () => undefined });
  for (const number of [0, 1]) ledger.links.attach(number, undefined, NOW);
  const [first, second] = [ledger.links.get(0), ledger.links.get(1)];
  if (first === undefined || second === undefined) throw new Error("A link is missing");
  return { ledger, inbound, links: [first, second] };
}

function open(id: number): Uint8Array {
  return encodeFrame("open", {
    id,
    kind: 1,
    fin: false,
    receiveLimit: 0,
    data: new Uint8Array(0),
  });
}

describe("the ACKs a link owes", () => {
  test("are due 25 ms after the first thing that wants one", () => {
    const debt = new AckDebt();
    expect(debt.deadline()).toBe(Number.POSITIVE_INFINITY);
    debt.add(stream(0), 0, NOW);
    debt.add(stream(2), 100, NOW + 20);
    expect(debt.deadline()).toBe(NOW + ACK_DELAY_MS);
    expect(debt.isDue(NOW + ACK_DELAY_MS - 1)).toBe(false);
    expect(debt.isDue(NOW + ACK_DELAY_MS)).toBe(true);
    expect(settled(debt)).toEqual([0, 2]);
    expect(debt.isDue(NOW + 1_000)).toBe(false);
    expect(debt.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test("are due at once with 64 KiB on the link, whichever streams they belong to", () => {
    const debt = new AckDebt();
    const streams = [0, 2, 4, 6].map(stream);
    // No stream comes near the bound by itself.
    for (const each of streams) debt.add(each, 16 * KIB - 1, NOW);
    expect(debt.isDue(NOW)).toBe(false);
    debt.add(streams[0] as StreamState, 4, NOW);
    expect(debt.isDue(NOW)).toBe(true);
    expect(settled(debt)).toEqual([0, 2, 4, 6]);
  });

  test("name a stream once, and not where it was told meanwhile", () => {
    const debt = new AckDebt();
    const [one, other] = [stream(0), stream(2)];
    for (let count = 0; count < 3; count++) debt.add(one, 10, NOW);
    debt.add(other, 10, NOW);
    other.receive.isAckOwed = false;
    expect(settled(debt)).toEqual([0]);
  });
});

describe("two links", () => {
  test("count the bytes that came on each, and are due each by itself", () => {
    const { inbound, links } = twoLinks();
    const [first, second] = links;
    inbound.apply(first, join(open(0), dataFrame(0, 0, pattern(16_000))), NOW);
    inbound.apply(second, join(open(2), dataFrame(2, 0, pattern(16_000))), NOW + 10);
    for (let round = 1; round < 4; round++)
      inbound.apply(second, dataFrame(2, round * 16_000, pattern(16_000)), NOW + 10);
    expect(first.acks.isDue(NOW + 10)).toBe(false);
    expect(second.acks.isDue(NOW + 10)).toBe(false);
    // 80,000 bytes came in all, 64,000 of them on the second link: neither counts the other's.
    inbound.apply(second, dataFrame(2, 64_000, pattern(ACK_BYTES - 64_000)), NOW + 10);
    expect(second.acks.isDue(NOW + 10)).toBe(true);
    expect(first.acks.isDue(NOW + 10)).toBe(false);
    expect(settled(second.acks)).toEqual([2]);
    expect(first.acks.isDue(NOW + ACK_DELAY_MS)).toBe(true);
    expect(settled(first.acks)).toEqual([0]);
  });

  test("take the ACK of a stream where its newest frame came", () => {
    const { inbound, ledger, links } = twoLinks();
    const [first, second] = links;
    const ackLinks: (number | undefined)[] = [];
    const note = (): void => void ackLinks.push(ledger.streams.get(0)?.ackLink);
    inbound.apply(first, open(0), NOW);
    note();
    inbound.apply(second, dataFrame(0, 0, pattern(10)), NOW);
    note();
    inbound.apply(first, dataFrame(0, 10, pattern(10), true), NOW);
    note();
    inbound.apply(second, encodeFrame("reset", { id: 0, code: 1, finalSize: 20 }), NOW);
    note();
    // What is no OPEN, DATA, DATA_FIN or RESET moves nothing.
    inbound.apply(first, encodeFrame("maxStreamData", { entries: [{ id: 0, limit: 9 }] }), NOW);
    note();
    expect(ackLinks).toEqual([0, 1, 0, 1, 1]);
  });
});
