// This file is the command line of the bench. benchmarks.md §1; the small form.

/** What can be measured, in the order it is. Ids are rows of benchmarks.md §9. */
export const SCENARIOS = [
  { id: "B1", variant: "down", title: "bulk down, 1 stream", unit: "Gbit/s" },
  { id: "B2", variant: "up", title: "bulk up, 1 stream", unit: "Gbit/s" },
  { id: "B9", variant: "keep-alive", title: "HTTP keep-alive, 64", unit: "req/s" },
  {
    id: "B10",
    variant: "new, full handshake",
    title: "a new connection each, 64 at once",
    unit: "req/s",
  },
  { id: "B10", variant: "new, resumed", title: "the same with TLS resumption", unit: "req/s" },
] as const;

export type Scenario = (typeof SCENARIOS)[number];

const IDS = [...new Set(SCENARIOS.map(({ id }) => id))];

/** What was asked for. */
export interface BenchOptions {
  readonly rounds: number;
  /** Load of one measurement; bulk moves 256 MiB for each. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly only: readonly Scenario[];
  /** Path of a second tunl. */
  readonly compare: string | undefined;
  /** True: nothing but the two of them is measured, in turn. */
  readonly isDuel: boolean;
  /** Reports go there. */
  readonly out: string;
}

export const DEFAULTS: BenchOptions = {
  rounds: 3,
  seconds: 4,
  // Before that the JIT still compiles what is measured.
  warmUpSeconds: 30,
  only: SCENARIOS,
  compare: undefined,
  isDuel: false,
  out: "dist/bench",
};

export const HELP = `Measures tunl against nginx on this machine's loopback.

  --rounds N        repetitions of the interleaved order (default ${DEFAULTS.rounds})
  --seconds N       load of one measurement (default ${DEFAULTS.seconds})
  --warm-up N       seconds of load on each tunl before the first round (default ${DEFAULTS.warmUpSeconds})
  --only LIST       of ${IDS.join(",")} (benchmarks.md §9)
  --compare PATH    another tunl executable as one more candidate
  --against PATH    another build alone, A B A B: has this one become slower? Ratios within
                    each round with their span, processor time beside them
  --out DIR         report.md and report.json (default ${DEFAULTS.out})
`;

/** A command line that says nothing we know. */
export class UsageError extends Error {}

/** @throws UsageError */
export function parseOptions(words: readonly string[]): BenchOptions {
  let options = DEFAULTS;
  for (let index = 0; index < words.length; index++) {
    const [flag = "", inline] = split(words[index] as string);
    const read = FLAGS[flag];
    if (read === undefined)
      throw new UsageError(`Unknown flag "${flag}", expected ${Object.keys(FLAGS).join(", ")}`);
    const value = inline ?? words[++index];
    if (value === undefined || value === "") throw new UsageError(`${flag} has no value`);
    options = { ...options, ...read(value, flag) };
  }
  return options;
}

const FLAGS: Readonly<Record<string, (value: string, flag: string) => Partial<BenchOptions>>> = {
  "--rounds": (value, flag) => ({ rounds: whole(value, flag, 1) }),
  "--seconds": (value, flag) => ({ seconds: whole(value, flag, 1) }),
  "--warm-up": (value, flag) => ({ warmUpSeconds: whole(value, flag, 0) }),
  "--only": (value) => ({ only: pick(value) }),
  "--compare": (value) => ({ compare: value, isDuel: false }),
  "--against": (value) => ({ compare: value, isDuel: true }),
  "--out": (value) => ({ out: value }),
};

function split(word: string): [string, string | undefined] {
  const at = word.indexOf("=");
  return at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

function whole(value: string, flag: string, min: number): number {
  if (!/^\d{1,4}$/.test(value) || Number(value) < min)
    throw new UsageError(`${flag} is ${value}, expected a whole number from ${min} to 9999`);
  return Number(value);
}

function pick(list: string): Scenario[] {
  const ids = list.split(",");
  const unknown = ids.find((id) => !SCENARIOS.some((scenario) => scenario.id === id));
  if (unknown !== undefined)
    throw new UsageError(
      `"${unknown}" is not measured in this build, expected of ${IDS.join(",")}`,
    );
  return SCENARIOS.filter(({ id }) => ids.includes(id));
}
