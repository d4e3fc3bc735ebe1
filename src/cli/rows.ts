// This file is answers as lines of cells and as tables; what others sent is read member by member. product.md §8.
import { formatDuration } from "../config/index.ts";
import type { Answer } from "./control.ts";
import { isAnswer } from "./control.ts";
import { printable } from "./redact.ts";

/** `label        cell  cell`; empty cells are left out. */
export function row(label: string, cells: readonly string[]): string {
  return `${label.padEnd(12)} ${cells
    .filter((cell) => cell !== "")
    .map(printable)
    .join("  ")}`.trimEnd();
}

/** Columns as wide as their widest cell, a head line above; no rows, no lines. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const lines = [head, ...rows.map((cells) => cells.map(printable))];
  const widths = head.map((_, column) =>
    Math.max(...lines.map((cells) => cells[column]?.length ?? 0)),
  );
  return lines.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** A member of an answer as text; "" for anything else. */
export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

export function objects(value: unknown): Answer[] {
  return Array.isArray(value) ? value.filter(isAnswer) : [];
}

/** `3 links`; "" where there is no number. */
export function count(value: unknown, word: string): string {
  return typeof value === "number" ? `${value} ${word}${value === 1 ? "" : "s"}` : "";
}

/** `4 min ago`, `in 9 min`; "" for what is no time. */
export function since(value: unknown): string {
  const at = Date.parse(text(value));
  if (Number.isNaN(at)) return "";
  const ms = Date.now() - at;
  if (Math.abs(ms) < 1_000) return "now";
  return ms < 0 ? `in ${formatDuration(-ms)}` : `${formatDuration(ms)} ago`;
}
