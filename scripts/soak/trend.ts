// This file is whether a row of samples grows: a line through the medians of its parts, with what that line is worth. reliability.md R-13.

/** One look at something. */
export interface Sample {
  /** Monotonic ms. */
  readonly at: number;
  readonly value: number;
}

export interface Trend {
  /** Per hour. */
  readonly slope: number;
  /** Standard error of the slope. */
  readonly error: number;
  /** Medians of the parts, in order: a line hides a plateau. */
  readonly parts: readonly number[];
}

/** Neighbours are alike, so single samples would make the line look surer than it is; their medians much less. */
const PARTS = 20;
const HOUR_MS = 3_600_000;

/** Least squares. @throws Error for fewer than three samples. */
export function trendOf(samples: readonly Sample[]): Trend {
  const size = Math.max(1, Math.ceil(samples.length / PARTS));
  const points: Sample[] = [];
  for (let from = 0; from + size <= samples.length; from += size) {
    const part = samples.slice(from, from + size);
    points.push({
      at: median(part.map(({ at }) => at)),
      value: median(part.map(({ value }) => value)),
    });
  }
  if (points.length < 3) throw new Error(`${points.length} parts have no trend`);
  const mean = (of: (point: Sample) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const at = mean((point) => point.at);
  const value = mean((point) => point.value);
  let spread = 0;
  let together = 0;
  for (const point of points) {
    spread += (point.at - at) ** 2;
    together += (point.at - at) * (point.value - value);
  }
  const slope = together / spread;
  let rest = 0;
  for (const point of points) rest += (point.value - value - slope * (point.at - at)) ** 2;
  const error = Math.sqrt(rest / (points.length - 2) / spread);
  return {
    slope: slope * HOUR_MS,
    error: error * HOUR_MS,
    parts: points.map((point) => point.value),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[sorted.length >> 1] as number;
}
