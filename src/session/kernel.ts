// This file is what links and visitors' connections ask of their sockets in the kernel: congestion control, a short queue of unsent bytes. Linux, best effort: nothing depends on it. PROTOCOL §6.4; S-42.
import { dlopen, FFIType, ptr } from "bun:ffi";
import type { TLSSocket } from "node:tls";

/** What a socket has now; undefined where it cannot be known. */
export interface KernelTuning {
  /** Name of the congestion control, such as `bbr`. */
  readonly congestion: string | undefined;
  /** Unsent bytes above which the kernel takes no more; undefined without a bound of ours. */
  readonly unsentBytes: number | undefined;
}

/** linux/tcp.h */
const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;
const TCP_NOTSENT_LOWAT = 25;
/** Longest name of a congestion control, TCP_CA_NAME_MAX. */
const NAME_BYTES = 16;
/** Loses no speed to a packet lost at random: far links with 0.5 % loss are twenty times faster with it than with cubic. */
const WISHED = "bbr";
/** One batch: what waits in the session can still be overtaken, what waits in the kernel cannot. */
export const UNSENT_BYTES = 128 * 1024;
/** From here on a number is no bound; the kernel's default is all ones. */
const NO_BOUND_BYTES = 2 ** 31;
/** glibc and musl. */
const LIBRARIES = ["libc.so.6", "libc.so"];

const SYMBOLS = {
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
  getsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i32,
  },
} as const;

type Symbols = ReturnType<typeof dlopen<typeof SYMBOLS>>["symbols"];

/** undefined: not looked for yet. null: this system has none. */
let libc: Symbols | null | undefined;

/** Asks for bbr, where this kernel has it and lets us. */
export function wishForBbr(socket: TLSSocket): void {
  set(socket, TCP_CONGESTION, Buffer.from(WISHED));
}

/** Bounds what the kernel takes before it can send it. */
export function boundUnsent(socket: TLSSocket, bytes: number = UNSENT_BYTES): void {
  set(socket, TCP_NOTSENT_LOWAT, new Uint8Array(new Uint32Array([bytes]).buffer));
}

/** Reads what the socket has. */
export function tuningOf(socket: TLSSocket): KernelTuning {
  const name = get(socket, TCP_CONGESTION, NAME_BYTES);
  const unsent = get(socket, TCP_NOTSENT_LOWAT, 4);
  return {
    congestion: name === undefined ? undefined : Buffer.from(name).toString().replace(/\0.*/s, ""),
    unsentBytes:
      unsent === undefined ? undefined : boundIn(new DataView(unsent.buffer).getUint32(0, true)),
  };
}

/** The kernel says 0 or its own default where none was set. */
function boundIn(bytes: number): number | undefined {
  return bytes > 0 && bytes < NO_BOUND_BYTES ? bytes : undefined;
}

function set(socket: TLSSocket, option: number, value: Uint8Array): void {
  const descriptor = descriptorOf(socket);
  const symbols = library();
  if (descriptor === undefined || symbols === undefined) return;
  // A kernel that refuses (EPERM, ENOENT) leaves the link as it was; `tuningOf` shows the outcome.
  symbols.setsockopt(descriptor, IPPROTO_TCP, option, ptr(value), value.length);
}

function get(socket: TLSSocket, option: number, bytes: number): Uint8Array | undefined {
  const descriptor = descriptorOf(socket);
  const symbols = library();
  if (descriptor === undefined || symbols === undefined) return undefined;
  const value = new Uint8Array(bytes);
  const length = new Uint32Array([bytes]);
  const code = symbols.getsockopt(descriptor, IPPROTO_TCP, option, ptr(value), ptr(length));
  return code === 0 ? value : undefined;
}

/** The runtime has no public name for it; a test under `test/platform/` pins this one. */
function descriptorOf(socket: TLSSocket): number | undefined {
  const { _handle: handle } = socket as { _handle?: { fd?: unknown } | null };
  const descriptor = handle?.fd;
  return typeof descriptor === "number" && descriptor >= 0 ? descriptor : undefined;
}

function library(): Symbols | undefined {
  if (libc === undefined) libc = process.platform === "linux" ? load() : null;
  return libc ?? undefined;
}

function load(): Symbols | null {
  for (const name of LIBRARIES) {
    try {
      return dlopen(name, SYMBOLS).symbols;
    } catch {
      // The next one; without any, links work untuned.
    }
  }
  return null;
}
