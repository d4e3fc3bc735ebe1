// This file is the memory of what sockets deliver: freed when its last byte left tunl, else when the collector looks.
import { fullGC } from "bun:jsc";

/** Chunks below this size come with small messages; they are no burden, and left to the collector. */
const TRACKED_CHUNK = 16 * 1024;
/** Chunks of bulk transfers are up to 512 KiB; those of this size make the collector look, if nobody frees them. */
const LARGE_CHUNK = 128 * 1024;
/**
 * Bytes of large chunks that were neither freed nor looked for, on all sockets, before a collection runs.
 *
 * The collector sizes its heap by the memory of the machine: by itself it lets 60 to 110 MiB of dead chunks pile up.
 * A collection of everything costs a pause of 4 to 8 ms; one of the young alone frees too little, because chunks in
 * flight have grown old.
 */
const COLLECT_BYTES = 24 * 1024 * 1024;
/** What counts of a chunk that was freed, whose views and records are still there: without it memory creeps up for minutes. */
const TRACES = 1 / 8;

/** One chunk, as long as somebody may have bytes of it. */
interface Tracked {
  /** Bytes of which nobody said `spent`. */
  left: number;
  /** In which round of collecting it counts; 0: it is too small to count. */
  readonly round: number;
}

const tracked = new WeakMap<ArrayBuffer, Tracked>();
/** Entries of it, so that nobody asks in vain: asking a small array for its buffer costs 0.2 µs. */
let present = 0;
/** A chunk went that was not spent: its bytes were dropped, or somebody kept a few of them for long. */
const forgotten = new FinalizationRegistry<undefined>(() => {
  present -= 1;
});
let round = 1;
let uncollected = 0;
let due: ArrayBuffer[] = [];

/**
 * A socket delivered this chunk, which is nobody else's.
 *
 * From here on each of its bytes has one owner: who passes a view on passes the bytes. The last owner says `spent`; who
 * says nothing leaves the chunk to the collector.
 */
export function received(chunk: Uint8Array): void {
  if (chunk.length < TRACKED_CHUNK) return;
  const { buffer } = chunk;
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== chunk.length) return;
  const isLarge = chunk.length >= LARGE_CHUNK;
  if (isLarge) makeRoom(chunk.length);
  const entry = { left: chunk.length, round: isLarge ? round : 0 };
  tracked.set(buffer, entry);
  forgotten.register(buffer, undefined, entry);
  present += 1;
}

/**
 * Nobody looks at these bytes from the end of this turn of the loop on: they were copied, or the kernel took them. If
 * they are the last of a chunk its memory is freed then, and every view of it becomes empty. To be said once of a byte.
 *
 * @param bytes A view of any buffer; those that no socket delivered are not concerned.
 * @param count How many of them, where it is not all.
 */
export function spent(bytes: Uint8Array, count = bytes.length): void {
  if (present === 0) return;
  const buffer = bytes.buffer as ArrayBuffer;
  const entry = tracked.get(buffer);
  if (entry === undefined) return;
  entry.left -= count;
  if (entry.left > 0) return;
  if (entry.round === round) uncollected -= buffer.byteLength * (1 - TRACES);
  tracked.delete(buffer);
  forgotten.unregister(entry);
  present -= 1;
  // Whoever is at work in this turn may still ask a view for its length.
  if (due.length === 0) setImmediate(free);
  due.push(buffer);
}

function free(): void {
  const buffers = due;
  due = [];
  // What native code is at work in stays whole (the engine has it pinned), and is left to the collector.
  for (const buffer of buffers) buffer.transfer(0);
}

function makeRoom(bytes: number): void {
  uncollected += bytes;
  if (uncollected < COLLECT_BYTES) return;
  uncollected = bytes;
  round += 1;
  fullGC();
}
