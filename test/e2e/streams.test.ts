// This file is that requests leave nothing behind: no stream, no credit, whatever became of their bodies. PROTOCOL §4, §5.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { eventually } from "../binary/program.ts";
import { within } from "../within.ts";
import { tunl } from "../binary/tunl.ts";
import { CAN_RUN, TestEdge, Tunnel } from "./rig.ts";
import { type Reply, Visitor } from "./visitor.ts";

/** More than a session may have open at a time (1,000), and than its stream credit. */
const POSTS = 1_200;
/** Where each needs a connection of its own. */
const FEW = 200;
/** Where each is dialled for again and again. */
const LEAST = 40;
const VISITORS = 20;

/** An origin that answers when the head is there, and never reads a body. */
class EarlyOrigin implements AsyncDisposable {
  readonly #server: Server = createServer((socket) => {
    // It is left in the middle of requests; that is the point.
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.pause();
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly");
    });
  });

  static async start(): Promise<EarlyOrigin> {
    const origin = new EarlyOrigin();
    origin.#server.listen(0, "127.0.0.1");
    await within(once(origin.#server, "listening"), "the origin");
    return origin;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
  }
}

/** Streams that are open, as both ends say. */
async function openStreams(tunnel: Tunnel): Promise<{ edge: number; connector: number }> {
  const [edge, connector] = await Promise.all([
    tunl(["status", "--json"], { home: tunnel.edge.home }),
    tunl(["status", "--json"], { home: tunnel.home }),
  ]);
  const tunnels: readonly { hosts: readonly string[]; streams: number }[] = JSON.parse(edge.stdout)
    .edge.tunnels;
  return {
    edge: tunnels.find(({ hosts }) => hosts.includes(tunnel.host))?.streams ?? -1,
    connector: JSON.parse(connector.stdout).connectors[0].streams,
  };
}

/** Only the announcement is open; it is a stream too. */
async function expectNothingLeft(tunnel: Tunnel): Promise<void> {
  let last = "";
  await eventually(
    async () => {
      const streams = await openStreams(tunnel);
      last = JSON.stringify(streams);
      return streams.edge === 1 && streams.connector === 1 ? true : undefined;
    },
    "an end of all streams but one",
    5_000,
  ).catch((error: unknown) => {
    throw new Error(`Streams still open: ${last}`, { cause: error });
  });
}

/** All visitors at once, each one request after the other. Returns how many answers of which kind came. */
async function postAll(
  tunnel: Tunnel,
  count: number,
  post: (visitor: Visitor) => Promise<Reply>,
): Promise<Readonly<Record<string, number>>> {
  const answers: Record<string, number> = {};
  const work = async (): Promise<void> => {
    let visitor = await Visitor.open(tunnel.edge, tunnel.host);
    try {
      for (let index = 0; index < count / VISITORS; index++) {
        const { status, error = "", isKept } = await post(visitor);
        const kind = `${status} ${error}`.trim();
        answers[kind] = (answers[kind] ?? 0) + 1;
        if (isKept) continue;
        visitor[Symbol.dispose]();
        visitor = await Visitor.open(tunnel.edge, tunnel.host);
      }
    } finally {
      visitor[Symbol.dispose]();
    }
  };
  await Promise.all(Array.from({ length: VISITORS }, work));
  return answers;
}

const head = ({ authority }: Visitor, length: number): string =>
  `POST /x HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: ${length}\r\n\r\n`;

describe.skipIf(!CAN_RUN)("streams", () => {
  let edge: TestEdge;

  beforeAll(async () => {
    edge = await TestEdge.start();
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  const whole = (visitor: Visitor): Promise<Reply> => {
    visitor.send(`${head(visitor, 5)}hello`);
    return visitor.answer();
  };

  test("bodies that an own answer does not take return their credit", async () => {
    await using tunnel = await Tunnel.start({ target: "http_status:200", name: "status", edge });
    expect(await postAll(tunnel, POSTS, whole)).toEqual({ "200": POSTS });
    await expectNothingLeft(tunnel);
  });

  test("bodies that an origin leaves, because it answered early, return their credit", async () => {
    await using origin = await EarlyOrigin.start();
    await using tunnel = await Tunnel.start({ target: String(origin.port), name: "early", edge });
    expect(await postAll(tunnel, POSTS, whole)).toEqual({ "200": POSTS });
    await expectNothingLeft(tunnel);
  });

  test("bodies that are still to come when the answer is there keep no stream", async () => {
    await using origin = await EarlyOrigin.start();
    await using tunnel = await Tunnel.start({ target: String(origin.port), name: "begun", edge });
    // The connection may end with such an answer: each request has one of its own.
    const begun = async (visitor: Visitor): Promise<Reply> => {
      visitor.send(`${head(visitor, 5)}he`);
      return { ...(await visitor.answer()), isKept: false };
    };
    expect(await postAll(tunnel, FEW, begun)).toEqual({ "200": FEW });
    await expectNothingLeft(tunnel);
  });

  test("bodies that a failed origin cannot take return their credit", async () => {
    const closed = await EarlyOrigin.start();
    const { port } = closed;
    await closed[Symbol.asyncDispose]();
    await using tunnel = await Tunnel.start({ target: String(port), name: "refused", edge });
    expect(await postAll(tunnel, LEAST, whole)).toEqual({ "502 ORIGIN_REFUSED": LEAST });
    await expectNothingLeft(tunnel);
  });
});
