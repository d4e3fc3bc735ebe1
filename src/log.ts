// This file is the logger interface of both ends; where the lines go and how they look is decided in `cli/output.ts`.
import type { EventName, FieldName } from "./log-events.ts";

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

export type LogValue = string | number | boolean | undefined;

/** Fields of any log line; camelCase names from the vocabulary, never a secret, a query string or a header value. */
export type LogFields = Readonly<Record<string, LogValue>>;

/** Fields of one event: those of its row in `log-events.ts`. */
export type FieldsOf<Event extends EventName> = {
  readonly [Name in FieldName<Event>]?: LogValue;
};

/** One line as it reaches a sink. `event` is stable (product.md §8), `label` is the 12-column word of the pretty form. */
export interface LogRecord {
  readonly level: LogLevel;
  readonly event: EventName;
  readonly message: string;
  readonly fields: LogFields;
}

/** Takes finished records; must not throw and must not wait. */
export type LogSink = (record: LogRecord) => void;

export const LOG_LEVELS: readonly LogLevel[] = ["error", "warn", "info", "debug", "trace"];

/** A scoped logger: fields given to `child` are part of each of its lines. */
export class Logger {
  readonly #sink: LogSink;
  readonly #threshold: number;
  readonly #fields: LogFields;

  constructor(sink: LogSink, level: LogLevel, fields: LogFields = {}) {
    this.#sink = sink;
    this.#threshold = LOG_LEVELS.indexOf(level);
    this.#fields = fields;
  }

  /** True when a line of this level would be written: callers skip costly fields otherwise. */
  isEnabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= this.#threshold;
  }

  child(fields: LogFields): Logger {
    return new Logger(this.#sink, LOG_LEVELS[this.#threshold] ?? "info", {
      ...this.#fields,
      ...fields,
    });
  }

  write<Event extends EventName>(
    level: LogLevel,
    event: Event,
    message: string,
    fields?: FieldsOf<Event>,
  ): void {
    if (!this.isEnabled(level)) return;
    this.#sink({ level, event, message, fields: { ...this.#fields, ...fields } });
  }

  error<Event extends EventName>(event: Event, message: string, fields?: FieldsOf<Event>): void {
    this.write("error", event, message, fields);
  }
  warn<Event extends EventName>(event: Event, message: string, fields?: FieldsOf<Event>): void {
    this.write("warn", event, message, fields);
  }
  info<Event extends EventName>(event: Event, message: string, fields?: FieldsOf<Event>): void {
    this.write("info", event, message, fields);
  }
  debug<Event extends EventName>(event: Event, message: string, fields?: FieldsOf<Event>): void {
    this.write("debug", event, message, fields);
  }
  trace<Event extends EventName>(event: Event, message: string, fields?: FieldsOf<Event>): void {
    this.write("trace", event, message, fields);
  }
}
