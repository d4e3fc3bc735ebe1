// This file is what the log says of certificates by ACME. product.md §7, §8.
import { messageOf, TunlError } from "../../../errors.ts";
import type { Logger } from "../../../log.ts";
import type { Line } from "./coverage.ts";
import type { Life } from "./schedule.ts";

export interface NoticesOptions {
  readonly log: Logger;
  /** Wall clock, milliseconds since 1970. */
  readonly clock: () => number;
  /** Canonical domains of the edge: what it starts with is told of them, and of other names only at level debug. */
  readonly domains: readonly string[];
}

/** Lines of the event `certificate`. */
export class Notices {
  readonly #options: NoticesOptions;

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /** Lay on the disk. */
  found(line: Line, life: Life): void {
    const { log, domains } = this.#options;
    const level = domains.includes(line.names[0] ?? "") ? "info" : "debug";
    log.write(level, "certificate", this.#describe(line, life), { name: line.id });
  }

  /** Another CA made what lay there. */
  foreign({ id: name }: Line): void {
    const text = `${name} has a certificate of the CA that was used before: one of the CA of now is ordered, until then it stays in use`;
    this.#options.log.info("certificate", text, { name });
  }

  came(line: Line, life: Life, isRenewal: boolean): void {
    const { log, clock } = this.#options;
    const { id: name } = line;
    log.info("certificate", `${isRenewal ? "renewed: " : ""}${this.#describe(line, life)}`, {
      name,
    });
    if (life.notBefore <= clock()) return;
    log.warn(
      "certificate",
      `${name} is not valid yet by the clock of this machine, which seems to be behind`,
      { name, hint: "Check the clock: timedatectl set-ntp true" },
    );
  }

  /** @param text As `reasonOf` has it. */
  failed(name: string, text: string, error: unknown, nextTryAt: number, isServed: boolean): void {
    const { log, clock } = this.#options;
    const minutes = Math.max(1, Math.round((nextTryAt - clock()) / 60_000));
    const served = isServed ? ", the one there is stays in use" : "";
    log.warn("certificate", `${name}: ${text}; next try in ${minutes} min${served}`, {
      name,
      ...(error instanceof TunlError && { hint: error.hint }),
    });
  }

  /** @param why What came of the last try to renew it; "" where there was none. */
  endsSoon(name: string, days: number, why: string): void {
    const reason = why === "" ? "" : `: ${why}`;
    this.#options.log.warn("certificate", `${name} expires in ${days} days${reason}`, { name });
  }

  notAsked(name: string, error: unknown): void {
    const text = `Asking when to renew ${name} failed: ${messageOf(error)}`;
    this.#options.log.debug("certificate", text, { name });
  }

  bug(error: unknown): void {
    const text = `BUG: ${messageOf(error)}`;
    this.#options.log.error("certificate", text, { error: String(error) });
  }

  #describe({ names }: Line, { notAfter }: Life): string {
    const days = Math.floor((notAfter - this.#options.clock()) / 86_400_000);
    return `${names.join(" and ")}, expires in ${days} days`;
  }
}

/**
 * Why an order failed.
 *
 * @param skewMs How far our clock is ahead of the CA's; 0 where it is near enough not to be the cause.
 */
export function reasonOf(error: unknown, skewMs: number): string {
  if (skewMs === 0) return messageOf(error);
  const minutes = Math.round(Math.abs(skewMs) / 60_000);
  const where = skewMs > 0 ? "ahead of" : "behind";
  return `${messageOf(error)}; the clock of this machine is ${minutes} min ${where} the CA's`;
}
