// This file is how often the validation of a name may fail: three times an hour, whatever it is for. R-19; pure, time is an argument.
import { withoutWildcard } from "../../../address/index.ts";

const HOUR = 3_600_000;
/** CAs count failed validations for each name and hour, and so do we, sooner than they do. */
export const FAILED_VALIDATIONS = 3;

/** When validations of a name failed, wall clock, milliseconds since 1970. */
export type Failures = ReadonlyMap<string, readonly number[]>;

/**
 * The failed validations of the last hour. A CA forgets none of them because a name was released and granted again, and
 * counts those of `*.x` with those of `x`.
 */
export class FailedValidations {
  #times = new Map<string, readonly number[]>();

  /** What an earlier process has tried in vain. */
  remember(failures: Failures): void {
    for (const [id, times] of failures) {
      const name = withoutWildcard(id);
      this.#times.set(name, [...times, ...(this.#times.get(name) ?? [])]);
    }
  }

  /** One more failed. */
  failed(id: string, now: number): void {
    const times = [...this.#recent(id, now), now];
    this.#times = new Map(this.all(now)).set(withoutWildcard(id), times);
  }

  /** When one more may fail: once the first of three is an hour old; long ago where there are fewer. */
  allowedAt(id: string, now: number): number {
    const third = this.#recent(id, now).at(-FAILED_VALIDATIONS);
    return third === undefined ? Number.NEGATIVE_INFINITY : third + HOUR;
  }

  /** Those of this hour, by name. */
  all(now: number): Failures {
    const all = [...this.#times.keys()].map((name) => [name, this.#recent(name, now)] as const);
    return new Map(all.filter(([, times]) => times.length > 0));
  }

  /** What lies ahead stands there because the clock was set back. */
  #recent(id: string, now: number): readonly number[] {
    const times = this.#times.get(withoutWildcard(id)) ?? [];
    return times.filter((at) => at <= now && now - at < HOUR);
  }
}
