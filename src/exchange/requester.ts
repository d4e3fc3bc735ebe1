// This file is the edge's end of an exchange: it sends the request and receives the reply. PROTOCOL §12.1.
import { bug } from "../errors.ts";
import { reached } from "../limits.ts";
import type { Session, Stream } from "../session/index.ts";
import { STREAM_KINDS } from "./error-codes.ts";
import type { NotOpened, Requester, RequesterEvents } from "./exchange.ts";
import { ExchangeStream } from "./exchange-stream.ts";
import { checkFields, checkReason } from "./field-check.ts";
import type { Failure, FailureCode, RequestHead, ResponseHead } from "./heads.ts";
import { encodeMessage, type Message, REQUEST_FLAGS, RESPONSE_FLAGS } from "./messages.ts";
import { BodyFault, type BodyKind } from "./runs.ts";

/** Interim replies of one exchange, at most (http.md §3.1). */
const INTERIMS_MAX = 16;

const FAILURE_CODES: ReadonlySet<string> = new Set<FailureCode>([
  "ORIGIN_REFUSED",
  "ORIGIN_UNREACHABLE",
  "ORIGIN_TLS",
  "ORIGIN_CLOSED",
  "ORIGIN_INVALID",
  "ORIGIN_UPGRADE",
  "ORIGIN_CONNECT_TIMEOUT",
  "ORIGIN_TIMEOUT",
  "LENGTH_REQUIRED",
  "NO_ROUTE",
  "ROUTE_ERROR",
  "BAD_REQUEST",
  "BAD_PATH",
  "INTERNAL",
]);

function isFailureCode(code: string): code is FailureCode {
  return FAILURE_CODES.has(code);
}

/** Which body follows a head. */
export function bodyOf(head: { readonly hasBody: boolean; readonly length: number }): BodyKind {
  if (!head.hasBody) return NO_BODY;
  return head.length < 0 ? RUNS : { kind: "known", length: head.length };
}

const NO_BODY: BodyKind = { kind: "none" };
const RUNS: BodyKind = { kind: "runs" };
export const RAW: BodyKind = { kind: "raw" };

/** Stands for the stream of an exchange that has none at the moment: what is written meanwhile is kept with the rest. */
class Shelf implements Stream {
  readonly id = -1;
  readonly #kept: Uint8Array[];

  constructor(kept: Uint8Array[]) {
    this.#kept = kept;
  }

  write(bytes: Uint8Array): "pause" {
    this.#kept.push(bytes);
    return "pause";
  }
  finish(): void {}
  reset(): void {}
  stop(): void {}
  consumed(): void {}
}

class RequesterStream extends ExchangeStream implements Requester {
  readonly head: RequestHead;
  protected readonly events: RequesterEvents;
  #interims = 0;
  /** All that was written to a stream that delivered nothing of it; empty otherwise. */
  #replay: Uint8Array[] = [];

  constructor(stream: Stream, head: RequestHead, events: RequesterEvents) {
    super(stream);
    this.head = head;
    this.events = events;
    if (head.upgrade === undefined) this.sendBody(bodyOf(head));
  }

  undelivered(replay: readonly Uint8Array[]): void {
    this.#replay = [...replay];
    this.moveTo(new Shelf(this.#replay), "pause");
    this.events.undelivered(replay.reduce((sum, { length }) => sum + length, 0));
  }

  reopen(session: Session): "more" | "pause" | NotOpened {
    const [head, ...rest] = this.#replay;
    if (head === undefined) bug("an exchange is opened again that was not given back");
    const isWhole = rest.length === 0 && !this.isSending;
    const stream = session.open(STREAM_KINDS.exchange, head, isWhole, () => this);
    if (typeof stream === "string") return stream;
    this.#replay = [];
    let state: "more" | "pause" = "more";
    for (const bytes of rest) state = stream.write(bytes);
    return this.moveTo(stream, state);
  }

  protected message(message: Message): void {
    switch (message.name) {
      case "interim":
        this.#interims += 1;
        if (this.#interims > INTERIMS_MAX) {
          reached("tunnelInterim");
          throw new BodyFault(`Received more than ${INTERIMS_MAX} interim replies`);
        }
        this.events.interim(message.record.status, checkFields(message.record.fields));
        break;
      case "response": {
        const { status, reason, fields, length, flags } = message.record;
        const hasBody = (flags & RESPONSE_FLAGS.noBody) === 0;
        this.#response({
          status,
          reason: checkReason(reason),
          fields,
          length,
          hasBody,
          block: checkFields(fields),
        });
        break;
      }
      case "failure": {
        const { code, sent, detail } = message.record;
        if (!isFailureCode(code)) throw new BodyFault(`Received the unknown failure "${code}"`);
        this.receiveBody(NO_BODY);
        this.#endUpgrade();
        this.events.failure({ code, sent: sent === 1, detail } satisfies Failure);
        break;
      }
      default:
        throw new BodyFault(`Received the message "${message.name}" where a reply was expected`);
    }
  }

  #response(head: ResponseHead): void {
    if (head.status < 200 && (head.status !== 101 || this.head.upgrade === undefined)) {
      throw new BodyFault(`Received status ${head.status} as a final reply`);
    }
    // A response without a body where one must follow, or the reverse, would shift every response behind it (S-08, S-64).
    const isBare = this.head.method === "HEAD" || head.status === 204 || head.status === 304;
    if (head.hasBody === isBare) {
      throw new BodyFault(
        `Received status ${head.status} ${isBare ? "with" : "without"} a body for ${this.head.method}`,
      );
    }
    if (head.status === 101) {
      this.sendBody(RAW);
      this.receiveBody(RAW);
    } else {
      this.receiveBody(bodyOf(head));
      this.#endUpgrade();
    }
    this.events.response(head);
  }

  /** The upgrade was not granted: the direction that was kept open for it ends. */
  #endUpgrade(): void {
    if (this.head.upgrade !== undefined) this.end();
  }
}

/**
 * Opens an exchange on a session.
 *
 * @returns The exchange, or why the session opened none.
 */
export function openExchange(
  session: Session,
  head: RequestHead,
  events: RequesterEvents,
): Requester | NotOpened {
  const { id, method, authority, target, fields, upgrade, visitor, tls } = head;
  const bytes = encodeMessage("request", {
    id,
    method,
    authority,
    target,
    scheme: head.scheme === "https" ? 0 : 1,
    flags:
      (head.hasBody ? 0 : REQUEST_FLAGS.noBody) |
      (upgrade === undefined ? 0 : REQUEST_FLAGS.upgrade) |
      (head.acceptsTrailers ? REQUEST_FLAGS.acceptsTrailers : 0),
    fields,
    length: head.hasBody ? head.length : 0,
    upgrade,
    visitor,
    tls,
  });
  const isWhole = !head.hasBody && head.upgrade === undefined;
  let exchange: RequesterStream | undefined;
  const opened = session.open(STREAM_KINDS.exchange, bytes, isWhole, (stream) => {
    exchange = new RequesterStream(stream, head, events);
    return exchange;
  });
  if (typeof opened === "string" || exchange === undefined) return opened as NotOpened;
  if (isWhole) exchange.end();
  return exchange;
}
