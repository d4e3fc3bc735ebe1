// This file is the pause of a socket that holds at once: what it would read ahead is nobody's, and in no account (PROTOCOL §5.3).
import type { Socket } from "node:net";

/** What the runtime's sockets have besides their public face; a test under `test/platform/` pins it. */
interface Inside {
  readonly _handle?: { pause?(): void } | null;
  readonly _readableState?: { highWaterMark: number; readonly resumeScheduled: boolean };
}

/**
 * Reads no more until `socket.resume()`. To be called in a `data` event or outside of one.
 *
 * `socket.pause()` alone goes on to read until its stream is full, by chunks of up to 512 KiB: beside 1,000 peers who
 * are made to wait that is half a gigabyte which no budget sees. Only a RST is noticed meanwhile, a FIN is not.
 */
export function pauseReading(socket: Socket): void {
  const { _readableState: state } = socket as unknown as Inside;
  // The stream asks for more while it has less than this.
  if (state !== undefined) state.highWaterMark = 0;
  socket.pause();
  stop(socket);
  // A `resume()` of this turn does the rest of its work after it, and reads a chunk whatever happened meanwhile.
  if (state?.resumeScheduled === true) process.nextTick(stopAgain, socket);
}

function stopAgain(socket: Socket): void {
  if (socket.isPaused()) stop(socket);
}

function stop(socket: Socket): void {
  (socket as unknown as Inside)._handle?.pause?.();
}
