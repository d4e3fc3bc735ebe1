// This file is what a start line and its fields mean: the heads of requests and responses. http.md §3.
import type { HeaderBlock } from "../headers/index.ts";

/** How the body is delimited. `untilClose`: responses only. */
export type Framing =
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "none" | "chunked" | "untilClose" };

export const NO_BODY: Framing = { kind: "none" };
export const CHUNKED: Framing = { kind: "chunked" };
export const UNTIL_CLOSE: Framing = { kind: "untilClose" };

export interface Head {
  readonly version: "1.0" | "1.1";
  readonly fields: HeaderBlock;
  readonly framing: Framing;
  /** Value of Content-Length, -1 without one. In answers to HEAD and in 304 the length of the representation, while `framing` is none. */
  readonly contentLength: number;
  /** True when the peer lets the connection live on after this message. */
  readonly persistent: boolean;
}

export interface RequestHead extends Head {
  /** Any token, case kept. */
  readonly method: string;
  /** Exactly the bytes received; `originForm` gives what goes on. */
  readonly target: Uint8Array;
  /** True when the peer waits for 100 before it sends a body. */
  readonly expectContinue: boolean;
  /** Lower-case protocol of a valid upgrade request (http.md §9), else undefined and the request is an ordinary one. */
  readonly upgrade: string | undefined;
}

export interface ResponseHead extends Head {
  /** 101..999; 100 is never shown. */
  readonly status: number;
  readonly reason: Uint8Array;
}
