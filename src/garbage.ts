// This file is when the collector is told to look: received buffers die young, and by itself it waits far too long.
import { fullGC } from "bun:jsc";

/**
 * Bytes received in large chunks, on all sockets, after which a collection runs.
 *
 * Every chunk a socket delivers owns its memory, and the collector sizes its heap by the memory of the machine: during a
 * download it lets 60 to 110 MiB of dead chunks pile up. With this bound the resident set stays within 32 MiB of where
 * it was after 64 MiB. It costs a quarter of the CPU of a bulk transfer, a pause of 4 to 8 ms each; collecting the young
 * alone costs next to nothing and frees too little, because chunks in flight have grown old.
 */
const COLLECT_BYTES = 24 * 1024 * 1024;
/** Chunks of bulk transfers are up to 512 KiB; those of many small messages stay below this, and are left to the collector. */
const LARGE_CHUNK = 128 * 1024;

let received = 0;

/** A socket delivered a chunk of this many bytes, which will be garbage soon. */
export function noteReceived(bytes: number): void {
  if (bytes < LARGE_CHUNK) return;
  received += bytes;
  if (received < COLLECT_BYTES) return;
  received = 0;
  fullGC();
}
