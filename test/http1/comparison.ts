// This file is two verdicts on one message held against each other: equal, or a deviation that the table lists with its reason.
import { DEVIATIONS, type Verdict } from "./deviations.ts";
import type { Transcript } from "./support.ts";

type Corpus = (typeof DEVIATIONS)[number]["corpus"];

/**
 * Collects the verdicts of one corpus.
 *
 * At its end every row that deviates is listed, with the verdict it really gets, and every listed row deviates.
 */
export class Comparison {
  readonly #listed: Map<string, string>;
  readonly #found = new Map<string, string>();
  /** How many rows got which pair of verdicts. */
  readonly counts: Record<string, number> = {};

  constructor(corpus: Corpus) {
    this.#listed = new Map(
      DEVIATIONS.filter((deviation) => deviation.corpus === corpus).flatMap(
        ({ theirs, ours, rows }) => rows.map((row) => [row, pair(theirs, ours)] as const),
      ),
    );
  }

  /** A row on which both agree. */
  same(verdict: "read" | "refused"): void {
    this.counts[verdict] = (this.counts[verdict] ?? 0) + 1;
  }

  /** A row on which they do not. */
  differs(row: string, theirs: "read" | "refused", ours: Verdict): void {
    this.#found.set(row, pair(theirs, ours));
    this.counts["deviates"] = (this.counts["deviates"] ?? 0) + 1;
  }

  /** Deviations that are not listed, or listed with another verdict. */
  get unlisted(): string[] {
    return differences(this.#found, this.#listed);
  }

  /** Listed rows that do not deviate, or no longer so. */
  get stale(): string[] {
    return differences(this.#listed, this.#found);
  }
}

const pair = (theirs: string, ours: string): string => `${theirs} there, ${ours} here`;

function differences(from: Map<string, string>, by: Map<string, string>): string[] {
  return [...from]
    .filter(([row, verdicts]) => by.get(row) !== verdicts)
    .map(([row, verdicts]) => `${row}: ${verdicts}`);
}

/**
 * What a connection makes of what a reader says: it stops behind a message after which the peer closes, so the bytes
 * behind that are never read. The transcript then ends there.
 */
export function stopAtClose(seen: Transcript): { seen: Transcript; isClosed: boolean } {
  const last = seen.messages.findIndex((message) => message.ended && !message.persistent);
  const isMore = last >= 0 && (last + 1 < seen.messages.length || seen.fault !== undefined);
  if (!isMore) return { seen, isClosed: false };
  const messages = seen.messages.slice(0, last + 1);
  return { seen: { ...seen, messages, fault: undefined, eof: "clean" }, isClosed: true };
}

/** `read`, or how far it did not come. */
export function verdictOf({ seen, isClosed }: ReturnType<typeof stopAtClose>): Verdict {
  if (seen.fault !== undefined) return seen.fault.replace(/@.*/, "") as Verdict;
  if (isClosed) return "closed";
  return seen.eof === "truncated" ? "truncated" : "read";
}
