// This file is one side of a connection read message by message: chunks in, steps out. http.md §3, §3.3.
import { bug } from "../errors.ts";
import { type HeaderBlock, NO_FIELDS, TRAILER_LIMITS } from "../headers/index.ts";
import { spent } from "../received.ts";
import { BodyDecoder } from "./body-decoder.ts";
import { Http1Error } from "./faults.ts";
import { findControl } from "./framing.ts";
import type { Head, RequestHead, ResponseHead } from "./head.ts";
import type { HeadParser } from "./head-parser.ts";
import { Intake } from "./intake.ts";
import { type Http1Limits, MAX_INTERIM } from "./limits.ts";
import { RequestHeadParser } from "./request-head.ts";
import { ResponseHeadParser } from "./response-head.ts";
import { TrailerParser } from "./trailer-parser.ts";
import { upgradeProtocol } from "./upgrade.ts";

/** What the bytes so far amount to. `upgraded`: whatever follows is another protocol, take it with `rest`. */
export type Step = "needBytes" | "head" | "body" | "trailers" | "end" | "upgraded";

/**
 * Reads messages one after the other.
 *
 *     reader.feed(chunk);
 *     for (let step = reader.next(); step !== "needBytes"; step = reader.next()) …
 *
 * A message is `head`, any number of `body`, at most one `trailers`, `end`. After `end` the same reader goes on: the next
 * `next()` begins the following message with the bytes that are there, so whoever serves one exchange at a time does not
 * call it before the exchange is over. Until then `feed` adds to those bytes and `held` counts them: the caller pauses its
 * socket when they reach `limits.headerBytes` (then they are at most one chunk above it).
 *
 * `head`, `body` and `trailers` are views of the chunk that was fed, or of the reader's own buffer where a head came in
 * pieces; they stay valid as long as nobody overwrites the chunk.
 */
export interface Reader<H extends Head> {
  /** Gives the next bytes. The reader keeps the chunk until its bytes are read. */
  feed(bytes: Uint8Array): void;
  /** @throws Http1Error; the reader is dead afterwards and throws the same error again. */
  next(): Step;
  /** After `head`, until it is spent. */
  readonly head: H;
  /** Nobody views the head any more: it is freed, however long the message lasts (`received.ts`). */
  spendHead(): void;
  /** After `body`: never empty, until the next call of `next`. Its bytes belong to the caller (`received.ts`). */
  readonly body: Uint8Array;
  /** After `trailers`; without fields before. */
  readonly trailers: HeaderBlock;
  /** Bytes inside that no step has shown yet: a section in pieces, and what stands behind a message. */
  readonly held: number;
  /** Takes the bytes behind the message out of the reader: raw bytes after an upgrade. */
  rest(): Uint8Array;
  /**
   * The peer closed and every step was taken.
   *
   * @returns `clean` between messages; `finished` when that ended a body that lasts until close, which is complete now
   * without a step `end`; `truncated` when a message was open.
   */
  eof(): "clean" | "finished" | "truncated";
}

/** Reads responses; 100 is swallowed, other interim responses are a step `head` that another head follows. */
export interface ResponseReader extends Reader<ResponseHead> {
  /**
   * Names the request whose response comes next: HEAD has no body, 101 is legal only with this upgrade (lower case).
   *
   * @throws Http1Error `UNSOLICITED` when bytes are there already: the connection must not be used again.
   */
  expect(method: string, upgrade: string | undefined): void;
}

/** Reads requests of visitors. An upgrade request is a message without body; its raw bytes are behind it. */
export function requestReader(limits: Http1Limits): Reader<RequestHead> {
  return new RequestReader(limits);
}

/** Reads responses of origins. */
export function responseReader(limits: Http1Limits): ResponseReader {
  return new ResponseMessageReader(limits);
}

/**
 * `idle`: no message may come. `between`: one may. Else the part of the message that is read next.
 *
 *   between ─► head ─► body ─┬─► trailers ─► end ─► between
 *    ▲  (interim) │          └─────────────► end
 *    └────────────┴─► upgraded
 */
type State = "idle" | "between" | "head" | "body" | "trailers" | "end" | "upgraded" | "dead";

const NO_BODY = new Uint8Array(0);

abstract class MessageReader<H extends Head> implements Reader<H> {
  protected state: State = "between";
  readonly #limits: Http1Limits;
  readonly #parser: HeadParser<H>;
  readonly #decoder = new BodyDecoder();
  readonly #trailerParser = new TrailerParser();
  #error: unknown;
  readonly #intake = new Intake();
  #head: H | undefined;
  /** It views so many bytes at the start of this. */
  #section: Uint8Array | undefined;
  #sectionBytes = 0;
  #body: Uint8Array = NO_BODY;
  #endsByClose = false;
  #trailers: HeaderBlock = NO_FIELDS;

  constructor(limits: Http1Limits, parser: HeadParser<H>) {
    this.#limits = limits;
    this.#parser = parser;
  }

  /** What follows a complete head: its body, another head that is shown or not, or another protocol. */
  protected abstract follow(head: H): "body" | "interim" | "swallow" | "upgraded";
  /** The state once a message is complete. */
  protected abstract readonly afterMessage: "idle" | "between";

  get head(): H {
    return this.#head ?? bug("head is read before the step head");
  }

  spendHead(): void {
    if (this.#section !== undefined) spent(this.#section, this.#sectionBytes);
    this.#head = undefined;
    this.#section = undefined;
  }

  get body(): Uint8Array {
    return this.#body;
  }

  get trailers(): HeaderBlock {
    return this.#trailers;
  }

  get held(): number {
    return this.#intake.held;
  }

  feed(bytes: Uint8Array): void {
    this.#intake.feed(bytes);
  }

  next(): Step {
    if (this.state === "dead") throw this.#error;
    this.#body = NO_BODY;
    try {
      const step = this.#advance();
      if (step === "needBytes") this.#intake.release();
      return step;
    } catch (error) {
      this.state = "dead";
      this.#error = error;
      throw error;
    }
  }

  #advance(): Step {
    for (;;) {
      switch (this.state) {
        case "idle":
          if (this.unread > 0) throw new Http1Error("UNSOLICITED", 0);
          return "needBytes";
        case "between":
          this.#parser.start();
          this.#trailers = NO_FIELDS;
          this.state = "head";
          break;
        case "head": {
          if (!this.#intake.readSection(this.#parser, this.#limits.headerBytes)) return "needBytes";
          const { section } = this.#intake;
          const head = this.#parser.head(section);
          this.#intake.endSection();
          const step = this.follow(head);
          if (step === "swallow") {
            this.#parser.start();
            break;
          }
          this.#head = head;
          this.#section = section;
          this.#sectionBytes = this.#parser.position;
          this.#endsByClose = head.framing.kind === "untilClose";
          if (step === "interim") this.#parser.start();
          else if (step === "upgraded") this.state = "upgraded";
          else {
            this.#decoder.begin(head.framing, this.#parser.position);
            this.state = "body";
          }
          return "head";
        }
        case "body": {
          const intake = this.#intake;
          const step = this.#decoder.decode(intake.chunk, intake.at);
          const content = step === "body" ? this.#decoder.end - this.#decoder.start : 0;
          intake.spend(this.#decoder.position - intake.at - content);
          intake.at = this.#decoder.position;
          if (step === "trailers") {
            this.#trailerParser.start(this.#decoder.consumed);
            this.state = "trailers";
          } else if (step === "end") this.state = "end";
          else {
            if (step === "body") {
              this.#body = intake.view(this.#decoder.start, this.#decoder.end);
              // Whoever takes it may free the chunk long before the next step is asked for.
              intake.release();
            }
            return step;
          }
          break;
        }
        case "trailers": {
          if (!this.#intake.readSection(this.#trailerParser, TRAILER_LIMITS.bytes))
            return "needBytes";
          const { section } = this.#intake;
          const trailers = this.#trailerParser.trailers(section);
          this.#intake.endSection();
          this.state = "end";
          if (trailers.count === 0) {
            spent(section, this.#trailerParser.position);
            break;
          }
          this.#trailers = trailers;
          return "trailers";
        }
        case "end":
          this.state = this.afterMessage;
          // Whoever kept the connection for later would keep what the message came in.
          this.#intake.release();
          return "end";
        case "upgraded":
          return "upgraded";
        case "dead":
          throw this.#error;
      }
    }
  }

  rest(): Uint8Array {
    const isInside =
      this.state === "body" ||
      this.state === "trailers" ||
      (this.state === "head" && this.#parser.hasBegun);
    if (isInside) bug("rest is taken inside a message");
    return this.#intake.takeRest();
  }

  eof(): "clean" | "finished" | "truncated" {
    switch (this.state) {
      case "idle":
      case "between":
      case "end":
      case "upgraded":
        return "clean";
      case "head":
        return this.isOpen() || this.#parser.hasBegun ? "truncated" : "clean";
      case "body":
        if (!this.#endsByClose) return "truncated";
        this.state = this.afterMessage;
        return "finished";
      case "trailers":
      case "dead":
        return "truncated";
    }
  }

  /** True while a message is open although no byte of the head that is due has come. */
  protected isOpen(): boolean {
    return false;
  }

  protected get unread(): number {
    return this.#intake.unread;
  }
}

class RequestReader extends MessageReader<RequestHead> {
  protected readonly afterMessage = "between";

  constructor(limits: Http1Limits) {
    super(limits, new RequestHeadParser(limits));
  }

  protected follow(): "body" {
    return "body";
  }
}

class ResponseMessageReader extends MessageReader<ResponseHead> implements ResponseReader {
  protected readonly afterMessage = "idle";
  readonly #parser: ResponseHeadParser;
  #upgrade: string | undefined;
  #interim = 0;

  constructor(limits: Http1Limits) {
    const parser = new ResponseHeadParser(limits);
    super(limits, parser);
    this.#parser = parser;
    this.state = "idle";
  }

  expect(method: string, upgrade: string | undefined): void {
    if (this.state !== "idle")
      bug(`a response is expected while the reader is in state ${this.state}`);
    if (this.unread > 0) throw new Http1Error("UNSOLICITED", 0);
    this.#parser.method = method;
    this.#upgrade = upgrade;
    this.#interim = 0;
    this.state = "between";
  }

  protected follow(head: ResponseHead): "body" | "interim" | "swallow" | "upgraded" {
    if (head.status >= 200) return "body";
    if (head.status === 101) {
      const protocol = upgradeProtocol(head.fields, findControl(head.fields));
      const isExpected =
        this.#upgrade !== undefined && protocol === this.#upgrade && head.version === "1.1";
      if (!isExpected) throw new Http1Error("WRONG_UPGRADE", 0);
      return "upgraded";
    }
    if (++this.#interim > MAX_INTERIM) throw new Http1Error("TOO_MANY_INTERIM", 0);
    return head.status === 100 ? "swallow" : "interim";
  }

  protected override isOpen(): boolean {
    return this.#interim > 0;
  }
}
