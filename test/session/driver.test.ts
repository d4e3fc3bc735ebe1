// This file is two sessions over a real TLS link: bytes both ways, each way to end a stream, and the end of the link.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, type Hash } from "node:crypto";
import {
  DEFAULT_PARAMETERS,
  ProcessBudget,
  Session,
  SESSION_CODES,
  type SessionStatus,
  type Side,
  type Stream,
  STREAM_CODES,
  type StreamEvents,
  type StreamId,
} from "../../src/session/index.ts";
import { FrameDecoder } from "../../src/wire/index.ts";
import { TlsDoor } from "./tls-rig.ts";
import { within } from "../within.ts";

const MIB = 1_024 * 1_024;
const VOLUME = 64 * MIB;
const CHUNK = MIB;
/** For the two directions of `VOLUME` on a busy machine. */
const VOLUME_MS = 30_000;
const KINDS = { edge: 1, connector: 0 } as const;

/** A taker of events that reads at once and can be waited for. */
class Reader implements StreamEvents {
  readonly events: string[] = [];
  readonly hash: Hash = createHash("sha256");
  received = 0;
  stream: Stream | undefined;
  onWritable: (() => void) | undefined;
  onBytes: ((bytes: Uint8Array) => void) | undefined;
  readonly #over = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #said = new Map<string, PromiseWithResolvers<void>>();

  bytes(bytes: Uint8Array): void {
    this.received += bytes.length;
    this.hash.update(bytes);
    this.onBytes?.(bytes);
    this.stream?.consumed(bytes.length);
    this.#say("bytes");
  }
  ended(): void {
    this.events.push("ended");
    this.#ended.resolve();
  }
  reset(code: number, remote: boolean): void {
    this.events.push(`reset ${code} ${remote ? "remote" : "local"}`);
    this.#say("reset");
  }
  stopped(code: number): void {
    this.events.push(`stopped ${code}`);
    this.#say("stopped");
  }
  writable(): void {
    this.onWritable?.();
  }
  closed(): void {
    this.events.push("closed");
    this.#over.resolve();
  }

  #say(what: string): void {
    this.#promise(what).resolve();
  }
  #promise(what: string): PromiseWithResolvers<void> {
    const promise = this.#said.get(what) ?? Promise.withResolvers<void>();
    this.#said.set(what, promise);
    return promise;
  }
  said(what: "bytes" | "reset" | "stopped"): Promise<void> {
    return within(this.#promise(what).promise, `"${what}"; so far ${this.events.join(", ")}`);
  }
  end(afterMs?: number): Promise<void> {
    return within(this.#ended.promise, "the end of a direction", afterMs);
  }
  over(): Promise<void> {
    return within(this.#over.promise, `a stream to close; so far ${this.events.join(", ")}`);
  }
}

/** One end of the pair. */
class End {
  readonly session: Session;
  readonly statuses: SessionStatus[] = [];
  readonly faults: { readonly error: unknown; readonly stream: StreamId }[] = [];
  readonly accepted: Reader[] = [];
  readonly budget = new ProcessBudget(256 * MIB);
  isRefusing = false;
  onAccept: ((reader: Reader) => void) | undefined;
  readonly #side: Side;
  readonly #closed = Promise.withResolvers<SessionStatus>();

  constructor(side: Side) {
    this.#side = side;
    const other = side === "edge" ? "connector" : "edge";
    this.session = new Session(
      {
        side,
        local: { ...DEFAULT_PARAMETERS[side], resumeMs: 0 },
        remote: { ...DEFAULT_PARAMETERS[other], resumeMs: 0 },
        trace: {
          link: () => undefined,
          stream: () => undefined,
          dropped: () => undefined,
          violation: () => undefined,
        },
        budget: this.budget,
        isTuning: false,
      },
      {
        accept: (stream) => {
          if (this.isRefusing) return undefined;
          const reader = new Reader();
          reader.stream = stream;
          this.accepted.push(reader);
          this.onAccept?.(reader);
          return reader;
        },
        status: (status) => {
          this.statuses.push(status);
          if (status.name === "closed") this.#closed.resolve(status);
        },
        fault: (error, stream) => this.faults.push({ error, stream: stream ?? -1 }),
      },
    );
  }

  open(head: string, fin: boolean): { readonly stream: Stream; readonly reader: Reader } {
    const reader = new Reader();
    const stream = this.session.open(KINDS[this.#side], Buffer.from(head), fin, (opened) => {
      reader.stream = opened;
      return reader;
    });
    if (typeof stream === "string") throw new Error(`open() said ${stream}`);
    return { stream, reader };
  }

  closed(): Promise<SessionStatus> {
    return within(this.#closed.promise, "the session to close");
  }
}

describe("driver", () => {
  let door: TlsDoor;

  beforeAll(async () => {
    door = await TlsDoor.listen();
  });
  afterAll(() => door[Symbol.asyncDispose]());

  /** Two sessions joined by a link whose handshake is over. */
  async function joined() {
    const sockets = await door.pair();
    const ends = { edge: new End("edge"), connector: new End("connector") };
    for (const side of ["edge", "connector"] as const) {
      const decoder = new FrameDecoder({ side, phase: "live", maxDatagram: 0 });
      ends[side].session.attach(0, { socket: sockets[side], decoder });
    }
    return { ...ends, sockets };
  }

  /** Writes `VOLUME` bytes in chunks, as fast as the stream takes them. Returns their hash when all were written. */
  function pour(
    { stream, reader }: { readonly stream: Stream; readonly reader: Reader },
    salt: number,
  ): Hash {
    const hash = createHash("sha256");
    const chunk = new Uint8Array(CHUNK).map((_, index) => (index * salt) & 255);
    let left = VOLUME;
    const pump = (): void => {
      while (left > 0) {
        hash.update(chunk);
        left -= CHUNK;
        if (stream.write(chunk) === "pause") return;
      }
      stream.finish();
      reader.onWritable = undefined;
    };
    reader.onWritable = pump;
    pump();
    return hash;
  }

  test(
    "moves 64 MiB each way at once, byte for byte, and leaves nothing held",
    async () => {
      const { edge, connector } = await joined();
      const opened = edge.open("", false);
      const sent: Hash[] = [];
      const { promise: accepted, resolve } = Promise.withResolvers<Reader>();
      connector.onAccept = (reader) => {
        if (reader.stream !== undefined) sent.push(pour({ stream: reader.stream, reader }, 31));
        resolve(reader);
      };
      const up = pour(opened, 7);
      const reader = await within(accepted, "the stream to be accepted");
      await Promise.all([reader.end(VOLUME_MS), opened.reader.end(VOLUME_MS)]);
      await Promise.all([reader.over(), opened.reader.over()]);
      expect([reader.received, opened.reader.received]).toEqual([VOLUME, VOLUME]);
      expect(reader.hash.digest("hex")).toBe(up.digest("hex"));
      expect(opened.reader.hash.digest("hex")).toBe(sent[0]?.digest("hex") ?? "nothing was sent");
      for (const {
        session,
        budget: { held },
      } of [edge, connector]) {
        const { retained, unsent, received, consumed, streams } = session.stats();
        expect([retained, unsent, received - consumed, streams, held]).toEqual([0, 0, 0, 0, 0]);
      }
    },
    VOLUME_MS + 10_000,
  );

  test("half-closes: one direction goes on after the other ended", async () => {
    const { edge, connector } = await joined();
    connector.onAccept = (reader) => {
      reader.onBytes = (bytes) => reader.stream?.write(bytes.slice());
    };
    const { stream, reader } = connector.open("question", true);
    edge.onAccept = undefined;
    await within(
      new Promise<void>((resolve) => {
        edge.onAccept = () => resolve();
      }),
      "the stream",
    );
    const [other] = edge.accepted;
    await other?.end();
    expect(other?.received).toBe(8);
    other?.stream?.write(Buffer.from("answer"));
    other?.stream?.finish();
    await Promise.all([reader.over(), other?.over()]);
    expect(reader.received).toBe(6);
    expect(reader.events).toEqual(["ended", "closed"]);
    expect(stream.id).toBe(1);
  });

  test("carries resets and stops with their codes", async () => {
    const { edge, connector } = await joined();
    const accepted = new Promise<Reader>((resolve) => {
      connector.onAccept = resolve;
    });
    const { stream, reader } = edge.open("x", false);
    const other = await within(accepted, "the stream");
    stream.reset(STREAM_CODES.CANCELLED.code);
    await other.said("reset");
    other.stream?.write(new Uint8Array(10));
    stream.stop(0x41);
    await other.said("stopped");
    await Promise.all([reader.over(), other.over()]);
    expect(other.events).toEqual(["reset 1 remote", "stopped 65", "closed"]);
    expect(reader.events).toEqual(["closed"]);
  });

  test("refuses a stream that nobody takes", async () => {
    const { edge, connector } = await joined();
    connector.isRefusing = true;
    const { reader } = edge.open("request", true);
    await reader.over();
    expect(reader.events).toEqual([`reset ${STREAM_CODES.REFUSED.code} remote`, "closed"]);
    expect(connector.session.streams).toBe(0);
  });

  test("resets the stream whose taker throws, and the session goes on", async () => {
    const { edge, connector } = await joined();
    connector.onAccept = (reader) => {
      reader.onBytes = () => {
        throw new Error("a bug above");
      };
    };
    const { reader } = edge.open("boom", false);
    await Promise.all([reader.said("reset"), reader.said("stopped")]);
    await reader.over();
    expect(connector.faults).toHaveLength(1);
    expect(connector.faults[0]?.stream).toBe(0);
    const accepted = new Promise<Reader>((resolve) => {
      connector.onAccept = resolve;
    });
    edge.open("again", true);
    await (await within(accepted, "the next stream")).end();
  });

  test("tells both sides when the link is lost", async () => {
    const { edge, connector, sockets } = await joined();
    const accepted = new Promise<Reader>((resolve) => {
      connector.onAccept = resolve;
    });
    const { reader } = edge.open("x", false);
    const other = await within(accepted, "the stream");
    sockets.edge.destroy();
    await Promise.all([edge.closed(), connector.closed(), reader.over(), other.over()]);
    const lost = `reset ${STREAM_CODES.SESSION_LOST.code} local`;
    expect([reader.events, other.events]).toEqual([
      [lost, "closed"],
      [lost, "closed"],
    ]);
    expect([
      edge.session.isClosed,
      connector.session.isClosed,
      edge.budget.held,
      connector.budget.held,
    ]).toEqual([true, true, 0, 0]);
  });

  test("closes with a code that the other side sees, and ends the link", async () => {
    const { edge, connector, sockets } = await joined();
    const ended = new Promise<void>((resolve) => {
      sockets.connector.once("close", () => resolve());
    });
    edge.session.close(SESSION_CODES.REVOKED.code, "The key was revoked");
    const [ours, theirs] = await Promise.all([edge.closed(), connector.closed()]);
    expect(ours).toMatchObject({ remote: false, code: 0x31 });
    expect(theirs).toEqual({
      name: "closed",
      remote: true,
      code: 0x31,
      message: "The key was revoked",
    });
    await within(ended, "the link to end");
  });
});
