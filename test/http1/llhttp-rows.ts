// This file is the rows of the corpus of llhttp, with what its source leaves out so that only the fault of a row is judged.
import { corpus, decode, readRequests, readResponses, text, type Transcript } from "./support.ts";

export interface Message {
  method?: string;
  target?: string;
  status?: number;
  reason?: string;
  version: string;
  headers: [string, string][];
  trailers: [string, string][];
  body: string;
  headersComplete: boolean;
  complete: boolean;
}

export interface Row {
  id: string;
  /** `request` or `response`, behind them `-finish` or `-lenient-` and a switch of that parser. */
  type: string;
  meta: { skipBody?: boolean };
  input: string;
  error: { code: number; reason: string } | null;
  messages: Message[];
}

export const rows: Row[] | undefined = corpus<Row>("llhttp.jsonl");

export const isRequest = (row: Row): boolean => row.type.startsWith("request");

/** Reads an input from the side of its row. */
export const readerOf = (row: Row): ((pieces: Iterable<Uint8Array>) => Transcript) =>
  isRequest(row) ? readRequests : readResponses;

const REQUEST_LINE = /^[!-~]+ (\S+) HTTP\/\d\.\d\r\n/gm;
const FRAGMENT = /^([!-~]+ [^\s#]+)#\S*(?= HTTP\/\d)/gm;

/** The input. The source has no Host in most requests: each gets one, else it would be refused for that alone. */
export function inputOf(row: Row): string {
  const input = text(decode(row.input));
  if (!isRequest(row)) return input;
  return input.replaceAll(REQUEST_LINE, (line, target: string, at: number) => {
    const behind = input.slice(at + line.length);
    const blank = `\r\n${behind}`.indexOf("\r\n\r\n");
    if (/^host\s*:/im.test(blank < 0 ? behind : behind.slice(0, blank))) return line;
    const authority = /^https?:\/\/([^/?]*)/.exec(target)?.[1] ?? "a.example";
    return `${line}Host: ${authority}\r\n`;
  });
}

/** The same without the fragments of its targets; undefined where there is none. A fragment hides what a row is about. */
export function withoutFragment(row: Row): { row: Row; input: string } | undefined {
  const input = inputOf(row);
  const cut = input.replaceAll(FRAGMENT, "$1");
  if (cut === input) return undefined;
  const messages = row.messages.map((message) => ({
    ...message,
    ...(message.target !== undefined && { target: message.target.replace(/#.*/, "") }),
  }));
  return { row: { ...row, id: `${row.id} without fragment`, messages }, input: cut };
}
