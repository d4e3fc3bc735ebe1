// This file is a reader that takes a response for whole only if nothing at all is missing: the oracle of S-11.
import type { Ending } from "./peer.ts";

/** What a visitor may conclude from what came. */
export type Verdict =
  /** The message is complete by its own framing. */
  | {
      readonly kind: "whole";
      readonly status: number;
      readonly error: string;
      readonly body: string;
    }
  /** Something is missing, and it shows. */
  | { readonly kind: "cut"; readonly why: string };

/**
 * Judges everything that came on a connection that has ended.
 *
 * @param text One character per byte.
 * @param ending Of the edge's direction. Only a body without length and chunks is ended by a FIN.
 */
export function judge(text: string, ending: Ending | undefined): Verdict {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return { kind: "cut", why: `no head, ${text.length} bytes` };
  const head = text.slice(0, end);
  const status = Number(head.split(" ")[1]);
  if (status < 200) return judge(text.slice(end + 4), ending);
  const error = /^tunl-error: (\S+)$/im.exec(head)?.[1] ?? "";
  const rest = text.slice(end + 4);
  const whole = (body: string): Verdict => ({ kind: "whole", status, error, body });
  const length = /^content-length: (\d+)$/im.exec(head)?.[1];
  if (length !== undefined) {
    if (rest.length < Number(length)) return cut(`${rest.length} of ${length} bytes`);
    return rest.length === Number(length) ? whole(rest) : cut("bytes behind the answer");
  }
  if (/^transfer-encoding: chunked$/im.test(head)) return dechunked(rest, whole);
  return ending === "end" ? whole(rest) : cut(`an RST behind ${rest.length} bytes`);
}

function dechunked(text: string, whole: (body: string) => Verdict): Verdict {
  const pieces: string[] = [];
  for (let at = 0; ;) {
    const line = text.indexOf("\r\n", at);
    if (line < 0) return cut("no chunk size");
    const size = Number.parseInt(text.slice(at, line), 16);
    const next = line + 2 + size + 2;
    if (size === 0) {
      return text.slice(line + 2) === "\r\n" ? whole(pieces.join("")) : cut("no end of the chunks");
    }
    if (text.slice(next - 2, next) !== "\r\n") return cut(`a chunk of ${size} bytes is not whole`);
    pieces.push(text.slice(line + 2, next - 2));
    at = next;
  }
}

const cut = (why: string): Verdict => ({ kind: "cut", why });
