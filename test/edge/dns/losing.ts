// This file is the way to a name server on which updates meet somebody else's, and their answers are lost.
import { Exchanges, type ExchangeOptions, type Reply } from "../../../src/edge/dns/exchange.ts";
import { TunlError } from "../../../src/errors.ts";

const OPCODE_UPDATE = 5;

export class LosingExchanges extends Exchanges {
  /** Updates that change something and whose answers are lost, from now on. */
  losesAnswers = 0;
  /** Updates that change something, as they were sent; one that is sent again counts again. */
  updates = 0;
  /** Runs once, right before the next of them. */
  before: (() => Promise<void>) | undefined;

  override async send(options: ExchangeOptions): Promise<Reply> {
    const { bytes } = options;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const isChange = ((view.getUint8(2) >> 3) & 15) === OPCODE_UPDATE && view.getUint16(8) > 0;
    if (!isChange) return await super.send(options);
    this.updates += 1;
    const { before } = this;
    this.before = undefined;
    await before?.();
    const reply = await super.send(options);
    if (this.losesAnswers === 0) return reply;
    this.losesAnswers -= 1;
    throw new TunlError("DNS_FAILED", "The answer was lost", { retryable: true });
  }
}
