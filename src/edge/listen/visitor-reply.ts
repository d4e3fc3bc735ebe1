// This file is the response half of one exchange with an HTTP/1.1 visitor: framing made, never copied. http.md §3.2, §5.3; S-05, S-11.
import { type FramingToWrite, interimHead, type RequestHead } from "../../http1/index.ts";
import type { Reply, ReplyHead } from "../visit.ts";
import type { VisitorOutput } from "./visitor-output.ts";

/** Interim responses wait for a visitor up to this many bytes, and the next one. */
const INTERIM_BYTES = 16 * 1024;

/** What the reply asks of its connection. */
export interface ReplyOwner {
  readonly output: VisitorOutput;
  /** The final head is about to be written. @returns True when this response is the last one of the connection. */
  beginResponse(): boolean;
  /** The response is complete; `isLast` as announced in its head. */
  endResponse(isLast: boolean): void;
  /** A 101 was written. */
  becomeUpgraded(): void;
  /** An ordinary response was begun: if the request asked for an upgrade, none comes. */
  declineUpgrade(): void;
  /** FIN after everything written: our direction of an upgraded connection is over. */
  finish(): void;
  /** "short": deliver what is queued, then close with the message incomplete. "reset": RST at once. */
  breakOff(how: "short" | "reset"): void;
  /** No stream stands behind what is queued any more. */
  orphan(): void;
  /** Body bytes that are not written, because the response has no body: they count as taken. */
  dropped(bytes: number): void;
  /** The pipeline broke the contract of `Reply`: RST, and it is told that the exchange is over. */
  fault(what: string): void;
}

/**
 * open → streaming or upgraded → ended → over. Until it is taken, what has ended can still be cut: an upgrade passes a
 * reset on, and the end of an evicted stream may wait in a queue that is to be freed.
 *
 * A response of unknown length is chunked towards 1.1 and ends with the connection towards 1.0. One that is cut
 * never looks whole: with a length, bytes are missing; chunked, the last chunk is; close-delimited, RST takes the
 * place of FIN.
 */
export class VisitorReply implements Reply {
  readonly #owner: ReplyOwner;
  readonly #isOldVersion: boolean;
  readonly #isHead: boolean;
  readonly #isPersistent: boolean;
  readonly #acceptsTrailers: boolean;
  #state: "open" | "streaming" | "upgraded" | "ended" | "over" = "open";
  #isHeadSent = false;
  #isLast = false;
  #framing: FramingToWrite["kind"] = "none";

  /** @param head Of the request this answers. */
  constructor(owner: ReplyOwner, head: RequestHead, acceptsTrailers: boolean) {
    this.#owner = owner;
    // Not the head itself: its bytes would stay as long as the exchange does.
    this.#isOldVersion = head.version === "1.0";
    this.#isHead = head.method === "HEAD";
    this.#isPersistent = head.persistent;
    this.#acceptsTrailers = acceptsTrailers;
  }

  get isHeadSent(): boolean {
    return this.#isHeadSent;
  }

  /** True once the response is complete, while it can still be cut. */
  get isEnded(): boolean {
    return this.#state === "ended";
  }

  /** True once the response is complete or given up. */
  get isOver(): boolean {
    return this.#state === "ended" || this.#state === "over";
  }

  interim(status: number, fields: Uint8Array): void {
    // 100 is our own answer to an expectation, 101 belongs to `upgrade`; a 1.0 visitor knows no interim responses.
    if (this.#state !== "open" || this.#isOldVersion || status <= 101 || status > 199) return;
    // Nobody counts these bytes, and nobody needs them: a visitor who does not read gets no more of them.
    if (this.#owner.output.queued > INTERIM_BYTES) return;
    this.#owner.output.writeOverhead(interimHead(status, fields));
  }

  head(head: ReplyHead): void {
    if (this.#state !== "open") return;
    // The visitor would take it for an interim one, and the next response for the answer to this request.
    if (head.status < 200) return this.#fault(`a final response has status ${head.status}`);
    const isLast = this.#owner.beginResponse() || !this.#isPersistent;
    const framing = this.#frame(head);
    this.#framing = framing.kind;
    this.#isLast = isLast || framing.kind === "untilClose";
    this.#state = "streaming";
    this.#isHeadSent = true;
    const { status, reason, fields } = head;
    const connection = this.#isLast ? "close" : "keep-alive";
    this.#owner.output.writeOverhead(
      this.#owner.output.writer.head({ line: { status, reason }, fields, framing, connection }),
    );
    this.#owner.declineUpgrade();
  }

  upgrade(protocol: string, fields: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#state = "upgraded";
    this.#isHeadSent = true;
    this.#owner.output.writeOverhead(
      this.#owner.output.writer.head({
        line: { status: 101, reason: SWITCHING },
        fields,
        framing: { kind: "none" },
        connection: "upgrade",
        upgrade: protocol,
      }),
    );
    this.#owner.becomeUpgraded();
  }

  body(bytes: Uint8Array): void {
    if (this.#state === "upgraded") {
      this.#owner.output.ledger.body(bytes.length);
      this.#owner.output.write(bytes);
      return;
    }
    if (bytes.length === 0 || (this.#state !== "streaming" && this.#state !== "open")) return;
    if (!this.#hasBody) return this.#owner.dropped(bytes.length);
    const parts = this.#encode(bytes);
    if (parts === undefined) return;
    let total = 0;
    for (const part of parts) total += part.length;
    // The chunk size precedes its data; the two bytes behind it are counted in front, too, which delays no credit.
    this.#owner.output.ledger.overhead(total - bytes.length);
    this.#owner.output.ledger.body(bytes.length);
    for (const part of parts) this.#owner.output.write(part);
  }

  end(trailers: Uint8Array | undefined): void {
    if (this.#state === "upgraded") {
      this.#state = "ended";
      this.#owner.finish();
      return;
    }
    if (this.#state === "open") return this.#breakOff("reset");
    if (this.#state !== "streaming") return;
    const rest = this.#owner.output.writer.end(this.#acceptsTrailers ? trailers : undefined);
    // Bytes are missing: the message is cut, not padded (http.md §3.2).
    if (rest === false) return this.cut("truncated");
    for (const part of rest) this.#owner.output.writeOverhead(part);
    this.#state = "ended";
    this.#owner.endResponse(this.#isLast);
  }

  cut(cause: "truncated" | "reset"): void {
    if (this.#state === "over") return;
    this.#breakOff(cause === "truncated" && this.#cutLooksShort() ? "short" : "reset");
  }

  orphan(): void {
    if (this.#state === "ended") this.#owner.orphan();
  }

  /** The exchange is over, whatever its state: calls are ignored from now on. */
  abandon(): void {
    this.#state = "over";
  }

  #breakOff(how: "short" | "reset"): void {
    this.#state = "over";
    this.#owner.breakOff(how);
  }

  /** A FIN shows the cut only inside a framing that says where the end would be. */
  #cutLooksShort(): boolean {
    return (
      this.#state === "streaming" && (this.#framing === "length" || this.#framing === "chunked")
    );
  }

  /** A length is announced without a body only where the visitor knows that none comes; else the next head would be its body. */
  #frame({ status, length, hasBody }: ReplyHead): FramingToWrite {
    if (status === 204) return { kind: "none" };
    if (this.#isHead || status === 304) return { kind: "announced", length };
    if (!hasBody) return { kind: "length", length: 0 };
    if (length >= 0) return { kind: "length", length };
    return { kind: this.#isOldVersion ? "untilClose" : "chunked" };
  }

  get #hasBody(): boolean {
    return this.#framing !== "none" && this.#framing !== "announced";
  }

  #encode(bytes: Uint8Array): readonly Uint8Array[] | undefined {
    try {
      return this.#owner.output.writer.body(bytes);
    } catch {
      // A byte more than announced: the writer refuses it, and the message is aborted, not cut to fit (http.md §3.2).
      this.#fault("a response had more bytes than it announced");
      return undefined;
    }
  }

  #fault(what: string): void {
    this.#state = "over";
    this.#owner.fault(what);
  }
}

const SWITCHING = new TextEncoder().encode("Switching Protocols");
