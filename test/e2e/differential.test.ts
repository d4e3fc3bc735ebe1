// This file is that servers of other makers see exactly the requests the edge logged, and nothing between them (S-12).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { eventually } from "../binary/program.ts";
import { IS_SLOW } from "../binary/tunl.ts";
import { awkwardRequests, type Item } from "./awkward-requests.ts";
import { type Recorder, type RecorderKind, RECORDERS, type Seen } from "./recorders.ts";
import { CAN_RUN, TestEdge, Tunnel } from "./rig.ts";
import { type Reply, Visitor } from "./visitor.ts";

/** Visitors who share the origin's connections. */
const VISITORS = IS_SLOW ? 16 : 4;
const ROUNDS = IS_SLOW ? 10 : 1;

const ITEMS = awkwardRequests();

/** What came of one item of one round. */
interface Outcome {
  readonly id: string;
  readonly item: Item;
  readonly reply: Reply;
}

/** One line of the edge's access log. */
interface Logged {
  readonly requestId: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly status: number;
  readonly bytesIn: number;
}

describe.skipIf(!CAN_RUN)("what an origin sees (S-12)", () => {
  let edge: TestEdge;

  beforeAll(async () => {
    edge = await TestEdge.start({ settings: "log: {access: on}\n" });
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  for (const [index, kind] of RECORDERS.entries()) {
    test.skipIf(!kind.isInstalled)(
      kind.name,
      async () => {
        await using recorder = await kind.start();
        const name = `recorder-${index}`;
        await using tunnel = await Tunnel.start({ target: String(recorder.port), name, edge });
        const outcomes = await sendAll(tunnel);
        await compare(tunnel, kind, recorder, outcomes);
      },
      IS_SLOW ? 300_000 : 30_000,
    );
  }
});

/** Every item, in an order of its own per round, each visitor taking the next one that nobody has taken. */
async function sendAll(tunnel: Tunnel): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const work = jobs();
  const visit = async (): Promise<void> => {
    let visitor = await Visitor.open(tunnel.edge, tunnel.host);
    try {
      for (const { id, item } of work) {
        visitor.send(item.bytes(visitor.authority, id));
        const answer = item.method === "HEAD" ? visitor.head() : visitor.answer();
        const reply = await answer.catch((error: unknown) => {
          throw new Error(`No answer to "${item.name}"`, { cause: error });
        });
        outcomes.push({ id, item, reply });
        if (reply.isKept) continue;
        visitor[Symbol.dispose]();
        visitor = await Visitor.open(tunnel.edge, tunnel.host);
      }
    } finally {
      visitor[Symbol.dispose]();
    }
  };
  await Promise.all(Array.from({ length: VISITORS }, visit));
  return outcomes;
}

function* jobs(): Generator<{ readonly id: string; readonly item: Item }> {
  for (let round = 0; round < ROUNDS; round++)
    for (const [index, item] of ITEMS.entries()) yield { id: `${round}-${index}`, item };
}

/** What is on record of a request, whoever recorded it. */
const told = ({ method, target, host, length, sha256 }: Seen): Omit<Seen, "item" | "id"> => ({
  method,
  target,
  host,
  ...(length !== undefined && { length }),
  ...(sha256 !== undefined && { sha256 }),
});

/** Everybody's record of every request, held against what was sent. */
async function compare(
  tunnel: Tunnel,
  kind: RecorderKind,
  recorder: Recorder,
  outcomes: readonly Outcome[],
): Promise<void> {
  const { name, declines, rewrites } = kind;
  const host = `${tunnel.host}:${tunnel.edge.port}`;
  const refused = outcomes.filter(({ reply }) => reply.error !== undefined);
  const served = outcomes.filter(({ reply }) => reply.error === undefined);
  const declined = served.filter(({ item }) => declines[item.name] !== undefined);
  const passed = served.filter(({ item }) => declines[item.name] === undefined);
  console.log(
    `${name}: ${passed.length} requests passed, ${declined.length} declined by the origin, ${refused.length} refused by the edge`,
  );
  expect(outcomes.length).toBe(ITEMS.length * ROUNDS);
  expect(passed.length).toBeGreaterThan(90 * ROUNDS);

  // Own requests are legal: the edge refuses none of them. What it refuses is on nobody's record, as counts below show.
  expect(refused.filter(({ item }) => !item.isRefusable).map(shown)).toEqual([]);
  expect(
    declined.filter(({ item, reply }) => reply.status !== declines[item.name]).map(shown),
  ).toEqual([]);
  // Every visitor got the answer to his own request.
  const isOwn = ({ id, item, reply }: Outcome): boolean =>
    reply.status === 200 && reply.body === (item.method === "HEAD" ? "" : id);
  expect(passed.filter((outcome) => !isOwn(outcome)).map(shown)).toEqual([]);

  // The origin's record.
  expect(recorder.faults().slice(declined.length)).toEqual([]);
  const seen = recorder.seen();
  const byItem = new Map(seen.map((each) => [each.item, each]));
  for (const { id, item } of passed) {
    const { method, target, content } = item;
    const record = byItem.get(id);
    const sha256 = createHash("sha256").update(content, "latin1").digest("hex");
    expect({ name: item.name, ...(record && told(record)) }).toEqual({
      name: item.name,
      ...{ method, target: rewrites[item.name] ?? target, host, length: content.length, sha256 },
    });
  }
  expect(seen.length).toBe(passed.length);

  // The edge's record of the same requests, by the id that both know.
  const lines = await eventually(() => {
    const found = accessLog(tunnel);
    return found.length >= served.length ? found : undefined;
  }, `${served.length} lines of the edge's log`);
  expect(lines.length).toBe(served.length);
  const logged = new Map(lines.map((line) => [line.requestId, line]));
  expect(logged.size).toBe(lines.length);
  for (const { id, item } of passed) {
    const line = logged.get(byItem.get(id)?.id ?? "");
    expect([item.name, line?.method, line?.path, line?.bytesIn, line?.status]).toEqual([
      ...[item.name, item.method, item.target.split("?")[0]],
      ...[item.content.length, 200],
    ]);
  }

  if (recorder.logged === undefined) return;
  // The proxy's own record: it read the same requests, and no more.
  const proxied = await eventually(() => {
    const found = recorder.logged?.() ?? [];
    return found.length >= served.length ? found : undefined;
  }, `${served.length} lines of the log of ${name}`);
  expect(proxied.length).toBe(served.length);
  const byProxy = new Map(proxied.map((each) => [each.item, each]));
  for (const { id, item } of passed) {
    const record = byProxy.get(id);
    expect({ name: item.name, ...(record && told(record)) }).toEqual({
      name: item.name,
      ...{ method: item.method, target: item.target, host },
    });
  }
}

const shown = ({ item, reply }: Outcome): string =>
  `${item.name}: ${reply.status} ${reply.error ?? reply.body.slice(0, 60)}`;

/** The edge's lines for the host of a tunnel. */
function accessLog({ edge, host }: Tunnel): readonly Logged[] {
  return edge.process.output.split("\n").flatMap((line) => {
    if (!line.includes('"request"') || !line.startsWith("{")) return [];
    const record: Logged & { event: string } = JSON.parse(line);
    const isOurs = record.event === "request" && record.host === host;
    // Status 0: the body turned out to be none, and the exchange was cut on both sides.
    return isOurs && record.status !== 0 ? [record] : [];
  });
}
