// This file is names asked for, and asked for again: which calls a connector makes at its session, and how many stay.
import { describe, expect, test } from "bun:test";
import {
  type IngressOptions,
  ORIGIN_REQUEST_DEFAULTS,
  parseTarget,
} from "../../src/config/index.ts";
import { Claims } from "../../src/connector/claims.ts";
import type { ConnectorEvents } from "../../src/connector/events.ts";
import { Ingress } from "../../src/connector/ingress.ts";
import { RouteBook } from "../../src/connector/routes.ts";
import type { TunlError } from "../../src/errors.ts";
import { encodeMessage } from "../../src/exchange/index.ts";
import type { Session, StreamEvents } from "../../src/session/index.ts";
import { RecordedStream } from "../exchange/recorded-stream.ts";
import { eventually } from "./sockets.ts";

interface Asked {
  readonly hosts: readonly string[];
  readonly random: string;
  readonly rest: boolean;
  readonly stream: RecordedStream;
  readonly edge: StreamEvents;
}

/** A session that opens what it is asked for, or nothing. */
class Edge {
  readonly asked: Asked[] = [];
  isClosed = false;
  isDraining = false;
  /** True: no stream may be opened. */
  isFull = false;
  tries = 0;

  get session(): Session {
    return this as unknown as Session;
  }

  open: Session["open"] = (_kind, head, _isWhole, attach) => {
    this.tries += 1;
    if (this.isFull) return "streamLimit";
    const stream = new RecordedStream();
    stream.write(head);
    const [call] = stream.messages;
    if (call?.name !== "call") throw new Error("No call");
    const body = JSON.parse(Buffer.from(call.record.body).toString());
    this.asked.push({ ...body, stream, edge: attach(stream) });
    return stream;
  };

  /** Answers the last call. */
  answer(host: string, code: string, call = this.asked.at(-1)): void {
    const state = code === "" ? "granted" : "failed";
    const body = { host, state, code, text: "", url: `https://${host}` };
    call?.edge.bytes(
      encodeMessage("event", { name: "host", body: Buffer.from(JSON.stringify(body)) }),
    );
  }

  /** Calls that were not ended by the connector. */
  get stillOpen(): readonly Asked[] {
    return this.asked.filter(({ stream }) => !stream.log.includes("finish"));
  }
}

function claimsOf(
  hostnames: readonly string[],
  setup: { name?: string; hosts?: readonly string[]; file?: string } = {},
): { readonly claims: Claims; readonly log: string[] } {
  const log: string[] = [];
  const events = {
    route: () => undefined,
    certificate: () => undefined,
    notice: (text: string) => log.push(`notice ${text}`),
    failed: ({ code }: TunlError) => log.push(`failed ${code}`),
  };
  const ingress: IngressOptions = {
    file: setup.file,
    rules: hostnames.map((hostname) => ({
      hostname,
      path: undefined,
      service: parseTarget("8000"),
      originRequest: ORIGIN_REQUEST_DEFAULTS,
      allowAmbiguousPaths: false,
    })),
  };
  const claims = new Claims({
    options: { name: setup.name, hosts: setup.hosts ?? [], ingress },
    routes: new RouteBook(new Ingress([]), events as unknown as ConnectorEvents),
    events,
    tunnel: () => "home",
    fail: ({ code }) => log.push(`end ${code}`),
    askAgain: { lostMs: 10, refusedMs: 20 },
  });
  return { claims, log };
}

const FILE = { file: "config.yml" };

describe("what is asked for", () => {
  test.each([
    ["TARGET alone", [""], {}, [], "http://localhost:8000", false],
    [
      "TARGET and names",
      [""],
      { name: "app", hosts: ["x.org"] },
      ["app.d.org", "x.org"],
      "",
      false,
    ],
    ["rules", ["a.org", "*.b.org", "a.org", ""], FILE, ["a.org", "*.b.org"], "", true],
    [
      "rules and names",
      ["a.org", ""],
      { ...FILE, name: "app", hosts: ["a.org"] },
      ["app.d.org", "a.org"],
      "",
      true,
    ],
    ["a file without names", [""], FILE, [], "", true],
  ] as const)("%s", (_, hostnames, setup, hosts, random, rest) => {
    const edge = new Edge();
    claimsOf(hostnames, setup).claims.begin(edge.session, "d.org");
    expect(edge.asked).toEqual([expect.objectContaining({ hosts: [...hosts], random, rest })]);
  });
});

describe("asked for again", () => {
  test("what the edge could not give now, alone, and with one call at a time", async () => {
    const edge = new Edge();
    const { claims, log } = claimsOf(["a.org", "b.org", "c.org", ""], FILE);
    claims.begin(edge.session, "d.org");
    edge.answer("a.org", "");
    edge.answer("b.org", "STORE_FULL");
    edge.answer("c.org", "HOSTNAME_NOT_GRANTED");
    for (let round = 2; round <= 5; round++) {
      await eventually("another call", () => edge.asked.length === round);
      expect(edge.asked.at(-1)).toMatchObject({ hosts: ["b.org"], random: "" });
      edge.answer("b.org", "STORE_FULL");
      // The first serves a name, of the others one is left.
      expect(edge.stillOpen).toHaveLength(2);
    }
    await eventually("the last call", () => edge.asked.length === 6);
    edge.answer("b.org", "");
    expect(log).toEqual(["failed STORE_FULL", "failed HOSTNAME_NOT_GRANTED"]);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(edge.asked).toHaveLength(6);
    const withdrawn = claims.withdraw();
    for (const { edge: call } of edge.asked) call.closed();
    await withdrawn;
    expect(edge.stillOpen).toEqual([]);
  });

  test("a name without a proof is not asked for again: the edge tells when it has one", async () => {
    const edge = new Edge();
    const { claims, log } = claimsOf([""], { hosts: ["shop.org"] });
    claims.begin(edge.session, "d.org");
    edge.answer("shop.org", "HOSTNAME_NOT_PROVEN");
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([edge.asked.length, log]).toEqual([1, ["failed HOSTNAME_NOT_PROVEN"]]);
  });

  test("a random name that could not be drawn", async () => {
    const edge = new Edge();
    const { claims } = claimsOf([""]);
    claims.begin(edge.session, "d.org");
    edge.answer("http://localhost:8000", "STORE_FAILED");
    await eventually("another call", () => edge.asked.length === 2);
    expect(edge.asked[1]).toMatchObject({ hosts: [], random: "http://localhost:8000" });
  });

  test("a random name, round after round, with two calls at most", async () => {
    const edge = new Edge();
    const { claims } = claimsOf([""]);
    claims.begin(edge.session, "d.org");
    for (let round = 1; round <= 5; round++) {
      await eventually("another call", () => edge.asked.length === round);
      expect(edge.stillOpen.length).toBeLessThanOrEqual(2);
      edge.answer("http://localhost:8000", "STORE_FAILED");
    }
  });

  test("what the edge cannot give any more, after it could not give something else", async () => {
    const edge = new Edge();
    const { claims } = claimsOf(["a.org", "b.org", ""], FILE);
    claims.begin(edge.session, "d.org");
    const [first] = edge.asked;
    edge.answer("a.org", "STORE_FULL");
    edge.answer("b.org", "");
    await eventually("another call", () => edge.asked.length === 2);
    edge.answer("b.org", "STORE_FULL", first);
    await eventually("one more", () => edge.asked.length === 3);
    expect(edge.asked.map(({ hosts }) => hosts)).toEqual([
      ["a.org", "b.org"],
      ["a.org"],
      ["b.org"],
    ]);
  });

  test("everything, when the call ended and the session did not", async () => {
    const edge = new Edge();
    const { claims } = claimsOf(["a.org", ""], FILE);
    claims.begin(edge.session, "d.org");
    edge.asked[0]?.edge.closed();
    await eventually("another call", () => edge.asked.length === 2);
    expect(edge.asked[1]?.hosts).toEqual(["a.org"]);
  });

  test("when there was no stream for the call", async () => {
    const edge = new Edge();
    edge.isFull = true;
    const { claims } = claimsOf(["a.org", ""], FILE);
    claims.begin(edge.session, "d.org");
    await eventually("more tries", () => edge.tries > 2);
    edge.isFull = false;
    await eventually("a call", () => edge.asked.length === 1);
  });

  test("not on a session that is over, and not after the end", async () => {
    const [first, second, third] = [new Edge(), new Edge(), new Edge()];
    const { claims } = claimsOf(["a.org", ""], FILE);
    claims.begin(first.session, "d.org");
    first.answer("a.org", "STORE_FULL");
    first.isClosed = true;
    first.asked[0]?.edge.closed();
    claims.begin(second.session, "d.org");
    second.isDraining = true;
    second.asked[0]?.edge.closed();
    claims.begin(third.session, "d.org");
    third.answer("a.org", "STORE_FULL");
    void claims.withdraw();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([first, second, third].map(({ asked }) => asked.length)).toEqual([1, 1, 1]);
  });

  test("the only name refused for good ends a process without a file", () => {
    const edge = new Edge();
    const flags = claimsOf([""], { hosts: ["x.org"] });
    flags.claims.begin(edge.session, "d.org");
    edge.answer("x.org", "HOSTNAME_TAKEN");
    expect(flags.log).toEqual(["end HOSTNAME_TAKEN"]);
    const file = claimsOf(["x.org", ""], FILE);
    file.claims.begin(edge.session, "d.org");
    edge.answer("x.org", "HOSTNAME_TAKEN");
    expect(file.log).toEqual(["failed HOSTNAME_TAKEN"]);
  });
});
