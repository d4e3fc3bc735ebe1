// This file is what waits to be written to a socket: as it came, or copied into buffers of our own where it waits for longer (S-42).
import { copyBytes } from "../bytes.ts";
import { spent } from "../received.ts";
import { giveStaging, takeStaging } from "../staging.ts";

/** Chunks below this size are copied together where many wait, so that a peer's tiny chunks cost bytes, not objects. */
const SMALL_CHUNK = 1_024;
/** Chunks that may wait uncopied before small ones are copied together. */
const LOOSE_CHUNKS = 32;
/** Size of what they are copied to. */
const TAIL_BYTES = 16_384;
/** Copied at a time: what it was copied from is freed a turn later. */
const SETTLED_BYTES = 1_048_576;
/** Spent places at the front of the queue before it is moved down. */
const SPENT_CHUNKS = 256;

/** A buffer of ours; the bytes from `start` to `end` wait. */
interface Block {
  readonly buffer: Buffer;
  start: number;
  end: number;
}

/**
 * Bytes in order, in two forms. Loose chunks are parts of the buffers in which they were received, up to 512 KiB each:
 * cheap for what leaves in this turn of the loop, but a few of them keep all of it. Blocks are copies, and come before
 * the loose. Copying costs nothing extra: what is loose is put together in a buffer when it is written.
 */
export class WriteQueue {
  #length = 0;
  /** Of them, those in blocks. */
  #settled = 0;
  #blocks: Block[] = [];
  #loose: (Uint8Array | undefined)[] = [];
  #first = 0;
  /** Lent to the socket, and whether it is ours again when the socket has no more use for it. */
  #lent: Buffer | undefined;
  #isSpent = false;
  /** What the socket was given as it came. */
  #direct: Uint8Array | undefined;

  get length(): number {
    return this.#length;
  }

  /** Appends bytes, which must not change from now on. */
  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    this.#loose.push(bytes);
    if (bytes.length < SMALL_CHUNK && this.#loose.length - this.#first > LOOSE_CHUNKS)
      this.settle(TAIL_BYTES, TAIL_BYTES);
  }

  /**
   * Copies what is loose, or the first `SETTLED_BYTES` of it: it will wait.
   * @param most Size of a block, at most and at least.
   * @returns True when nothing is loose any more.
   */
  settle(most: number, least = 0): boolean {
    let index = this.#first;
    for (let left = SETTLED_BYTES; index < this.#loose.length && left > 0; index++) {
      const chunk = this.#loose[index] as Uint8Array;
      left -= chunk.length;
      let from = 0;
      while (from < chunk.length) {
        const block = this.#roomy(most, least);
        const to = Math.min(chunk.length, from + block.buffer.length - block.end);
        copyBytes(chunk, from, to, block.buffer, block.end);
        block.end += to - from;
        this.#settled += to - from;
        from = to;
      }
      spent(chunk);
    }
    this.#drop(index);
    return this.#loose.length === 0;
  }

  /** Takes the next write of at most `most` bytes off the queue, which is not empty. `written` must follow. */
  next(most: number): Uint8Array {
    const loose = this.#loose[this.#first];
    // What is small leaves with what was copied of its kind.
    if (this.#blocks.length > 0 && loose !== undefined && loose.length < SMALL_CHUNK)
      this.settle(most);
    const bytes = this.#blocks.length > 0 ? this.#part(most) : this.#gathered(most);
    this.#length -= bytes.length;
    return bytes;
  }

  /** The socket has no more use for what `next` gave. */
  written(): void {
    if (this.#lent !== undefined && this.#isSpent) giveStaging(this.#lent);
    this.#lent = undefined;
    if (this.#direct !== undefined) spent(this.#direct);
    this.#direct = undefined;
  }

  /** Drops what waits. */
  clear(): void {
    for (const { buffer } of this.#blocks) {
      if (buffer === this.#lent) this.#isSpent = true;
      else giveStaging(buffer);
    }
    this.#blocks = [];
    this.#settled = 0;
    this.#loose = [];
    this.#first = 0;
    this.#length = 0;
  }

  /** The last block, where it has room, or else a new one: as large as what is in blocks or has to be. */
  #roomy(most: number, least: number): Block {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.end < last.buffer.length) return last;
    const bytes = Math.max(this.#settled, this.#length - this.#settled, least);
    const block = { buffer: takeStaging(Math.min(most, bytes)), start: 0, end: 0 };
    this.#blocks.push(block);
    return block;
  }

  #part(most: number): Uint8Array {
    const block = this.#blocks[0] as Block;
    const { buffer, start } = block;
    const end = Math.min(block.end, start + most);
    block.start = end;
    this.#settled -= end - start;
    this.#lent = buffer;
    this.#isSpent = end === block.end;
    if (this.#isSpent) this.#blocks.shift();
    return buffer.subarray(start, end);
  }

  #gathered(most: number): Uint8Array {
    const first = this.#loose[this.#first] as Uint8Array;
    const isPart = first.length > most;
    let total = Math.min(first.length, most);
    let end = this.#first + 1;
    for (; end < this.#loose.length && !isPart; end++) {
      const { length } = this.#loose[end] as Uint8Array;
      if (total + length > most) break;
      total += length;
    }
    const isAlone = end === this.#first + 1 && !isSmallPart(first, total);
    let bytes = first;
    if (!isAlone) bytes = this.#gather(end, total);
    else {
      if (isPart) bytes = first.subarray(0, total);
      this.#direct = bytes;
    }
    if (isPart) this.#loose[this.#first] = first.subarray(total);
    else this.#drop(end);
    return bytes;
  }

  /** The first `total` bytes of the loose chunks up to `end`, in one buffer. */
  #gather(end: number, total: number): Uint8Array {
    const buffer = takeStaging(total);
    this.#lent = buffer;
    this.#isSpent = true;
    let at = 0;
    for (let index = this.#first; index < end; index++) {
      const chunk = this.#loose[index] as Uint8Array;
      const bytes = Math.min(chunk.length, total - at);
      copyBytes(chunk, 0, bytes, buffer, at);
      spent(chunk, bytes);
      at += bytes;
    }
    return buffer.subarray(0, total);
  }

  /** The loose chunks up to `end` are on their way, or copied. */
  #drop(end: number): void {
    this.#loose.fill(undefined, this.#first, end);
    this.#first = end;
    if (this.#first === this.#loose.length) {
      this.#loose.length = 0;
      this.#first = 0;
    } else if (this.#first >= SPENT_CHUNKS) {
      this.#loose.splice(0, this.#first);
      this.#first = 0;
    }
  }
}

/** A peer that does not read would keep all of the buffer for `taken` bytes. Asking for it is not worth it for a few. */
function isSmallPart(bytes: Uint8Array, taken: number): boolean {
  return taken > SMALL_CHUNK && taken * 2 < bytes.buffer.byteLength;
}
