// This file is the key of an account that asks for more than it may, against the executable: it is bounded, nobody else notices, and its end is the end of everything it began. http.md §5.4; A-07.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { type CallBody, encodeMessage, openCall, STREAM_KINDS } from "../../src/exchange/index.ts";
import { generateKey, parseJoinLine, type SigningKey } from "../../src/identity/index.ts";
import {
  ALPN,
  connectLink,
  type ConnectOptions,
  DEFAULT_PARAMETERS,
  ProcessBudget,
  Session,
  SESSION_CODES,
} from "../../src/session/index.ts";
import { encodeFrame, FrameDecoder, REVISION } from "../../src/wire/index.ts";
import { frameFrom } from "../session/handshake-rig.ts";
import { tunl } from "../binary/tunl.ts";
import { within } from "../within.ts";
import { CAN_RUN, TestEdge, Tunnel } from "./rig.ts";

/** Each of four calls: with a hundred streams in 10 s a session would be closed for them (S-45). */
const ROUNDS = 24;
const AUTH = { kind: "auth", replaces: new Uint8Array(0) } as const;

async function dial(edge: TestEdge): Promise<TLSSocket> {
  const options: ConnectionOptions & { allowHalfOpen: boolean } = {
    ...{ host: "127.0.0.1", port: edge.port, allowHalfOpen: true, ALPNProtocols: [ALPN] },
    ...{ minVersion: "TLSv1.3", rejectUnauthorized: false },
  };
  const socket = connect(options);
  socket.on("error", () => undefined);
  await within(once(socket, "secureConnect"), "the TLS handshake");
  return socket;
}

/** One session of an account, and what it asks. */
class AccountSession implements Disposable {
  readonly session: Session;
  readonly closed: Promise<number>;
  readonly #socket: TLSSocket;

  private constructor(session: Session, socket: TLSSocket, closed: Promise<number>) {
    this.session = session;
    this.#socket = socket;
    this.closed = closed;
  }

  static async open(
    edge: TestEdge,
    fingerprint: string,
    key: SigningKey,
    claim: ConnectOptions["claim"] = AUTH,
  ): Promise<AccountSession> {
    const socket = await dial(edge);
    const parameters = { ...DEFAULT_PARAMETERS.connector, resumeMs: 0 };
    const link = await connectLink(socket, {
      ...{ fingerprint, edgeName: "the edge", key, claim, instance: randomBytes(16), parameters },
      application: Buffer.from('{"for":"account","label":"hostile"}'),
    });
    const closed = Promise.withResolvers<number>();
    const session = new Session(
      {
        ...{ side: "connector", local: parameters, remote: link.parameters, isTuning: false },
        ...{ trace: SILENT, budget: new ProcessBudget() },
      },
      {
        accept: () => undefined,
        status: (status) => {
          if (status.name === "closed") closed.resolve(status.code);
        },
        fault: () => undefined,
      },
    );
    session.attach(link.link, link);
    return new AccountSession(session, socket, closed.promise);
  }

  /** What a call ends with: the code of its result, `lost`, or why it was not begun. */
  call(name: string, body: CallBody = {}): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const opened = openCall(this.session, name, body, false, {
      event: () => undefined,
      result: (code) => resolve(code === "" ? "done" : code),
      lost: () => resolve("lost"),
    });
    if (typeof opened === "string") resolve(opened);
    return within(promise, `the end of ${name}`);
  }

  /** Likewise, once there is a stream for it: the limit rises a moment after a stream is over. */
  async asked(name: string): Promise<string> {
    for (;;) {
      const outcome = await this.call(name);
      if (outcome !== "streamLimit") return outcome;
      await Bun.sleep(10);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

const SILENT = {
  link: () => undefined,
  stream: () => undefined,
  dropped: () => undefined,
  violation: () => undefined,
};

describe.skipIf(!CAN_RUN)("the key of an account", () => {
  let edge: TestEdge;
  let honest: Tunnel;
  let fingerprint: string;
  let key: SigningKey;
  /** How many accounts there were: each test has its own, for one of them ends it. */
  let accounts = 0;
  let name: string;

  beforeAll(async () => {
    edge = await TestEdge.start();
    honest = await Tunnel.start({ target: "http_status:204", edge });
  });
  beforeEach(async () => {
    accounts += 1;
    name = `hostile${accounts}`;
    key = generateKey();
    const line = parseJoinLine(await edge.invite(["--account", "--name", name]));
    ({ fingerprint } = line);
    using first = await AccountSession.open(edge, fingerprint, key, {
      ...{ kind: "enrol", code: line.code, name },
    });
    expect(await first.call("tunnel.list")).toBe("done");
  });
  afterAll(async () => {
    await honest?.[Symbol.asyncDispose]();
    await edge?.[Symbol.asyncDispose]();
  });

  test("opens control streams and no others, announces nothing, and sees nobody else", async () => {
    for (const kind of [STREAM_KINDS.exchange, 9]) {
      using liar = await AccountSession.open(edge, fingerprint, key);
      liar.session.open(kind, Buffer.from("x"), true, () => ({
        ...{ bytes: () => undefined, ended: () => undefined, writable: () => undefined },
        ...{ closed: () => undefined, stopped: () => undefined, reset: () => undefined },
      }));
      // Other kinds are not a connector's to open: that ends the session.
      const code = await within(liar.closed, "the end of a session");
      expect(code).toBe(SESSION_CODES.PROTOCOL_VIOLATION.code);
    }
    using account = await AccountSession.open(edge, fingerprint, key);
    expect(await account.call("announce", { hosts: [honest.host], rest: true })).toBe(
      "NOT_ALLOWED",
    );
    expect(await account.call("tunnel.delete", { tunnel: name, force: true })).toBe(
      "TUNNEL_NOT_FOUND",
    );
    const { stdout } = await tunl(["status", "--json"], edge);
    const { tunnels } = JSON.parse(stdout).edge as { tunnels: { id: string; name: string }[] };
    for (const { id, name: title } of tunnels)
      for (const tunnel of [id, title])
        expect(await account.call("tunnel.info", { tunnel })).toBe("TUNNEL_NOT_FOUND");
    expect(tunnels).toHaveLength(1);
    expect((await honest.get("/")).status).toBe(204);
  });

  test("asks as much as it likes, and is told to wait: so many calls at a time, so many changes in a while", async () => {
    const sessions = await Promise.all(
      Array.from({ length: 5 }, () => AccountSession.open(edge, fingerprint, key)),
    );
    try {
      const outcomes: Record<string, number> = {};
      const flood = async (account: AccountSession): Promise<void> => {
        for (let round = 0; round < ROUNDS; round++) {
          const body = { name: `t${round}`, key: "no key" };
          const calls = Array.from({ length: 4 }, () => account.call("tunnel.create", body));
          for (const outcome of await Promise.all(calls))
            outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        }
      };
      await Promise.all(sessions.map(flood));
      expect(Object.keys(outcomes).sort()).toEqual([
        "CALL_LIMIT",
        "USAGE",
        ...("streamLimit" in outcomes ? ["streamLimit"] : []),
      ]);
      expect(outcomes["USAGE"]).toBeLessThan(300);
      expect((await honest.get("/")).status).toBe(204);
      // Questions are answered all the same.
      expect(await sessions[0]?.asked("tunnel.list")).toBe("done");
    } finally {
      for (const session of sessions) session[Symbol.dispose]();
    }
  });

  test("sends what is no call: that stream is reset, the session and the edge live", async () => {
    using account = await AccountSession.open(edge, fingerprint, key);
    const long = encodeMessage("call", { name: "tunnel.list", body: Buffer.alloc(16_000, 0x5b) });
    for (const head of [Buffer.from("no message"), long, Buffer.concat([long, long])]) {
      const over = Promise.withResolvers<void>();
      const opened = account.session.open(STREAM_KINDS.control, head, true, () => ({
        ...{ bytes: () => undefined, ended: () => undefined, writable: () => undefined },
        ...{ closed: () => over.resolve(), stopped: () => undefined, reset: () => over.resolve() },
      }));
      expect(typeof opened).toBe("object");
      await within(over.promise, "the end of a stream");
    }
    expect(await account.call("tunnel.list")).toBe("done");
    expect(edge.process.output).not.toContain('"level":"error"');
  });

  test("is revoked in the middle of it: all it began ends, and neither AUTH nor RESUME opens anything again", async () => {
    using account = await AccountSession.open(edge, fingerprint, key);
    const flood = (async (): Promise<string[]> => {
      const outcomes: string[] = [];
      while (!account.session.isClosed) {
        outcomes.push(await account.call("tunnel.list"));
        await Bun.sleep(20);
      }
      return outcomes;
    })();
    const { code, stdout } = await tunl(["edge", "revoke", `account:${name}`, "--json"], edge);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { kind: "account", tunnels: [] }]);
    expect(await within(account.closed, "the end of the session", 1_000)).toBe(
      SESSION_CODES.REVOKED.code,
    );
    const outcomes = await within(flood, "the end of the flood");
    expect(outcomes.length).toBeGreaterThan(0);
    const again = AccountSession.open(edge, fingerprint, key);
    expect(await again.catch((error: { code: string }) => error.code)).toBe("AUTH_FAILED");
    // This edge keeps no session without a link: whatever RESUME names, it is refused before anything is looked up.
    const socket = await dial(edge);
    const decoder = new FrameDecoder({ side: "connector", phase: "handshake", maxDatagram: 0 });
    decoder.expect("edgeAuth", "refused");
    socket.write(encodeFrame("hello", { revision: REVISION, nonce: randomBytes(32), extras: [] }));
    expect(await frameFrom(socket, decoder)).toBe("edgeAuth");
    decoder.expect("ready", "refused");
    socket.write(encodeFrame("resume", { body: randomBytes(100), signature: randomBytes(64) }));
    expect(await frameFrom(socket, decoder)).toBe("refused");
    socket.destroy();
    expect((await honest.get("/")).status).toBe(204);
  });
});
