// This file is whether an address is this edge: one of the machine's own, one that its owner named, or one that answers with this edge's own key. product.md §1.1.
import { X509Certificate } from "node:crypto";
import { networkInterfaces } from "node:os";
import { connect } from "node:tls";
import { formatIp, parseIp, parsePeerIp } from "../../address/index.ts";
import type { Deadlines } from "../../deadlines.ts";
import { reached } from "../../limits.ts";

/** How long an answer is believed, ms: a poll every few seconds is no reason to dial as often. */
const MEMORY_MS = 30_000;
/** Addresses remembered; whoever writes a zone can name as many as it likes. */
const MEMORY_MAX = 1_000;
const DIAL_MS = 4_000;
/** Dials at a time: descriptors stay free for visitors, whatever a zone names. */
export const DIALS_MAX = 32;

/** `unknown`: nobody answered there, which behind some routers says nothing about the way in from outside. */
export type Place = "here" | "elsewhere" | "unknown";

export interface HereOptions {
  /** `publicAddresses`, canonical. */
  readonly publicAddresses: readonly string[];
  readonly port: () => number;
  /** PEM of the certificate that links are shown: its key is in the state of this edge and nowhere else. */
  readonly linkCertificate: string;
  /** The protocol name that links are told apart by. */
  readonly protocol: string;
  readonly deadlines: Deadlines;
  /** Addresses of this machine; a test's own. */
  readonly machine?: () => readonly string[];
}

/** Knows which addresses lead to this edge. */
export class Here {
  readonly #options: HereOptions;
  readonly #own: Buffer;
  readonly #known = new Map<string, { readonly place: Promise<Place>; readonly until: number }>();

  #dialling = 0;

  constructor(options: HereOptions) {
    this.#options = options;
    this.#own = new X509Certificate(options.linkCertificate).raw;
  }

  /** What a record should point to: the addresses its owner named, else those of this machine that the Internet can reach. */
  get addresses(): readonly string[] {
    const { publicAddresses, machine = machineAddresses } = this.#options;
    return publicAddresses.length > 0 ? publicAddresses : machine().filter(isGlobal);
  }

  /** @param address Canonical. */
  async place(address: string): Promise<Place> {
    const { publicAddresses, machine = machineAddresses } = this.#options;
    if (publicAddresses.includes(address)) return "here";
    if (isGlobal(address) && machine().includes(address)) return "here";
    const now = performance.now();
    const known = this.#known.get(address);
    if (known !== undefined && known.until > now) return await known.place;
    this.#known.delete(address);
    if (this.#dialling >= DIALS_MAX) {
      reached("dnsDials");
      return "unknown";
    }
    if (this.#known.size >= MEMORY_MAX) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#dialling += 1;
    const place = this.#dial(address).finally(() => (this.#dialling -= 1));
    this.#known.set(address, { place, until: now + MEMORY_MS });
    return await place;
  }

  /** TLS 1.3 proves who has the key of the certificate that is shown; nothing is said after it. */
  #dial(address: string): Promise<Place> {
    const { port, protocol, deadlines } = this.#options;
    return new Promise((resolve) => {
      const socket = connect({
        ...{ host: address, port: port(), minVersion: "TLSv1.3", ALPNProtocols: [protocol] },
        // Whose it is, is decided below by the key alone.
        rejectUnauthorized: false,
      });
      let hasConnected = false;
      const end = (place: Place): void => {
        deadline.cancel();
        resolve(place);
        socket.destroy();
      };
      const deadline = deadlines.schedule(DIAL_MS, () =>
        end(hasConnected ? "elsewhere" : "unknown"),
      );
      socket.on("connect", () => (hasConnected = true));
      // Refused by whoever has the address, or spoken to by something else: both are not this edge.
      socket.on("error", (error) => {
        const code = "code" in error ? error.code : "";
        end(hasConnected || code === "ECONNREFUSED" ? "elsewhere" : "unknown");
      });
      socket.on("close", () => end(hasConnected ? "elsewhere" : "unknown"));
      socket.on("secureConnect", () => {
        const shown = socket.getPeerX509Certificate()?.raw;
        end(shown !== undefined && shown.equals(this.#own) ? "here" : "elsewhere");
      });
    });
  }
}

/** Addresses of this machine's interfaces, canonical, without link-local ones. */
export function machineAddresses(): readonly string[] {
  const found: string[] = [];
  for (const infos of Object.values(networkInterfaces())) {
    for (const { address } of infos ?? []) {
      const bytes = parsePeerIp(address);
      if (bytes !== undefined) found.push(formatIp(bytes));
    }
  }
  return found;
}

/**
 * True for an address that the Internet can reach: none of the special ranges of RFC 6890.
 *
 * @param address Canonical.
 */
export function isGlobal(address: string): boolean {
  const bytes = parseIp(address);
  if (bytes === undefined) return false;
  const [a = 0, b = 0, c = 0] = bytes;
  if (bytes.length === 16) {
    // Global unicast, without documentation (2001:db8::/32) and Teredo and its neighbours (2001::/23).
    if ((a & 0xe0) !== 0x20) return false;
    return !(a === 0x20 && b === 0x01 && (c < 2 || (c === 0x0d && bytes[3] === 0xb8)));
  }
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false;
  if (a === 100 && b >= 64 && b < 128) return false;
  if (a === 169 && b === 254) return false;
  if (a === 172 && b >= 16 && b < 32) return false;
  if (a === 192 && (b === 168 || (b === 0 && (c === 0 || c === 2)))) return false;
  if (a === 198 && (b === 18 || b === 19 || (b === 51 && c === 100))) return false;
  return !(a === 203 && b === 0 && c === 113);
}
