// This file is the interface of where certificates come from; one implementation for each `certificates.mode`. product.md §7; S-22, R-19.
import { TunlError } from "../../errors.ts";

/** What is known of the certificate of one name. */
export interface CertificateState {
  /** `pending`: the first one is on its way; `failed`: it could not be had, and `text` says why; `none`: nobody wants it. */
  readonly state: "ready" | "pending" | "failed" | "none";
  /** Wall clock, milliseconds since 1970. */
  readonly notAfter?: number;
  readonly nextTryAt?: number;
  readonly text?: string;
}

/**
 * Where certificates come from.
 *
 * Names are canonical, `*.x` for wildcards. Names that are granted are wanted, nothing else ever is.
 */
export interface CertificateSource extends AsyncDisposable {
  /** The name shall be covered from now on; idempotent, returns at once. */
  want(name: string): void;
  /** The name is no longer granted. */
  unwant(name: string): void;
  /**
   * Resolves when visitors of a wanted name can be served.
   *
   * @param signal Ends the waiting, not the order.
   * @throws TunlError `CERTIFICATE_FAILED` with what came in the way.
   */
  ready(name: string, signal?: AbortSignal): Promise<void>;
  /**
   * For the front door: settles when the first order for this name, which is under way, has ended well or not;
   * undefined where there is none, so that nothing is worth waiting for. Never rejects.
   */
  arriving(name: string): Promise<void> | undefined;
  state(name: string): CertificateState;
  /** Somebody has changed something, DNS for example: a name that failed is tried again now, as far as limits allow. */
  retry(name: string): void;
}

export function certificateFailed(
  name: string,
  reason: string,
  details: { readonly cause?: unknown; readonly hint?: string } = {},
): TunlError {
  return new TunlError("CERTIFICATE_FAILED", `No certificate for ${name}: ${reason}`, details);
}

/** Waits for a promise as long as the signal lets it. @throws what the promise or the signal does. */
export async function waitUnless<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** The granted names of an edge, as far as certificates go. */
export interface GrantedNames {
  readonly hosts: Iterable<{ readonly host: string }>;
  /** Tells of each name from now on. */
  watchHosts(watcher: HostWatcher): void;
}

/** Told of names as they are granted and released. */
export interface HostWatcher {
  granted(host: string): void;
  released(host: string): void;
}

/** What is granted is wanted, from the start and as it changes: the one way in which a name comes to be ordered. */
export function wantGranted(source: CertificateSource, names: GrantedNames): void {
  for (const { host } of names.hosts) source.want(host);
  names.watchHosts({
    granted: (host) => source.want(host),
    released: (host) => source.unwant(host),
  });
}
