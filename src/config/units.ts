// This file is the units of the user's words: durations, sizes and rates, parsed once, here. product.md §3.

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const DURATION_ORDER = ["d", "h", "m", "s", "ms"];

/** Units of sizes in bytes: binary with an i, decimal without, as IEC 80000-13 has them. */
const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1_000,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
};

/**
 * Parses `300ms`, `10s`, `1.5h`, `1h30m`, `30d`; `0` needs no unit.
 *
 * @returns Milliseconds, or undefined: a bare number is refused because cloudflared and we would read it differently.
 */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(?:\d{1,9}(?:\.\d{1,6})?(?:ms|[smhd]))+$/.test(text)) return undefined;
  let total = 0;
  let last = -1;
  for (const [, digits, unit] of text.matchAll(/([\d.]+)(ms|[smhd])/g)) {
    const rank = DURATION_ORDER.indexOf(unit as string);
    // Each unit once and falling: `30m1h` or `1m1m` is more likely a slip than a wish.
    if (rank <= last) return undefined;
    last = rank;
    total += Number(digits) * (DURATION_UNITS[unit as string] as number);
  }
  total = Math.round(total);
  return Number.isSafeInteger(total) ? total : undefined;
}

/** Parses `64KiB`, `10MB`, `512`. @returns Bytes, or undefined for anything else, fractions of a byte included. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,6})?) ?([A-Za-z]{0,3})$/.exec(text);
  if (match === null) return undefined;
  const unit = Object.hasOwn(SIZE_UNITS, match[2] as string)
    ? SIZE_UNITS[match[2] as string]
    : undefined;
  if (unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Parses `20/s`, `90/m`, `1000/h`. @returns Events per second, or undefined. */
export function parseRate(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)\/([smh])$/.exec(text);
  if (match === null) return undefined;
  return (Number(match[1]) * 1_000) / (DURATION_UNITS[match[2] as string] as number);
}

/** Formats milliseconds for people: `850 ms`, `4.1 s`, `12 min`, `3 h`, `89 days`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${ms < 10 && ms > 0 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
  if (ms < 10_000) return `${Number((ms / 1_000).toFixed(1))} s`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} days`;
}

/** Formats bytes for people: `512 B`, `1.2 KiB`, `37 MiB`. */
export function formatSize(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  let value = bytes / 1_024;
  let unit = "KiB";
  for (const next of ["MiB", "GiB", "TiB"]) {
    if (value < 1_024) break;
    value /= 1_024;
    unit = next;
  }
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
}
