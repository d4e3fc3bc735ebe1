// This file is from a host name to the addresses worth dialling, in the order to try them (PROTOCOL §7.6, http.md §11; compare RFC 8305 §4).
import { lookup } from "node:dns";
import { isIP } from "node:net";

/** One place to connect to. */
export interface Address {
  readonly host: string;
  readonly family: 4 | 6;
}

/** Asks the system's resolver for all addresses of a name. Answers asynchronously, once. */
export type Lookup = (
  name: string,
  done: (error: NodeJS.ErrnoException | undefined, addresses: readonly Address[]) => void,
) => void;

export const LOOPBACK: readonly Address[] = [
  { host: "127.0.0.1", family: 4 },
  { host: "::1", family: 6 },
];

/** Addresses of one name that are tried; a name with thousands of them must not cost thousands of sockets. */
export const MAX_ADDRESSES = 16;

/** True for `localhost` and what is below it: loopback without asking anybody (RFC 6761 §6.3). */
export function isLocalhost(name: string): boolean {
  const bare = name.toLowerCase().replace(/\.$/, "");
  return bare === "localhost" || bare.endsWith(".localhost");
}

/** The address that `name` spells, brackets allowed, or `undefined` for a name to resolve. */
export function literalAddress(name: string): Address | undefined {
  const host = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
  const family = isIP(host);
  return family === 4 || family === 6 ? { host, family } : undefined;
}

/** Families in turn, starting with that of the first address; order within a family as the resolver gave it. */
export function alternate(addresses: readonly Address[]): Address[] {
  const first = addresses[0]?.family;
  const leading = addresses.filter((address) => address.family === first);
  const others = addresses.filter((address) => address.family !== first);
  const order: Address[] = [];
  for (let index = 0; order.length < addresses.length && order.length < MAX_ADDRESSES; index++) {
    for (const list of [leading, others]) {
      const address = list[index];
      if (address !== undefined && order.length < MAX_ADDRESSES) order.push(address);
    }
  }
  return order;
}

/** `address` first, the rest in their order. Unknown or absent: unchanged. */
export function preferring(
  addresses: readonly Address[],
  preferred: string | undefined,
): readonly Address[] {
  const index = addresses.findIndex((address) => address.host === preferred);
  if (index <= 0) return addresses;
  return [addresses[index] as Address, ...addresses.filter((_, at) => at !== index)];
}

/** The system's resolver, hosts file included. */
export const systemLookup: Lookup = (name, done) => {
  lookup(name, { all: true }, (error, found) => {
    if (error) done(error, []);
    else
      done(
        undefined,
        found.map(({ address, family }) => ({ host: address, family: family === 6 ? 6 : 4 })),
      );
  });
};
