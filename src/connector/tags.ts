// This file is `tag: [K=V]` as header lines of every request to a service. product.md §3.2.
import { TunlError } from "../errors.ts";

/** Visitors cannot send such names: the edge takes every `X-Tunl-*` of theirs out (S-30). */
const PREFIX = "X-Tunl-Tag-";
/** What all tags may add to a request: the rest of a head is what the edge lets through (http.md §5.1). */
const MOST_BYTES = 2_048;

/**
 * @returns Lines with their ends.
 * @throws TunlError `TAG_INVALID` where a name is no token, a value no field value, or all are too long.
 */
export function tagFields(
  tags: readonly { readonly name: string; readonly value: string }[],
): Uint8Array {
  const lines = tags.map(({ name, value }) => {
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) || !/^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(value))
      throw invalid(`Tag "${name}=${value}" cannot be a header, expected letters, digits and "-"`);
    return `${PREFIX}${name}: ${value}\r\n`;
  });
  const bytes = new TextEncoder().encode(lines.join(""));
  if (bytes.length > MOST_BYTES)
    throw invalid(`Tags have ${bytes.length} bytes as headers, allowed ${MOST_BYTES}`);
  return bytes;
}

function invalid(message: string): TunlError {
  return new TunlError("TAG_INVALID", message);
}
