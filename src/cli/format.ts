// This file is the three forms of a log line: pretty for people, text for files, JSON for programs. product.md §8.
import { formatDuration, formatSize } from "../config/index.ts";
import { EVENTS } from "../log-events.ts";
import type { EventRow } from "../log-events.ts";
import type { LogFields, LogLevel, LogRecord } from "../log.ts";
import { printable, redactFields, redactText } from "./redact.ts";

const LABEL_WIDTH = 12;
/** Where the text of a pretty line begins: mark, blank, label, blank. */
const TEXT_COLUMN = LABEL_WIDTH + 3;
/** Method and path in a request line. */
const REQUEST_WIDTH = 15;

const MARKS: Readonly<Record<LogLevel, string>> = {
  error: "✖",
  warn: "⚠",
  info: "✔",
  debug: "·",
  trace: "·",
};
const COLORS: Readonly<Record<LogLevel, number>> = {
  error: 31,
  warn: 33,
  info: 32,
  debug: 2,
  trace: 2,
};

/** How lines for people look, of `LogOptions`. */
export interface PrettyStyle {
  readonly isColored: boolean;
  /** True: request lines say which name, and which service where that is known. */
  readonly showsHosts: boolean;
}

/** A line for people: mark, label padded to 12, text; error and hint below; other fields at debug and trace only. */
export function formatPretty(
  record: LogRecord,
  { isColored, showsHosts }: PrettyStyle,
  now: Date,
): string {
  const fields = redactFields(record.event, record.fields);
  const message = printable(redactText(record.message));
  if (record.event === "start") return message;
  if (record.event === "request") return requestLine(fields, { isColored, showsHosts }, now);
  const row: EventRow = EVENTS[record.event];
  const label = row.label ?? record.event.replaceAll(".", " ");
  const isDetail = record.level === "debug" || record.level === "trace";
  const tail = isDetail ? pairs(fields) : "";
  const line =
    `${paint(row.mark ?? MARKS[record.level], COLORS[record.level], isColored)} ${printable(label).padEnd(LABEL_WIDTH)} ${message}${tail}`.trimEnd();
  // What went wrong is no detail where something did; at the levels of details it stands among the fields.
  const below = [isDetail ? undefined : fields["error"], fields["hint"]].filter(
    (text) => typeof text === "string",
  );
  return [line, ...below.map((text) => `${" ".repeat(TEXT_COLUMN)}${printable(text)}`)].join("\n");
}

/** `TIME LEVEL event message key=value`, UTC. */
export function formatText({ level, event, message, fields }: LogRecord, now: Date): string {
  const text = printable(redactText(message));
  return `${now.toISOString()} ${level.toUpperCase().padEnd(5)} ${event}${text === "" ? "" : ` ${text}`}${pairs(redactFields(event, fields))}`;
}

/** One JSON object: time, level, event, msg, then the fields, whose names never replace those four. */
export function formatJson({ level, event, message, fields }: LogRecord, now: Date): string {
  const head = {
    time: now.toISOString(),
    level,
    event,
    ...(message !== "" && { msg: redactText(message) }),
  };
  return JSON.stringify({ ...redactFields(event, fields), ...head }, [
    ...Object.keys(head),
    ...Object.keys(fields),
  ]);
}

function requestLine(fields: LogFields, style: PrettyStyle, now: Date): string {
  const { isColored, showsHosts } = style;
  const clock = now.toTimeString().slice(0, 8);
  const status = Number(fields["status"] ?? 0);
  const color = status >= 500 ? 31 : status >= 400 ? 33 : 32;
  const host = showsHosts ? (fields["host"] ?? "") : "";
  const what = printable(`${fields["method"] ?? ""} ${host}${fields["path"] ?? ""}`).padEnd(
    REQUEST_WIDTH,
  );
  const ms = fields["ms"];
  const bytes = fields["bytesOut"];
  const duration = typeof ms === "number" ? formatDuration(ms) : "";
  const size = typeof bytes === "number" ? formatSize(bytes) : "";
  // Where there are many names there may be many services.
  const service = showsHosts ? printable(String(fields["service"] ?? "")) : "";
  const cells = [...(status === 101 ? ["websocket"] : [duration, size]), service];
  const tail = cells.filter((text) => text !== "").join("  ");
  return `${paint(clock, 2, isColored)}  ${paint(status === 0 ? "---" : String(status), color, isColored)}  ${what}  ${tail}`;
}

function pairs(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? quoted(value) : value}`)
    .join("");
}

/** Bare where nothing could be misread. */
function quoted(text: string): string {
  return /^[^\s"'=\\\u0000-\u001f\u007f-\u009f]+$/.test(text)
    ? printable(text)
    : printable(JSON.stringify(text));
}

function paint(text: string, code: number, isColored: boolean): string {
  return isColored ? `\u001b[${code}m${text}\u001b[0m` : text;
}
