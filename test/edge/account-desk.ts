// This file is an edge as far as calls go, on a real store: accounts and tunnels make calls, the owner too.
import { randomBytes } from "node:crypto";
import {
  answerCall,
  answerOwner,
  type CallContext,
  CallTraffic,
} from "../../src/edge/admin/index.ts";
import type { EdgeDns } from "../../src/edge/dns/index.ts";
import { LiveSession, Registry } from "../../src/edge/route/index.ts";
import { openStore, type Store } from "../../src/edge/store/index.ts";
import { acceptCall, type CallBody, encodeMessage } from "../../src/exchange/index.ts";
import { generateKey } from "../../src/identity/index.ts";
import type { Session, StreamEvents } from "../../src/session/index.ts";
import { RecordedStream } from "../exchange/recorded-stream.ts";
import { within } from "../within.ts";
import { Account } from "./store/account.ts";
import { type Clock, Directory, DOMAINS, makeClock, optionsFor } from "./store/fixture.ts";

/** What came of one call. */
export interface Answer {
  /** Empty: done. */
  readonly code: string;
  readonly body: CallBody;
  readonly events: readonly (CallBody & { readonly event: string })[];
}

/** Base64url of a public key, as it stands in a call. */
export function keyText(publicKey: Uint8Array = generateKey().publicKey): string {
  return Buffer.from(publicKey).toString("base64url");
}

/** A session that makes calls. */
export class Caller {
  readonly live: LiveSession;
  readonly #desk: AccountDesk;

  constructor(desk: AccountDesk, live: LiveSession) {
    this.#desk = desk;
    this.live = live;
  }

  /** Makes a call and does not wait. */
  start(
    name: string,
    body: object,
    onWrite = (): void => undefined,
  ): { readonly stream: RecordedStream; readonly events: StreamEvents } {
    const stream = new (class extends RecordedStream {
      override write(bytes: Uint8Array): "more" {
        super.write(bytes);
        onWrite();
        return "more";
      }
    })();
    const events = acceptCall(stream, (call) =>
      answerCall(this.#desk.context, this.#desk.traffic, call, this.live),
    );
    events.bytes(encodeMessage("call", { name, body: Buffer.from(JSON.stringify(body)) }));
    return { stream, events };
  }

  async call(name: string, body: object = {}): Promise<Answer> {
    const over = Promise.withResolvers<void>();
    const { stream, events } = this.start(name, body, () => {
      // The result is the last thing that is written.
      queueMicrotask(() => {
        if (stream.messages.some((message) => message.name === "result")) over.resolve();
      });
    });
    await within(over.promise, `the result of ${name}`);
    events.closed();
    return answerOf(stream);
  }
}

/** The messages on a stream as an answer. */
export function answerOf(stream: RecordedStream): Answer {
  const events: Answer["events"][number][] = [];
  for (const message of stream.messages) {
    if (message.name !== "event" && message.name !== "result")
      throw new Error(`"${message.name}" is no answer`);
    const body = JSON.parse(Buffer.from(message.record.body).toString()) as CallBody;
    if (message.name === "result") return { code: message.record.code, body, events };
    events.push({ ...body, event: message.record.name });
  }
  throw new Error("There is no result");
}

export class AccountDesk implements AsyncDisposable {
  readonly store: Store;
  readonly clock: Clock;
  readonly registry = new Registry();
  readonly traffic = new CallTraffic();
  readonly context: CallContext;
  readonly #directory: Directory;

  private constructor(
    directory: Directory,
    store: Store,
    clock: Clock,
    more: Partial<CallContext>,
  ) {
    this.#directory = directory;
    this.store = store;
    this.clock = clock;
    this.context = {
      ...{ store, registry: this.registry, domains: DOMAINS, reserved: ["www"] },
      ...{
        fingerprint: "k5xqz7d2mwp4ahn6r3tcvb2yfe",
        publicPort: () => 8443,
        startedAt: new Date(0),
      },
      // Tests of calls that wait for a certificate, or ask the DNS, bring theirs.
      source: undefined as never,
      dns: { names: { isServed: () => true, stateOf: () => "own" } } as unknown as EdgeDns,
      ...{ certificates: () => [], certificateLimits: () => [], figures: () => ({}) },
      ...more,
    };
  }

  /** @param more What the calls of the test need besides a store. */
  static async open(
    more: (store: Store) => Partial<CallContext> | Promise<Partial<CallContext>> = () => ({}),
  ): Promise<AccountDesk> {
    const directory = new Directory();
    const clock = makeClock();
    const store = await openStore(optionsFor(directory.path, clock));
    return new AccountDesk(directory, store, clock, await more(store));
  }

  /** The state on the disk. */
  get path(): string {
    return this.#directory.path;
  }

  /** Somebody logs in and has a session. */
  async login(name: string, scope: readonly string[] = []): Promise<Caller> {
    const { id, key } = await Account.login(this.store, scope, name);
    return this.session("account", id, name, key.publicKey, "laptop");
  }

  /** A session of a key, as the gate would have admitted it. */
  session(
    kind: "account" | "tunnel",
    id: string,
    name: string,
    key: Uint8Array,
    keyId: string,
  ): Caller {
    const stats = { links: 1, streams: 0 };
    const session: Partial<Session> = {
      stats: () => stats as ReturnType<Session["stats"]>,
      streams: 0,
      isDraining: false,
    };
    const live = new LiveSession(
      session as Session,
      { kind, id, name, keyId, application: new Uint8Array() },
      {
        ...{ id: randomBytes(16), key, instance: randomBytes(16) },
        ...{ label: `${name}'s machine`, version: "0.1.0", platform: "linux-x64" },
      },
      this.clock.now,
    );
    this.registry.add(live);
    return new Caller(this, live);
  }

  owner(name: string, body: CallBody): Promise<CallBody | undefined> {
    return answerOwner(this.context, name, body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    this.#directory[Symbol.dispose]();
  }
}
