import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { Program, run, SEARCH_PATH } from "../binary/program.ts";
import { App, CAN_RUN, Tunnel } from "./rig.ts";

const CLIENT = fileURLToPath(new URL("programs/ws-client.mjs", import.meta.url));

/** What the client of `programs/ws-client.mjs` saw. */
interface Seen {
  readonly opened: boolean;
  readonly messages: number;
  readonly wrong: number;
  readonly largest: number;
  readonly sent?: readonly string[];
  readonly sha256: readonly string[];
  readonly protocol?: string;
  readonly extensions?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly status?: number;
  readonly body?: string;
  readonly error?: string;
}

describe.skipIf(!CAN_RUN)("WebSocket through the tunnel", () => {
  let app: App;
  let tunnel: Tunnel;

  beforeAll(async () => {
    app = await App.start();
    tunnel = await Tunnel.start({ target: String(app.port) });
  });

  afterAll(async () => {
    await tunnel?.[Symbol.asyncDispose]();
    await app?.[Symbol.asyncDispose]();
  });

  function command(path: string, task: Readonly<Record<string, unknown>>): string[] {
    const url = tunnel.url(path).replace("https:", "wss:");
    return ["node", CLIENT, JSON.stringify({ url, ca: tunnel.edge.ca, ...task })];
  }

  async function visit(path: string, task: Readonly<Record<string, unknown>>): Promise<Seen> {
    const { code, stdout, stderr } = await run(command(path, task), {
      environment: { PATH: SEARCH_PATH },
    });
    if (code !== 0) throw new Error(`The client ended with ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  test("1,000 messages come back in order, text as text and bytes as bytes", async () => {
    const seen = await visit("/ws/echo", { do: "echo", count: 1_000 });
    expect(seen).toMatchObject({ messages: 1_000, wrong: 0, code: 1000, reason: "done" });
    expect(seen.largest).toBeGreaterThan(65_536);
  });

  test("messages of 1 MiB come back whole", async () => {
    const seen = await visit("/ws/echo", { do: "large", count: 8, size: 1 << 20 });
    expect([seen.messages, seen.largest, seen.code]).toEqual([8, 1 << 20, 1000]);
    expect(seen.sha256).toEqual(seen.sent as string[]);
  });

  test("subprotocol and compression are agreed between the two ends", async () => {
    const protocols = ["chat.v1", "chat.v2"];
    const seen = await visit("/ws/echo", { do: "echo", count: 10, protocols });
    expect([seen.protocol, seen.extensions, seen.wrong]).toEqual([
      "chat.v2",
      "permessage-deflate",
      0,
    ]);
  });

  test("the visitor's close code and reason reach the origin", async () => {
    const after = app.process.lineCount;
    const seen = await visit("/ws/echo", { do: "close", code: 4001, reason: "bye" });
    expect(seen).toMatchObject({ code: 4001, reason: "bye" });
    await app.process.line(/^closed 4001 bye$/, { after });
  });

  test("the origin's close code and reason reach the visitor", async () => {
    expect(await visit("/ws/close/4321", { do: "wait" })).toMatchObject({
      opened: true,
      code: 4321,
      reason: "as asked",
    });
  });

  test("a visitor who leaves without a close frame is gone at the origin too", async () => {
    const after = app.process.lineCount;
    expect((await visit("/ws/echo", { do: "leave" })).code).toBe(1006);
    await app.process.line(/^closed 1006 /, { after });
  });

  test("an origin that refuses the upgrade answers with its own words", async () => {
    expect(await visit("/ws/refused", { do: "wait" })).toMatchObject({
      opened: false,
      status: 403,
      body: "refused",
    });
  });

  test("20 visitors at a time do not mix", async () => {
    const all = await Promise.all(
      Array.from({ length: 20 }, () => visit("/ws/echo", { do: "echo", count: 50 })),
    );
    expect(all.map(({ messages, wrong }) => [messages, wrong])).toEqual(Array(20).fill([50, 0]));
  });

  test("an origin that dies ends the visitor's connection at once", async () => {
    await using dying = await App.start();
    await using other = await Tunnel.start({
      target: String(dying.port),
      name: "dying",
      edge: tunnel.edge,
    });
    const url = other.url("/ws/counter").replace("https:", "wss:");
    await using client = new Program(
      ["node", CLIENT, JSON.stringify({ url, ca: tunnel.edge.ca, do: "wait" })],
      { environment: { PATH: SEARCH_PATH } },
    );
    await dying.process.line(/^counting/);
    dying.process.signal("SIGKILL");
    const seen: Seen = JSON.parse((await client.ended).stdout);
    expect([seen.opened, seen.code]).toEqual([true, 1006]);
  });
});
