// This file is ranges of addresses as text: what is one, and its canonical form. dependencies.md trap 4.
import { formatIp, parseIp } from "../../address/index.ts";

/** A range. */
export interface Cidr {
  /** Without host bits: "10.0.0.0/8". */
  readonly canonical: string;
  /** True where the text had bits set behind its prefix: "10.0.0.1/8". */
  readonly hasHostBits: boolean;
}

/** Reads ADDRESS/BITS; undefined for anything else, a leading zero included: parsers do not agree about those. */
export function parseCidr(text: string): Cidr | undefined {
  const [, address, digits] = /^([0-9a-f.:]+)\/(0|[1-9]\d{0,2})$/i.exec(text) ?? [];
  const bytes = address === undefined ? undefined : parseIp(address);
  if (bytes === undefined) return undefined;
  // An IPv4 address in IPv6 clothes counts its bits from the front of those.
  const bits = Number(digits) - (address?.includes(":") === true && bytes.length === 4 ? 96 : 0);
  if (bits < 0 || bits > bytes.length * 8) return undefined;
  const masked = bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, bits - index * 8));
    return byte & (0xff << (8 - kept));
  });
  return {
    canonical: `${formatIp(masked)}/${bits}`,
    hasHostBits: masked.some((byte, index) => byte !== bytes[index]),
  };
}
