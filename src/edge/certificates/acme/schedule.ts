// This file is what is due when: first orders, renewals, retries, questions to the CA, warnings. reliability.md; pure: time and chance are arguments.
import { ExpiryWarnings } from "../expiry.ts";
import { FailedValidations } from "./failed-validations.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** After the first failure, the second, …; the last one from then on. */
const RETRY_MS = [1, 2, 5, 10, 20, 40, 90, 180, 360].map((minutes) => minutes * MINUTE);
/** Longer than any wait for a time that was set here, the CA's own wish included. */
const WAIT_MAX_MS = 30 * HOUR;
/** Retries come later by up to this part, so that names that failed together do not stay together. */
const RETRY_JITTER = 0.1;
/** Renewals come later than at two thirds of the life by up to this part of it. */
const RENEWAL_JITTER = 0.02;
/** So long at least from one certificate to the next, or a third of its life. */
const RENEWAL_PAUSE_MS = 24 * HOUR;
/** How often the CA is asked when it wants a renewal; its own word counts within these bounds. */
const INFO_MS = 6 * HOUR;
const INFO_MIN_MS = 5 * MINUTE;

/** Life of a certificate, wall clock, milliseconds since 1970. */
export interface Life {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** One thing to do now. */
export interface Due {
  readonly id: string;
  readonly what: "order" | "info";
}

/** One certificate that is wanted, whatever names it covers. */
interface Line {
  life: Life | undefined;
  /** When to renew; what the CA says replaces it. */
  renewAt: number;
  /** When the CA is asked about that. */
  infoAt: number;
  failures: number;
  /** No order before that: the last one failed, or was a moment ago. */
  nextTryAt: number;
  text: string;
  isRunning: boolean;
  expiry: ExpiryWarnings;
}

export interface ScheduleOptions {
  /** From 0 to 1. */
  readonly random: () => number;
  /** Orders at the same time. */
  readonly maxRunning: number;
  /** Called when more are due than may run. */
  readonly onFull: () => void;
}

/** What is known of one certificate. */
export interface LineView {
  readonly life: Life | undefined;
  readonly isRunning: boolean;
  /** Failures since the last success; 0 where it was not tried. */
  readonly failures: number;
  readonly nextTryAt: number;
  /** What came of the last try. */
  readonly text: string;
}

/** The calendar of all certificates of one CA. */
export class Schedule {
  readonly validations = new FailedValidations();
  readonly #options: ScheduleOptions;
  readonly #lines = new Map<string, Line>();
  #running = 0;

  constructor(options: ScheduleOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#lines.size;
  }

  /** Wants a certificate; `life` is that of the one that is there. Idempotent. */
  add(id: string, life: Life | undefined, now: number): void {
    if (this.#lines.has(id)) return;
    const line: Line = {
      life: undefined,
      renewAt: 0,
      infoAt: Number.POSITIVE_INFINITY,
      failures: 0,
      nextTryAt: now,
      text: "",
      isRunning: false,
      expiry: new ExpiryWarnings(),
    };
    this.#lines.set(id, line);
    if (life !== undefined) this.#live(line, life, now);
  }

  remove(id: string): void {
    if (this.#lines.get(id)?.isRunning === true) this.#running -= 1;
    this.#lines.delete(id);
  }

  /** What is to be done now, longest overdue first; an order that is begun is not due again. */
  due(now: number): readonly Due[] {
    const orders: { readonly id: string; readonly at: number }[] = [];
    const infos: Due[] = [];
    for (const [id, line] of this.#lines) {
      const at = this.#orderAt(id, line, now);
      if (at <= now) orders.push({ id, at });
      else if (!line.isRunning && infoAt(line, now) <= now) infos.push({ id, what: "info" });
    }
    orders.sort((one, other) => one.at - other.at);
    const free = this.#options.maxRunning - this.#running;
    if (orders.length > free) this.#options.onFull();
    return [
      ...orders.slice(0, Math.max(0, free)).map(({ id }) => ({ id, what: "order" as const })),
      ...infos,
    ];
  }

  /** When something will be due; undefined: nothing that has a time. */
  nextAt(now: number): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (const [id, line] of this.#lines)
      next = Math.min(
        next,
        this.#orderAt(id, line, now),
        line.isRunning ? next : infoAt(line, now),
      );
    return next === Number.POSITIVE_INFINITY ? undefined : Math.max(next, now);
  }

  begin(id: string): void {
    const line = this.#lines.get(id);
    if (line === undefined || line.isRunning) return;
    line.isRunning = true;
    this.#running += 1;
  }

  succeeded(id: string, life: Life, now: number): void {
    const line = this.#end(id);
    if (line === undefined) return;
    this.#live(line, life, now);
    // By a clock that is years ahead a new certificate is old at once, and the window of the CA is past: that is no reason
    // to order them without end.
    line.nextTryAt = now + Math.min(RENEWAL_PAUSE_MS, (life.notAfter - life.notBefore) / 3);
  }

  /** @param retryAfterMs What the CA asks for, if it does. */
  failed(id: string, text: string, now: number, retryAfterMs = 0): void {
    const line = this.#end(id);
    if (line === undefined) return;
    const usual = RETRY_MS[Math.min(line.failures, RETRY_MS.length - 1)] as number;
    const jittered = usual * (1 + RETRY_JITTER * this.#options.random());
    line.failures += 1;
    line.text = text;
    line.nextTryAt = now + Math.max(jittered, retryAfterMs);
  }

  /** Somebody has changed something: a name that failed is tried again now, as far as its validations of this hour allow. */
  retry(id: string, now: number): void {
    const line = this.#lines.get(id);
    if (line === undefined || (line.life !== undefined && line.failures === 0)) return;
    line.nextTryAt = Math.min(line.nextTryAt, now);
  }

  /** What is there is to be replaced now, whatever its life, and the CA has nothing to say of it. */
  replace(id: string, now: number): void {
    const line = this.#lines.get(id);
    if (line === undefined) return;
    line.renewAt = now;
    line.infoAt = Number.POSITIVE_INFINITY;
  }

  /** The CA suggests when to renew; any moment of the window will do (RFC 9773 §4.2). */
  suggest(
    id: string,
    window: { start: number; end: number } | undefined,
    now: number,
    againMs = INFO_MS,
  ): void {
    const line = this.#lines.get(id);
    if (line === undefined) return;
    line.infoAt = now + Math.max(againMs, INFO_MIN_MS);
    if (window === undefined || line.life === undefined) return;
    // Chosen once and kept while it fits: drawn anew at each answer it would drift towards the start.
    if (line.renewAt >= window.start && line.renewAt <= window.end) return;
    line.renewAt = window.start + (window.end - window.start) * this.#options.random();
  }

  /** Certificates whose end comes near although they should have been renewed; each at 14, 7, 3 and 1 days once. */
  warnings(now: number): readonly { readonly id: string; readonly days: number }[] {
    const warnings: { id: string; days: number }[] = [];
    for (const [id, { life, expiry }] of this.#lines) {
      if (life === undefined) continue;
      // Nobody has tried to renew it before that.
      const ordinary = (life.notAfter - life.notBefore) * (1 / 3 - RENEWAL_JITTER);
      const days = expiry.due(life.notAfter, now, ordinary);
      if (days !== undefined) warnings.push({ id, days });
    }
    return warnings;
  }

  view(id: string, now: number): LineView | undefined {
    const line = this.#lines.get(id);
    if (line === undefined) return undefined;
    const { life, isRunning, failures, text } = line;
    return { life, isRunning, failures, text, nextTryAt: this.#orderAt(id, line, now) };
  }

  #live(line: Line, life: Life, now: number): void {
    const span = life.notAfter - life.notBefore;
    line.life = life;
    line.renewAt = life.notBefore + (span * 2) / 3 + span * RENEWAL_JITTER * this.#options.random();
    line.infoAt = now;
    line.failures = 0;
    line.text = "";
    line.expiry = new ExpiryWarnings();
    line.nextTryAt = 0;
  }

  #end(id: string): Line | undefined {
    const line = this.#lines.get(id);
    if (line === undefined || !line.isRunning) return undefined;
    line.isRunning = false;
    this.#running -= 1;
    return line;
  }

  /** When the next order of this line is due. */
  #orderAt(id: string, line: Line, now: number): number {
    if (line.isRunning) return Number.POSITIVE_INFINITY;
    const nextTryAt = unlessAhead(line.nextTryAt, now);
    const wanted = line.life === undefined ? nextTryAt : Math.max(line.renewAt, nextTryAt);
    return Math.max(wanted, this.validations.allowedAt(id, now));
  }
}

function infoAt({ infoAt: at }: Line, now: number): number {
  return at === Number.POSITIVE_INFINITY ? at : unlessAhead(at, now);
}

/** No wait is that long: the clock was set back. */
function unlessAhead(at: number, now: number): number {
  return at > now + WAIT_MAX_MS ? now : at;
}
