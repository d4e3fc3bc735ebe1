// This file is the ring of 1 MiB in front of stderr, stdout or a log file: it never waits, and counts what it drops. reliability.md §6.
import { closeSync, openSync, write } from "node:fs";
import { reached } from "../limits.ts";

/** Bytes of lines that may wait for a slow reader. */
export const RING_BYTES = 1_048_576;
/** Lines are handed to the system in pieces of about this size. */
const BATCH_BYTES = 65_536;
/** How soon a descriptor that answered "not now" is asked again. */
const RETRY_MS = 20;
const FILE_MODE = 0o600;

/** Where bytes go. One write at a time. */
export interface Sink {
  /** Writes all of `bytes`, then calls back once; an error means that they are lost. */
  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | undefined) => void): void;
}

/** An open descriptor. The write runs on a thread of the runtime, so a reader that stopped stops nobody else. */
export class DescriptorSink implements Sink {
  #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | undefined) => void): void {
    write(this.#descriptor, bytes, (error, written) => {
      // A terminal that another program made non-blocking says EAGAIN: no loss, only a pause.
      if (error?.code === "EAGAIN") setTimeout(() => this.write(bytes, done), RETRY_MS);
      else if (error !== null || written >= bytes.length) done(error ?? undefined);
      else this.write(bytes.subarray(written), done);
    });
  }
}

/** A file that is appended to, and opened anew on demand. */
export class FileSink implements Sink {
  readonly #path: string;
  #descriptor: number;
  #inner: DescriptorSink;
  #isBusy = false;
  #next: number | undefined;

  /** @throws the system's error if the file cannot be opened. */
  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openSync(path, "a", FILE_MODE);
    this.#inner = new DescriptorSink(this.#descriptor);
  }

  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | undefined) => void): void {
    this.#isBusy = true;
    this.#inner.write(bytes, (error) => {
      this.#isBusy = false;
      this.#adopt();
      done(error);
    });
  }

  /** Opens the path again, for log rotation. @throws the system's error; the old file stays in use then. */
  reopen(): void {
    const descriptor = openSync(this.#path, "a", FILE_MODE);
    if (this.#next !== undefined) closeSync(this.#next);
    this.#next = descriptor;
    // A write under way ends in the old file: its number must not be given away meanwhile.
    if (!this.#isBusy) this.#adopt();
  }

  #adopt(): void {
    if (this.#next === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = this.#next;
    this.#next = undefined;
    this.#inner = new DescriptorSink(this.#descriptor);
  }
}

/** Takes lines at any speed. */
export class RingWriter {
  readonly #sink: Sink;
  readonly #describeLoss: (lines: number) => string;
  #waiting: Buffer[] = [];
  #head = 0;
  #bytes = 0;
  #dropped = 0;
  #isWriting = false;
  #isBroken = false;
  #idle: (() => void)[] = [];

  /** @param describeLoss Makes the line that stands where lines were dropped. */
  constructor(sink: Sink, describeLoss: (lines: number) => string) {
    this.#sink = sink;
    this.#describeLoss = describeLoss;
  }

  /** Lines dropped and not yet told. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Appends one line, without its line end. Never throws, never waits. */
  line(text: string): void {
    if (this.#isBroken) return;
    const bytes = Buffer.from(`${text}\n`);
    while (this.#bytes + bytes.length > RING_BYTES && this.#head < this.#waiting.length) {
      this.#bytes -= (this.#waiting[this.#head] as Buffer).length;
      this.#head += 1;
      this.#dropped += 1;
      reached("logRing");
    }
    if (bytes.length > RING_BYTES) {
      this.#dropped += 1;
      reached("logRing");
      return;
    }
    if (this.#head > 1_024) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (!this.#isWriting) this.#next();
  }

  /** Resolves when everything was written, or after `deadlineMs`: a stopped reader must not keep the process. */
  flush(deadlineMs: number): Promise<void> {
    // What waits since a failure gets its last chance.
    if (!this.#isWriting) this.#next();
    if (!this.#isWriting) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #next(): void {
    const batch: Buffer[] = [];
    let size = 0;
    // A line about a loss that is lost itself stands for all of its lines.
    let lines = this.#dropped;
    if (this.#dropped > 0) {
      batch.push(Buffer.from(`${this.#describeLoss(this.#dropped)}\n`));
      this.#dropped = 0;
    }
    while (this.#head < this.#waiting.length && size < BATCH_BYTES) {
      const bytes = this.#waiting[this.#head] as Buffer;
      batch.push(bytes);
      size += bytes.length;
      this.#head += 1;
      lines += 1;
    }
    this.#bytes -= size;
    if (batch.length === 0) {
      this.#waiting = [];
      this.#head = 0;
      this.#tellIdle();
      return;
    }
    this.#isWriting = true;
    this.#sink.write(Buffer.concat(batch), (error) => {
      this.#isWriting = false;
      // Nobody is there to read any more: the program goes on without a log.
      if (error?.code === "EPIPE" || error?.code === "EBADF") {
        this.#isBroken = true;
        this.#waiting = [];
        this.#head = 0;
      } else if (error !== undefined) this.#dropped += lines;
      // After a failure the next line tries again: at once it would spin on a full disk.
      if (error === undefined || this.#isBroken) this.#next();
      else this.#tellIdle();
    });
  }

  #tellIdle(): void {
    for (const done of this.#idle.splice(0)) done();
  }
}
