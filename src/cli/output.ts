// This file is where the words of a command go: the answer to stdout, everything else to stderr or the log file. product.md §8.
import { fstatSync } from "node:fs";
import type { LogOptions } from "../config/index.ts";
import { reasonOf } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import { Logger } from "../log.ts";
import type { LogRecord, LogSink } from "../log.ts";
import { formatJson, formatPretty, formatText } from "./format.ts";
import { createPretty } from "./pretty.ts";
import { DescriptorSink, FileSink, RingWriter } from "./writer.ts";
import type { Sink } from "./writer.ts";

const STDOUT = 1;
const STDERR = 2;
/** How long the end of the process waits for slow readers. */
const FLUSH_MS = 1_000;

/** Where lines go; other sinks are for tests. */
export interface OutputSinks {
  readonly answer: Sink;
  readonly log: Sink;
}

/** The two channels of one running command. */
export class Output {
  readonly log: Logger;
  readonly format: LogOptions["format"];
  readonly #answers: RingWriter;
  readonly #lines: RingWriter;
  readonly #sink: LogSink;
  readonly #file: FileSink | undefined;

  /** @throws TunlError `LOG_FILE` if the log file cannot be opened. */
  constructor(options: LogOptions, sinks?: OutputSinks) {
    this.#file =
      options.file === undefined || sinks !== undefined ? undefined : openLogFile(options.file);
    this.format = options.format;
    const describeLoss = (dropped: number): string =>
      formatRecord(options, {
        level: "warn",
        event: "log.dropped",
        message: `${dropped} lines lost, the reader was too slow`,
        fields: { dropped },
      });
    this.#lines = new RingWriter(
      sinks?.log ?? this.#file ?? new DescriptorSink(STDERR),
      describeLoss,
    );
    // One screen, one queue: two descriptors are two threads, and the answer would overtake the lines before it.
    const isOne = sinks === undefined && this.#file === undefined && isSameFile(STDOUT, STDERR);
    this.#answers = isOne
      ? this.#lines
      : new RingWriter(
          sinks?.answer ?? new DescriptorSink(STDOUT),
          (count) => `(${count} lines lost)`,
        );
    this.#sink = createSink(options, (line) => this.#lines.line(line));
    this.log = new Logger(this.#sink, options.level);
  }

  /** A finished record, whatever the level of the log is. */
  write(record: LogRecord): void {
    this.#sink(record);
  }

  /** A line of the answer. */
  answer(line: string): void {
    this.#answers.line(line);
  }

  /** Opens the log file again; a failure is logged to the old one. */
  reopen(): void {
    if (this.#file === undefined) return;
    try {
      this.#file.reopen();
    } catch (error) {
      this.log.error(
        "log.reopen",
        `Opening the log file again failed: ${reasonOf(error)}, the old one stays in use`,
      );
    }
  }

  /** Waits for slow readers, at most a second. */
  async flush(): Promise<void> {
    await Promise.all([this.#answers.flush(FLUSH_MS), this.#lines.flush(FLUSH_MS)]);
  }
}

/** True where both descriptors lead to the same terminal, pipe or file. */
function isSameFile(left: number, right: number): boolean {
  try {
    const [one, other] = [fstatSync(left), fstatSync(right)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch (error) {
    // A descriptor that a service manager closed is no file at all.
    if (error instanceof Error && "code" in error && error.code === "EBADF") return false;
    throw error;
  }
}

function createSink(options: LogOptions, line: (text: string) => void): LogSink {
  if (options.format !== "pretty") return (record) => line(formatRecord(options, record));
  const pretty = createPretty(line);
  return (record) => pretty(record.level, formatRecord(options, record));
}

function formatRecord(options: LogOptions, record: LogRecord): string {
  const { format } = options;
  const now = new Date();
  if (format === "json") return formatJson(record, now);
  return format === "text" ? formatText(record, now) : formatPretty(record, options, now);
}

function openLogFile(path: string): FileSink {
  try {
    return new FileSink(path);
  } catch (error) {
    throw new TunlError("LOG_FILE", `Opening the log file "${path}" failed: ${reasonOf(error)}`, {
      cause: error,
      hint: "Choose another --log-file",
    });
  }
}
