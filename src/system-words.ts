// This file is the system's codes of a failed dial in words: who reads them wants to know what to look at. product.md §8 item 3.

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection closed",
  ETIMEDOUT: "no answer",
  EHOSTUNREACH: "no route to that host",
  EHOSTDOWN: "that host is down",
  ENETUNREACH: "no network leads there",
  ENETDOWN: "the network is down",
  EADDRNOTAVAIL: "this machine has no address for that network",
  EACCES: "forbidden by this machine",
  EPERM: "forbidden by this machine",
  EMFILE: "this process has no descriptor left",
  ENFILE: "this machine has no descriptor left",
  ENOTFOUND: "no such name",
  EAI_AGAIN: "the resolver does not answer",
  ESERVFAIL: "the resolver failed",
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: "that server is no edge",
  ERR_SSL_WRONG_VERSION_NUMBER: "the answer is no TLS, is that the port of an edge?",
};

/** The code in words; a code without words as it is. */
export function wordsOf(error: NodeJS.ErrnoException): string {
  const { code } = error;
  if (code === undefined) return error.message;
  return knownWords(code) ?? code;
}

/** The words of a code; undefined for one that has none. */
export function knownWords(code: string): string | undefined {
  return Object.hasOwn(WORDS, code) ? WORDS[code] : undefined;
}
