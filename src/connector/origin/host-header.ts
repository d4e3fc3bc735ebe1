// This file is which Host an origin sees, and what follows from it for Origin and Location (http.md §11).
import { TunlError } from "../../errors.ts";
import type { RequestHead } from "../../exchange/index.ts";
import { equalsFolded, type HeaderBlock, LineBuffer, parseLines } from "../../headers/index.ts";
import type { HttpTarget, UnixTarget } from "../target.ts";

/** `--host-header`: the visitor's Host, the service's own, or a value. */
export type HostHeader =
  { readonly kind: "keep" | "origin" } | { readonly kind: "value"; readonly value: string };

/** A head message carries no more (http.md §5.1). */
const MESSAGE_FIELDS = { bytes: 40 * 1024, fields: 1_024 } as const;

/**
 * Parses `keep`, `origin`, or a value: a host with an optional port, as it is sent.
 *
 * @throws TunlError `HOST_HEADER_INVALID`
 */
export function parseHostHeader(text: string): HostHeader {
  if (text === "keep" || text === "origin") return { kind: text };
  if (
    !/^(?:[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]{0,252})|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{1,5})?$/.test(
      text,
    )
  ) {
    throw new TunlError(
      "HOST_HEADER_INVALID",
      `Cannot use "${text}" as Host: expected keep, origin or host[:port]`,
    );
  }
  return { kind: "value", value: text };
}

/** Applies one setting to one origin. With anything but `origin`, fields pass untouched and unread. */
export class HostRewrite {
  readonly #setting: HostHeader;
  readonly #authority: string;
  /** The service as a browser would name it: "http://localhost:8000". */
  readonly #origin: string;

  constructor(setting: HostHeader, target: HttpTarget | UnixTarget) {
    this.#setting = setting;
    this.#authority = target.authority;
    this.#origin = `${target.isTls ? "https" : "http"}://${target.authority}`;
  }

  /** True when fields of requests and responses are edited. */
  get isMapping(): boolean {
    return this.#setting.kind === "origin";
  }

  host(head: RequestHead): string {
    const setting = this.#setting;
    if (setting.kind === "value") return setting.value;
    return setting.kind === "origin" ? this.#authority : head.authority;
  }

  /** Request fields: an `Origin` equal to the public origin becomes the local one; any other stays, it is cross-site. */
  requestFields(head: RequestHead): Uint8Array {
    if (!this.isMapping) return head.fields;
    const block = parseLines(head.fields, MESSAGE_FIELDS);
    if (typeof block === "string") return head.fields;
    const index = block.find("origin");
    if (index < 0 || block.find("origin", index + 1) >= 0) return head.fields;
    if (!block.valueIs(index, publicOrigin(head))) return head.fields;
    return replaced(block, index, block.valueEnd(index), this.#origin);
  }

  /** Response fields: a `Location` at the service's own authority is mapped back to the public one. */
  responseFields(head: RequestHead, fields: Uint8Array): Uint8Array {
    if (!this.isMapping) return fields;
    const block = parseLines(fields, MESSAGE_FIELDS);
    if (typeof block === "string") return fields;
    const index = block.find("location");
    if (index < 0) return fields;
    const start = block.valueStart(index);
    const end = start + this.#origin.length;
    if (end > block.valueEnd(index) || !equalsFolded(block.bytes, start, end, this.#origin))
      return fields;
    if (end < block.valueEnd(index) && !AFTER_AUTHORITY.includes(block.bytes[end] as number))
      return fields;
    return replaced(block, index, end, publicOrigin(head));
  }
}

/** What may follow an authority in a URL: "/", "?", "#". Anything else would be a longer host or another port. */
const AFTER_AUTHORITY: readonly number[] = [0x2f, 0x3f, 0x23];

function publicOrigin(head: RequestHead): string {
  return `${head.scheme}://${head.authority}`;
}

/** The section with the value of one field replaced up to `end`. */
function replaced(block: HeaderBlock, index: number, end: number, text: string): Uint8Array {
  const lines = new LineBuffer(block.end - block.start + text.length);
  lines.append(block.bytes, block.start, block.valueStart(index));
  lines.append(new TextEncoder().encode(text));
  lines.append(block.bytes, end, block.end);
  return lines.take();
}
