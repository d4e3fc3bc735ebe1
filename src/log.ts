// This file is the logger interface of both ends; where the lines go and how they look is decided in `cli/output.ts`.

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

/** Fields of one log line; camelCase names from the vocabulary, never a secret, a query string or a header value. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** One line as it reaches a sink. `event` is stable (product.md §8), `label` is the 12-column word of the pretty form. */
export interface LogRecord {
  readonly level: LogLevel;
  readonly event: string;
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

  write(level: LogLevel, event: string, message: string, fields: LogFields = {}): void {
    if (!this.isEnabled(level)) return;
    this.#sink({ level, event, message, fields: { ...this.#fields, ...fields } });
  }

  error(event: string, message: string, fields?: LogFields): void {
    this.write("error", event, message, fields);
  }
  warn(event: string, message: string, fields?: LogFields): void {
    this.write("warn", event, message, fields);
  }
  info(event: string, message: string, fields?: LogFields): void {
    this.write("info", event, message, fields);
  }
  debug(event: string, message: string, fields?: LogFields): void {
    this.write("debug", event, message, fields);
  }
  trace(event: string, message: string, fields?: LogFields): void {
    this.write("trace", event, message, fields);
  }
}
