// This file is that a response cut anywhere, by whomever, is never a short success: origins, connectors and links at random offsets (S-11).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually } from "../binary/program.ts";
import { IS_SLOW } from "../binary/tunl.ts";
import { Random } from "../http1/support.ts";
import {
  bodyOf,
  CuttingOrigin,
  type Framing,
  type Plan,
  responseOf,
  type Stop,
} from "./cutting-origin.ts";
import { type Direction, type Fault, FaultProxy } from "./fault-proxy.ts";
import { Connector } from "./connector.ts";
import { visit } from "./peer.ts";
import { within } from "../within.ts";
import { CAN_RUN, curl, TestEdge } from "./rig.ts";
import { expectNothingLeft } from "./leftovers.ts";
import { judge, type Verdict } from "./strict-reader.ts";

/** In the long form 1,300 responses in all. */
const ORIGIN_ROUNDS = IS_SLOW ? 700 : 40;
const CONNECTOR_KILLS = IS_SLOW ? 30 : 1;
const LINK_CUTS = IS_SLOW ? 30 : 2;
/** Responses on their way when a connector or a link goes. */
const AT_A_TIME = 10;
/** The origin's rounds that curl judges, of each. */
const CURL_EVERY = 12;
const VISITORS = 8;
const LARGEST = 200_000;
/** Every so many cuts of its link the connector is left to come back; else it is started again, which is faster. */
const RETURNS_ONCE_IN = 3;
/** A link that is silent is given up after 16 s. */
const DARK_MS = 40_000;
const DEADLINE_MS = IS_SLOW ? 180_000 : 30_000;

const FRAMINGS: readonly Framing[] = ["length", "chunked", "close"];

/** One visit and what the visitor may conclude. */
interface Outcome {
  readonly plan: Plan;
  readonly version: string;
  readonly verdict: Verdict;
}

describe.skipIf(!CAN_RUN)("responses that are cut at random offsets (S-11)", () => {
  const random = new Random("cut offsets");
  let edge: TestEdge;
  let origin: CuttingOrigin;

  beforeAll(async () => {
    edge = await TestEdge.start();
    origin = await CuttingOrigin.start();
  });

  afterAll(async () => {
    await origin?.[Symbol.asyncDispose]();
    await edge?.[Symbol.asyncDispose]();
  });

  function planOf(stops: readonly Stop[], least = 1): Plan {
    const framing = random.pick(FRAMINGS);
    const body = bodyOf(least + random.below(LARGEST - least), random.below(1_000_000));
    // A FIN is the very end of a body without length and chunks: only an RST can cut it, and that behind its last byte too.
    const stop = random.pick(framing === "close" ? stops.filter((each) => each !== "fin") : stops);
    const total = responseOf(framing, body).length;
    return { framing, body, stop, offset: random.below(framing === "close" ? total + 1 : total) };
  }

  /** Asks for a plan and reads to the end. `begun` is told of the first byte. */
  async function read(
    host: string,
    path: string,
    plan: Plan,
    withinMs?: number,
    begun: () => void = () => undefined,
  ): Promise<Outcome> {
    const version = random.pick(["1.0", "1.1"]);
    using visitor = await visit(edge, host);
    visitor.send(
      `GET ${path} HTTP/${version}\r\nHost: ${host}:${edge.port}\r\nConnection: close\r\n\r\n`,
    );
    visitor.socket.once("data", begun);
    const ending = await visitor.ended(withinMs);
    return { plan, version, verdict: judge(visitor.text, ending) };
  }

  test(
    `the origin ends or resets, ${ORIGIN_ROUNDS} times`,
    async () => {
      await using connector = new Connector("cut-origin", origin.port);
      await connector.start(await edge.invite());
      const outcomes: Outcome[] = [];
      const codes: number[] = [];
      let round = 0;
      const work = async (): Promise<void> => {
        while (round < ORIGIN_ROUNDS) {
          round += 1;
          const isForCurl = round % CURL_EVERY === 0;
          // Some are whole: an oracle that always says "cut" would find nothing.
          const stops = ["fin", "rst", "fin", "rst"] as const;
          const plan = planOf(isForCurl ? stops : [...stops, "whole"]);
          const path = origin.plan(plan);
          if (!isForCurl) {
            outcomes.push(await read(connector.host, path, plan));
            continue;
          }
          const url = `https://${connector.host}:${edge.port}${path}`;
          const { code } = await curl(edge, ["--fail", "-o", "/dev/null", url]);
          codes.push(code);
        }
      };
      await Promise.all(Array.from({ length: VISITORS }, work));
      const whole = outcomes.filter(({ plan }) => plan.stop === "whole");
      const cut = outcomes.filter(({ plan }) => plan.stop !== "whole");
      expect(outcomes.length + codes.length).toBe(ORIGIN_ROUNDS);
      expect(whole.filter((outcome) => !isWhole(outcome)).map(shown)).toEqual([]);
      expect(cut.filter((outcome) => !isError(outcome)).map(shown)).toEqual([]);
      // 18: bytes are missing. 22: an answer of ours. 52, 56: nothing came, or a reset.
      expect(codes.filter((code) => ![18, 22, 52, 56].includes(code))).toEqual([]);
      expect(codes.length).toBeGreaterThan(0);
      await expectNothingLeft(edge.home, connector.home);
      tell("origin", outcomes);
    },
    DEADLINE_MS,
  );

  test(
    `the connector is killed, ${CONNECTOR_KILLS} times with ${AT_A_TIME} responses on their way`,
    async () => {
      await using connector = new Connector("cut-connector", origin.port);
      await connector.start(await edge.invite());
      const outcomes: Outcome[] = [];
      for (let kill = 0; kill < CONNECTOR_KILLS; kill++) {
        const begun = Promise.withResolvers<void>();
        const all = Array.from({ length: AT_A_TIME }, () => {
          const plan = planOf(["hold"]);
          return read(connector.host, origin.plan(plan), plan, undefined, begun.resolve);
        });
        // One has begun, the others are somewhere on their way: where each is cut is left to chance.
        await within(begun.promise, "the first byte of a response");
        if (kill % 2 > 0) await new Promise((resolve) => setTimeout(resolve, random.below(50)));
        connector.kill();
        await connector.start();
        outcomes.push(...(await Promise.all(all)));
      }
      expect(outcomes.length).toBe(CONNECTOR_KILLS * AT_A_TIME);
      expect(outcomes.filter((outcome) => !isError(outcome)).map(shown)).toEqual([]);
      tell("connector", outcomes);
    },
    DEADLINE_MS,
  );

  /** Cuts a link while responses are on their way; each is then whole after all, or shows that it is not. */
  async function cutLinks(
    count: number,
    faults: readonly Fault[],
    withinMs?: number,
  ): Promise<void> {
    await using proxy = await FaultProxy.start(edge.port);
    await using connector = new Connector(`cut-link-${faults[0]}`, origin.port);
    const line = await edge.invite();
    expect(line).toContain(`:${edge.port}/`);
    await connector.start(line.replace(`:${edge.port}/`, `:${proxy.port}/`));
    const outcomes: Outcome[] = [];
    for (let cut = 0; cut < count; cut++) {
      const plans = Array.from({ length: AT_A_TIME }, () => planOf(["whole"], LARGEST / 2));
      const direction: Direction = random.below(4) === 0 ? "toConnector" : "toEdge";
      // Most of what passes goes to the edge; the other way there are heads and acknowledgements.
      const bytes = random.below(direction === "toEdge" ? (AT_A_TIME * LARGEST) / 2 : 2_000);
      const failed = proxy.failAfter(bytes, direction, random.pick(faults));
      const all = plans.map((plan) => read(connector.host, origin.plan(plan), plan, withinMs));
      await failed;
      outcomes.push(...(await Promise.all(all)));
      if (cut % RETURNS_ONCE_IN > 0) {
        // More links that end at once would make it wait for long (src/connector/backoff.ts).
        connector.kill();
        await connector.start();
        continue;
      }
      // The connector comes back by itself.
      const probe: Plan = { framing: "length", body: "back", offset: 0, stop: "whole" };
      await eventually(async () => {
        const outcome = await read(connector.host, origin.plan(probe), probe);
        return isWhole(outcome) ? true : undefined;
      }, "the connector");
    }
    expect(outcomes.length).toBe(count * AT_A_TIME);
    expect(outcomes.filter((outcome) => !isWhole(outcome) && !isError(outcome)).map(shown)).toEqual(
      [],
    );
    tell(`link (${faults.join(", ")})`, outcomes);
  }

  test(
    `the link is cut, ${LINK_CUTS} times with ${AT_A_TIME} responses on their way`,
    () => cutLinks(LINK_CUTS, ["rst", "fin"]),
    DEADLINE_MS,
  );

  test.skipIf(!IS_SLOW)("the link is silent", () => cutLinks(1, ["dark"], DARK_MS), DEADLINE_MS);
});

/** The right bytes, all of them. */
const isWhole = ({ plan, verdict }: Outcome): boolean =>
  verdict.kind === "whole" && verdict.status === 200 && verdict.body === plan.body;

/** A visitor can see that this is not what he asked for. */
const isError = ({ verdict }: Outcome): boolean =>
  verdict.kind === "cut" || (verdict.status >= 500 && verdict.error !== "");

function shown({ plan, version, verdict }: Outcome): string {
  const { framing, body, offset, stop } = plan;
  const so =
    verdict.kind === "cut" ? verdict.why : `${verdict.status}, ${verdict.body.length} bytes`;
  return `${framing} of ${body.length}, ${stop} at ${offset}, HTTP/${version}: ${verdict.kind}, ${so}`;
}

function tell(who: string, outcomes: readonly Outcome[]): void {
  const whole = outcomes.filter(isWhole).length;
  const cut = outcomes.filter(({ verdict }) => verdict.kind === "cut").length;
  const answers = outcomes.length - whole - cut;
  console.log(`cut by the ${who}: ${cut} cut, ${answers} answers of the edge, ${whole} whole`);
}
