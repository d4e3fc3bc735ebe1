// This file is calls over a control stream, as far as the edge answers them: who may, what is granted, what ends. http.md §5.4.
import { describe, expect, test } from "bun:test";
import {
  answerCall,
  answerOwner,
  type CallContext,
  CallTraffic,
} from "../../src/edge/admin/index.ts";
import type { CertificateSource, CertificateState } from "../../src/edge/certificates/index.ts";
import type { EdgeDns } from "../../src/edge/dns/index.ts";
import { LiveSession, Registry } from "../../src/edge/route/index.ts";
import { Snapshot, type Store } from "../../src/edge/store/index.ts";
import { TunlError } from "../../src/errors.ts";
import { acceptCall, encodeMessage } from "../../src/exchange/index.ts";
import type { Session, StreamEvents } from "../../src/session/index.ts";
import { RecordedStream } from "../exchange/recorded-stream.ts";

const ID = new Uint8Array(16);

/** Names that are refused, by their first label. */
const REFUSALS: Readonly<Record<string, string>> = {
  taken: "HOSTNAME_TAKEN",
  surplus: "HOSTNAME_LIMIT",
};

/** Certificates are there, but for `bad.…`, which the CA refuses. */
class Certificates implements CertificateSource {
  readonly wanted: string[] = [];

  want(name: string): void {
    this.wanted.push(name);
  }

  unwant(): void {}

  retry(): void {}

  async ready(name: string): Promise<void> {
    if (name.startsWith("bad.")) throw new TunlError("CERTIFICATE_FAILED", "The CA said no");
  }

  arriving(): undefined {
    return undefined;
  }

  state(name: string): CertificateState {
    return { state: name.startsWith("bad.") ? "pending" : "ready" };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Claims wait until they are let through, one at a time. */
class Claims {
  readonly asked: string[] = [];
  readonly #waiting: (() => void)[] = [];

  claim(host: string): Promise<{ readonly host: string }> {
    this.asked.push(host);
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly host: string }>();
    const code = REFUSALS[host.split(".")[0] as string];
    this.#waiting.push(() =>
      code === undefined ? resolve({ host }) : reject(new TunlError(code, "It is refused")),
    );
    return promise;
  }

  /** Lets the claim that waits through, and waits for what comes of it. */
  async pass(): Promise<void> {
    const next = this.#waiting.shift();
    if (next === undefined) throw new Error("No claim waits");
    next();
    // The claim, the certificate and the grant are promises that need no event of the system.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** An edge as far as calls go, and one session of it. */
class Desk {
  readonly claims = new Claims();
  readonly certificates = new Certificates();
  /** Names of which the store was told that they are in use. */
  readonly touched: string[] = [];
  readonly live: LiveSession;
  readonly context: CallContext;
  readonly #traffic = new CallTraffic();

  constructor(kind: "tunnel" | "account" = "tunnel") {
    const { claims } = this;
    const store: Pick<Store, "claimHost" | "randomHost" | "snapshot" | "touchHost"> = {
      snapshot: new Snapshot(),
      touchHost: (host) => this.touched.push(host),
      claimHost: (_owner, host) => claims.claim(host) as ReturnType<Store["claimHost"]>,
      randomHost: (_owner, key) => claims.claim(key) as ReturnType<Store["randomHost"]>,
    };
    this.context = {
      store: store as Store,
      registry: new Registry(),
      domains: ["example.com"],
      reserved: ["www"],
      fingerprint: "f",
      publicPort: () => 8443,
      startedAt: new Date(0),
      // Every name lies below the domains: nothing has to be proven.
      dns: { names: { stateOf: () => "own", isServed: () => true } } as unknown as EdgeDns,
      source: this.certificates,
      certificates: () => [],
      certificateLimits: () => [],
      figures: () => ({}),
    };
    this.live = new LiveSession(
      // Calls ask a session for nothing.
      {} as Session,
      { kind, id: "7f0c", name: "home", keyId: "k", application: ID },
      { id: ID, key: ID, instance: ID, label: "" },
      0,
    );
  }

  /** A connector makes a call. */
  call(
    name: string,
    body: object,
  ): { readonly stream: RecordedStream; readonly events: StreamEvents } {
    const stream = new RecordedStream();
    const events = acceptCall(stream, (call) =>
      answerCall(this.context, this.#traffic, call, this.live),
    );
    events.bytes(encodeMessage("call", { name, body: Buffer.from(JSON.stringify(body)) }));
    return { stream, events };
  }
}

/** What the connector is told: hosts with their states, results with their codes. */
function told({ messages }: RecordedStream): string[] {
  return messages.map((message) => {
    if (message.name === "result") return `result ${message.record.code}`;
    if (message.name !== "event") throw new Error(`"${message.name}" is no answer`);
    const { host, state } = JSON.parse(Buffer.from(message.record.body).toString());
    return `${host} ${state}`;
  });
}

describe("calls", () => {
  test("unknown names are NOT_FOUND, those of every object too", async () => {
    for (const name of ["weather", "constructor", "toString", "__proto__", "hasOwnProperty", ""]) {
      const { stream } = new Desk().call(name, {});
      expect([name, told(stream)]).toEqual([name, ["result NOT_FOUND"]]);
      expect(stream.log).toEqual(["finish"]);
      expect(await answerOwner(new Desk().context, name, {})).toBeUndefined();
    }
    expect.assertions(18);
  });

  test("the key of an account may not make the call of a tunnel", () => {
    const desk = new Desk("account");
    const { stream } = desk.call("announce", { hosts: ["a.example.com"] });
    expect(told(stream)).toEqual(["result NOT_ALLOWED"]);
    expect(desk.claims.asked).toEqual([]);
    expect(desk.live.hosts).toEqual([]);
  });

  const MALFORMED: Readonly<Record<string, object>> = {
    "hosts that are no list": { hosts: "a.example.com" },
    "hosts that are no texts": { hosts: [1] },
    "more than 1,000 hosts": { hosts: Array.from({ length: 1_001 }, (_, index) => `n${index}`) },
    "a random name that is no text": { random: 1 },
    "a rest that is no boolean": { rest: 1 },
  };
  for (const [what, body] of Object.entries(MALFORMED)) {
    test(`an announcement with ${what} is USAGE, and claims nothing`, () => {
      const desk = new Desk();
      expect(told(desk.call("announce", body).stream)).toEqual(["result USAGE"]);
      expect(desk.claims.asked).toEqual([]);
    });
  }

  test("an announcement claims one name after the other and tells of each", async () => {
    const desk = new Desk();
    const hosts = ["a.example.com", "taken.example.com", "surplus.example.com", "b.example.com"];
    const { stream, events } = desk.call("announce", { hosts, random: "http://localhost:1" });
    expect(desk.claims.asked).toEqual(["a.example.com"]);
    for (let pass = 0; pass < 5; pass++) await desk.claims.pass();
    expect(desk.claims.asked).toEqual([...hosts, "http://localhost:1"]);
    expect(told(stream)).toEqual([
      "a.example.com granted",
      "taken.example.com taken",
      "surplus.example.com failed",
      "b.example.com granted",
      "http://localhost:1 granted",
    ]);
    expect(desk.live.hosts).toEqual(["a.example.com", "b.example.com", "http://localhost:1"]);
    expect(stream.log).toEqual([]);
    // In use from now on, and last at its end.
    const served = [...desk.live.hosts];
    expect(desk.touched).toEqual(served);
    events.ended();
    expect(desk.touched).toEqual([...served, ...served]);
  });

  test("an announcement tells of a certificate that is not there yet, and what comes of it", async () => {
    const desk = new Desk();
    const hosts = ["a.example.com", "bad.example.com"];
    const { stream } = desk.call("announce", { hosts });
    await desk.claims.pass();
    await desk.claims.pass();
    expect(desk.certificates.wanted).toEqual(hosts);
    expect(told(stream)).toEqual([
      "a.example.com granted",
      "bad.example.com granted",
      "bad.example.com pending",
      "bad.example.com failed",
    ]);
    expect(desk.live.hosts).toEqual(hosts);
  });

  test("a call reset in the middle makes no further claims and serves nothing", async () => {
    const desk = new Desk();
    const hosts = Array.from({ length: 500 }, (_, index) => `n${index}.example.com`);
    const { stream, events } = desk.call("announce", { hosts });
    await desk.claims.pass();
    expect(desk.live.hosts).toEqual(["n0.example.com"]);
    events.reset(0, true);
    expect(desk.live.hosts).toEqual([]);
    await desk.claims.pass();
    expect(desk.claims.asked).toEqual(["n0.example.com", "n1.example.com"]);
    expect(told(stream)).toEqual(["n0.example.com granted"]);
    expect(desk.live.hosts).toEqual([]);
  });

  test("the end of an older announcement leaves the names of a newer one", async () => {
    const desk = new Desk();
    const older = desk.call("announce", { hosts: ["a.example.com"] });
    await desk.claims.pass();
    desk.call("announce", { hosts: ["a.example.com", "b.example.com"] });
    await desk.claims.pass();
    await desk.claims.pass();
    older.events.ended();
    expect(desk.live.hosts).toEqual(["a.example.com", "b.example.com"]);
  });

  test("the rest needs no name: it is served at once, and until the call ends", () => {
    const desk = new Desk();
    const { events } = desk.call("announce", { rest: true });
    expect(desk.live.serves("x.example.com")).toBe("rest");
    events.ended();
    expect(desk.live.serves("x.example.com")).toBeUndefined();
  });
});
