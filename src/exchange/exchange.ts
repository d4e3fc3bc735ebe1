// This file is one request and its reply on one stream, seen from either end. PROTOCOL §12.
// (Interfaces first; the classes that implement them stand in requester.ts and responder.ts.)
import type { HeaderBlock } from "../headers/index.ts";
import type { Session } from "../session/index.ts";
import type { Failure, RequestHead, ResponseHead } from "./heads.ts";

/** The part both ends share: our direction and the credit of theirs. */
export interface ExchangeSide {
  /** Body bytes of our direction; ownership passes. Raw bytes after a 101. */
  write(bytes: Uint8Array): "more" | "pause";
  /** Ends our direction. Trailers only for bodies of unknown length, otherwise dropped. */
  end(trailers?: Uint8Array): void;
  /** Abandons the whole exchange in both directions: RESET and STOP_SENDING with `code`. Idempotent, also after the end. */
  abort(code: number): void;
  /** Abandons only our direction (RESET); theirs goes on. Ignored after its end. */
  resetSending(code: number): void;
  /** Abandons only what we still receive (STOP_SENDING); our direction goes on. */
  stop(code: number): void;
  /** Body bytes left tunl: the local kernel took them, or they were dropped. */
  consumed(bytes: number): void;
}

/** What both ends are told about the other direction. */
export interface BodyEvents {
  body(bytes: Uint8Array): void;
  /** The other direction is complete: every byte of a known length, or the end of its runs, and DATA_FIN. */
  end(trailers: Uint8Array | undefined): void;
  /** The other direction was cut (reset, fault of the other end, session lost): it must not look whole. Nothing follows but `closed`. */
  cut(code: number, remote: boolean, detail?: string): void;
  /** The other end wants no more of our direction; it is already reset. */
  stopped(code: number): void;
  writable(): void;
  closed(): void;
}

/**
 * Events at the edge, which makes the request. Exactly one of response, failure or cut comes first (after interims);
 * the bytes of heads hold during the call only.
 */
export interface RequesterEvents extends BodyEvents {
  interim(status: number, fields: HeaderBlock): void;
  response(head: ResponseHead): void;
  failure(failure: Failure): void;
  /**
   * The other end took nothing of the request, whose `bytes` are held here: it may be opened again, or dropped. Nothing
   * else comes before that, and `closed` only after it.
   */
  undelivered(bytes: number): void;
}

/** Why a session opens no stream now. */
export type NotOpened = "streamLimit" | "detached" | "draining";

/** The edge's end of an exchange. */
export interface Requester extends ExchangeSide {
  readonly head: RequestHead;
  /**
   * After `undelivered`: opens the same request, as far as it was written, in another session.
   * @returns As `write`, or why the session opened none; then it may be asked again.
   */
  reopen(session: Session): "more" | "pause" | NotOpened;
}

/** The connector's end of an exchange. */
export interface Responder extends ExchangeSide {
  readonly head: RequestHead;
  interim(status: number, fields: Uint8Array): void;
  /** The final head; with status 101 both directions are raw bytes afterwards. */
  respond(head: ResponseHead): void;
  /** The answer where no response head can be had; ends our direction. */
  fail(failure: Failure): void;
}
