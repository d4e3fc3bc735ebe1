// This file is an edge of the test as far as keys, codes and calls go: over real TLS and real sessions, with a table of answers of the test's own.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { makeSelfSigned } from "../../src/edge/certificates/internal-ca.ts";
import { acceptCall, type CallBody, type IncomingCall } from "../../src/exchange/index.ts";
import { fingerprintOf, generateKey, makeCode } from "../../src/identity/index.ts";
import {
  acceptLink,
  type Admission,
  ALPN,
  DEFAULT_PARAMETERS,
  type Gate,
  ProcessBudget,
  Session,
  type SessionCodeName,
} from "../../src/session/index.ts";
import { within } from "../within.ts";

export const HOST = "tunl.localhost";

/** Answers one call; what it throws or forgets is the test's to see. */
export type Answer = (call: IncomingCall, admission: Admission) => void | Promise<void>;

export class CallDesk implements AsyncDisposable {
  readonly key = generateKey();
  /** A code that enrols any number of account keys. */
  readonly code = makeCode();
  /** Names of the calls made, in order. */
  readonly calls: { readonly name: string; readonly body: CallBody }[] = [];
  readonly sockets: TLSSocket[] = [];
  readonly sessions: Session[] = [];
  /** Fingerprints of keys to who they belong to. */
  readonly keys = new Map<string, Omit<Admission, "application">>();
  answers: Readonly<Record<string, Answer>> = {};
  /** Refuses every link with this code, so many times. */
  refusal: { readonly code: SessionCodeName; times: number } | undefined;
  /** What READY says; the tunnel or null by kind if absent. */
  application: string | undefined;
  /** `for` of ENROLL. */
  readonly enrolled: string[] = [];
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("secureConnection", (socket) => this.#accept(socket));
  }

  static async listen(port = 0): Promise<CallDesk> {
    const { cert, key } = await makeSelfSigned("tunl test", 1, Date.now());
    const server = createServer({
      cert,
      key,
      minVersion: "TLSv1.3",
      ALPNProtocols: [ALPN],
      allowHalfOpen: true,
    });
    server.listen(port, "127.0.0.1");
    await within(once(server, "listening"), "the listener");
    return new CallDesk(server);
  }

  get fingerprint(): string {
    return fingerprintOf(this.key.publicKey);
  }

  #accept(socket: TLSSocket): void {
    this.sockets.push(socket);
    // Links are cut on purpose here; what became of one is told by the other end.
    socket.on("error", () => undefined);
    const local = { ...DEFAULT_PARAMETERS.edge, resumeMs: 0 };
    acceptLink(socket, {
      key: this.key,
      gate: this.#gate(),
      parameters: local,
      admit: () => {
        if (this.refusal === undefined || this.refusal.times === 0) return undefined;
        this.refusal.times -= 1;
        return { code: this.refusal.code, retryAfterMs: 0 };
      },
      judge: () => undefined,
    }).then(
      (link) => {
        const session: Session = new Session(
          {
            side: "edge",
            local,
            remote: link.proven.parameters,
            trace: SILENT,
            budget: new ProcessBudget(1 << 30),
            isTuning: false,
          },
          {
            accept: (stream) =>
              acceptCall(stream, (call) => {
                this.calls.push({ name: call.name, body: call.body });
                const answer = this.answers[call.name];
                if (answer === undefined) call.result("NOT_FOUND");
                else void answer(call, link.admission);
                return { isKept: false, ended: () => undefined };
              }),
            status: () => undefined,
            fault: () => undefined,
          },
        );
        session.attach(0, link);
        this.sessions.push(session);
      },
      // The other end hears of a refusal, and the test with it.
      () => undefined,
    );
  }

  #gate(): Gate {
    const granted = (who: Omit<Admission, "application">): Admission => {
      const tunnel = who.kind === "tunnel" ? { id: who.id, name: who.name } : null;
      const ready = { tunnel, keyId: who.keyId, domains: [HOST], publicPort: this.port };
      return { ...who, application: Buffer.from(this.application ?? JSON.stringify(ready)) };
    };
    return {
      admit: (publicKey) => {
        const who = this.keys.get(fingerprintOf(publicKey));
        return who === undefined ? undefined : granted(who);
      },
      enrol: async ({ key, code, application }) => {
        const { for: kind } = JSON.parse(Buffer.from(application).toString()) as { for: string };
        this.enrolled.push(kind);
        if (Buffer.compare(code, this.code) !== 0 || kind !== "account") return undefined;
        const who = { kind: "account", id: "a1", name: "account", keyId: "laptop" } as const;
        this.keys.set(fingerprintOf(key), who);
        return granted(who);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    await within(closed, "the listener to close");
  }
}

const SILENT = {
  link: () => undefined,
  stream: () => undefined,
  dropped: () => undefined,
  violation: () => undefined,
};
