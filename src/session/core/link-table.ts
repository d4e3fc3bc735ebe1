// This file is the live links of a session: attached, read or not, closed, lost. PROTOCOL §7.
import { agreeParameters, FrameDecoder } from "../../wire/index.ts";
import type { LinkLoss, LinkNumber, SessionOptions, SessionOutput } from "./events.ts";
import { LinkState } from "./links.ts";
import { Liveness } from "./liveness.ts";

/** The edge asks later than the connector, so normally one PING is on its way. */
const EDGE_PING_FACTOR = 1.4;

export class LinkTable {
  readonly #options: SessionOptions;
  readonly #emit: (output: SessionOutput) => void;
  readonly #links = new Map<LinkNumber, LinkState>();

  constructor(options: SessionOptions, emit: (output: SessionOutput) => void) {
    this.#options = options;
    this.#emit = emit;
  }

  get size(): number {
    return this.#links.size;
  }

  get(number: LinkNumber): LinkState | undefined {
    return this.#links.get(number);
  }

  values(): Iterable<LinkState> {
    return this.#links.values();
  }

  get newest(): LinkState | undefined {
    let newest: LinkState | undefined;
    for (const link of this.#links.values()) newest = link;
    return newest;
  }

  /** @param decoder The one of the handshake, if there was one. */
  attach(number: LinkNumber, decoder: FrameDecoder | undefined, now: number): void {
    const { side, local, remote, trace } = this.#options;
    const pingMs = agreeParameters(local, remote).silenceMs / 3;
    const liveness = new Liveness(
      local.silenceMs,
      side === "edge" ? EDGE_PING_FACTOR * pingMs : pingMs,
      now,
    );
    const reader =
      decoder ?? new FrameDecoder({ phase: "live", side, maxDatagram: local.maxDatagram });
    this.#links.set(number, new LinkState(side, number, reader, liveness));
    trace.link("attached", number);
    this.#tell();
  }

  /** The read valve, for all links or for one. */
  read(isRead: boolean, now: number, only?: LinkNumber): void {
    for (const { number, liveness } of this.#links.values()) {
      if (only !== undefined && number !== only) continue;
      liveness.read(isRead, now);
      this.#emit({ kind: isRead ? "resumeLink" : "pauseLink", link: number });
    }
  }

  /** The shell ends the link and reports nothing about it any more. */
  close(number: LinkNumber): void {
    this.#links.delete(number);
    this.#emit({ kind: "closeLink", link: number });
  }

  closeAll(): void {
    for (const number of [...this.#links.keys()]) this.close(number);
  }

  /** Returns false for a link that is gone already. */
  lost(number: LinkNumber, cause: LinkLoss, isTold: boolean): boolean {
    if (!this.#links.delete(number)) return false;
    this.#options.trace.link("lost", number, cause);
    if (isTold) this.#tell();
    return true;
  }

  #tell(): void {
    this.#emit({ kind: "status", status: { name: "attached", links: [...this.#links.keys()] } });
  }
}
