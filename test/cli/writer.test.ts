import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileSink, RING_BYTES, RingWriter } from "../../src/cli/writer.ts";
import type { Sink } from "../../src/cli/writer.ts";

/** A reader that takes one piece whenever it is told to. */
class SlowSink implements Sink {
  readonly taken: string[] = [];
  #done: ((error: NodeJS.ErrnoException | undefined) => void) | undefined;

  get isWaiting(): boolean {
    return this.#done !== undefined;
  }

  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | undefined) => void): void {
    if (this.#done !== undefined) throw new Error("A second write while one is outstanding");
    this.taken.push(Buffer.from(bytes).toString());
    this.#done = done;
  }

  release(code?: string): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(code === undefined ? undefined : Object.assign(new Error(code), { code }));
  }
}

function loss(lines: number): string {
  return `lost ${lines}`;
}

describe("ring writer", () => {
  test("keeps one write outstanding and the order of lines", () => {
    const sink = new SlowSink();
    const writer = new RingWriter(sink, loss);
    for (const line of ["a", "b", "c"]) writer.line(line);
    expect(sink.taken).toEqual(["a\n"]);
    sink.release();
    expect(sink.taken).toEqual(["a\n", "b\nc\n"]);
    sink.release();
    expect(sink.isWaiting).toBe(false);
  });

  test("a reader that stopped costs at most 1 MiB; the oldest lines go and are counted", () => {
    const sink = new SlowSink();
    const writer = new RingWriter(sink, loss);
    const line = (index: number): string => `${String(index).padStart(9, "0")}${"x".repeat(1_014)}`;
    writer.line("first");
    for (let index = 0; index < 2_048; index++) writer.line(line(index));
    expect(writer.dropped).toBe(1_024);
    let turns = 0;
    for (; sink.isWaiting && turns < 100; turns++) sink.release();
    expect(turns).toBeLessThan(100);
    const text = sink.taken.join("");
    expect(text).toStartWith(`first\nlost 1024\n${line(1_024)}\n`);
    expect(text).toEndWith(`${line(2_047)}\n`);
    expect(text.length).toBeLessThan(RING_BYTES + 100);
  });

  test("a line longer than the ring is dropped and counted", () => {
    const sink = new SlowSink();
    const writer = new RingWriter(sink, loss);
    writer.line("x".repeat(RING_BYTES));
    writer.line("y");
    expect(sink.taken).toEqual(["lost 1\ny\n"]);
  });

  test("after EPIPE it is quiet, after a full disk it tries again with the next line", () => {
    const gone = new SlowSink();
    const writer = new RingWriter(gone, loss);
    writer.line("a");
    gone.release("EPIPE");
    writer.line("b");
    expect(gone.taken).toEqual(["a\n"]);
    const full = new SlowSink();
    const patient = new RingWriter(full, loss);
    patient.line("a");
    full.release("ENOSPC");
    expect(full.isWaiting).toBe(false);
    patient.line("b");
    expect(full.taken).toEqual(["a\n", "lost 1\nb\n"]);
  });

  test("flush gives what a full disk left a last chance, and does not wait for a second failure", async () => {
    const sink = new SlowSink();
    const writer = new RingWriter(sink, loss);
    for (const line of ["a", "b", "c", "d"]) writer.line(line);
    sink.release();
    expect(sink.taken.at(-1)).toBe("b\nc\nd\n");
    writer.line("e");
    sink.release("ENOSPC");
    expect(sink.isWaiting).toBe(false);
    const flushed = writer.flush(60_000);
    expect(sink.taken.at(-1)).toBe("lost 3\ne\n");
    sink.release("ENOSPC");
    await flushed;
    // The line about the loss was lost too, and what it stood for is not forgotten.
    writer.line("f");
    expect(sink.taken.at(-1)).toBe("lost 4\nf\n");
  });

  test("flush ends with the last line, and at its deadline where nobody reads", async () => {
    const sink = new SlowSink();
    const writer = new RingWriter(sink, loss);
    await writer.flush(60_000);
    writer.line("a");
    const flushed = writer.flush(60_000);
    sink.release();
    await flushed;
    writer.line("b");
    await writer.flush(1);
    expect(sink.isWaiting).toBe(true);
  });
});

describe("log file", () => {
  let root: string;
  beforeAll(() => void (root = mkdtempSync(join(tmpdir(), "tunl-log-"))));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test("is private, appended to, and opened anew after a rotation", async () => {
    const path = join(root, "a.log");
    const sink = new FileSink(path);
    const writer = new RingWriter(sink, loss);
    writer.line("one");
    await writer.flush(5_000);
    renameSync(path, `${path}.1`);
    writer.line("two");
    await writer.flush(5_000);
    sink.reopen();
    writer.line("three");
    await writer.flush(5_000);
    expect([readFileSync(`${path}.1`, "utf8"), readFileSync(path, "utf8")]).toEqual([
      "one\ntwo\n",
      "three\n",
    ]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("a reopening under a write loses nothing and mixes nothing", async () => {
    const path = join(root, "b.log");
    const sink = new FileSink(path);
    const writer = new RingWriter(sink, loss);
    let written = 0;
    for (; written < 200; written++) {
      writer.line(`line ${written}`);
      if (written % 20 === 10) {
        renameSync(path, `${path}.${written}`);
        sink.reopen();
      }
    }
    await writer.flush(5_000);
    const paths = [...Array.from({ length: 10 }, (_, index) => `${path}.${index * 20 + 10}`), path];
    const lines = paths.map((name) => readFileSync(name, "utf8")).join("");
    expect(lines).toBe(Array.from({ length: 200 }, (_, index) => `line ${index}\n`).join(""));
  });
});
