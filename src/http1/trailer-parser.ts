// This file is the trailer section behind a chunked body. RFC 9112 §7.1.2; S-04.
import { FieldParser, findBadTrailer, type HeaderBlock, TRAILER_LIMITS } from "../headers/index.ts";
import { type FaultCode, Http1Error } from "./faults.ts";

/** Reads one trailer section from bytes that begin at offset 0 and stay where they are from call to call. */
export class TrailerParser {
  readonly #fields = new FieldParser();
  #before = 0;

  get position(): number {
    return this.#fields.position;
  }

  /** @param before Bytes of the message in front of the section. */
  start(before: number): void {
    this.#before = before;
    this.#fields.start(0, TRAILER_LIMITS);
  }

  parse(bytes: Uint8Array, end: number): boolean {
    const step = this.#fields.parse(bytes, end);
    if (step === "fault") throw new Http1Error(this.#code(), this.#before + this.#fields.position);
    return step === "end";
  }

  /** The trailers. @throws Http1Error `BAD_TRAILER` */
  trailers(bytes: Uint8Array): HeaderBlock {
    const block = this.#fields.block(bytes, this.#fields.position - 2);
    const bad = findBadTrailer(block);
    if (bad >= 0) throw new Http1Error("BAD_TRAILER", this.#before + block.lineStart(bad));
    return block;
  }

  #code(): FaultCode {
    if (this.#fields.fault === "TOO_MANY_FIELDS") return "TOO_MANY_TRAILERS";
    return this.#fields.fault === "SECTION_TOO_LARGE" ? "TRAILERS_TOO_LARGE" : this.#fields.fault;
  }
}
