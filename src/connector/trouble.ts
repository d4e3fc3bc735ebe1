// This file is what the connector says when an origin fails: the fault in the owner's words, and not once per request. product.md §8.
import type { Failure, FailureCode } from "../exchange/index.ts";
import type { OriginTrouble } from "./events.ts";
import type { Target } from "./target.ts";

/** The same trouble is told again after this, ms: a page of a dead origin asks fifty times. */
const AGAIN_MS = 10_000;

const FORBIDDEN = 403;

/** Status the edge answers a failure with (http.md §13); 502 where the origin is at fault. */
const STATUSES: Readonly<Partial<Record<FailureCode, number>>> = {
  BAD_REQUEST: 400,
  BAD_PATH: 400,
  LENGTH_REQUIRED: 411,
  INTERNAL: 500,
  NO_ROUTE: 404,
  ROUTE_ERROR: 503,
  ORIGIN_CONNECT_TIMEOUT: 504,
  ORIGIN_TIMEOUT: 504,
};

type Hints = Readonly<Partial<Record<OriginTrouble["code"], string>>>;

const ALL_HINTS: Hints = {
  ORIGIN_REFUSED: "Start your app; the next request tries again",
  ORIGIN_UNREACHABLE: "Check the address and that this machine reaches it",
  ORIGIN_CONNECT_TIMEOUT: "Check the address and that this machine reaches it",
  BAD_PATH:
    "allowAmbiguousPaths: true lets it through to a rule, if its service reads such paths as tunl does",
};

/** What to do, in the words with which the service was given. */
const HINTS: Readonly<Record<"flags" | "file", Hints>> = {
  flags: {
    ...ALL_HINTS,
    ORIGIN_TLS: "Name its CA with --ca FILE, or add --no-tls-verify",
    ORIGIN_HOST_CHECK: "Allow the name in your dev server, or use --host-header origin",
  },
  file: {
    ...ALL_HINTS,
    ORIGIN_TLS: "Name its CA with caPool, or set noTLSVerify: true, in originRequest of its rule",
    ORIGIN_HOST_CHECK:
      "Allow the name in your dev server, or set httpHostHeader in originRequest of its rule",
  },
};

/** Request id as it is shown at both ends: lower-case hex digits, two per byte. */
export function requestIdOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("hex");
}

export function statusOf(code: FailureCode): number {
  return STATUSES[code] ?? 502;
}

/** The service that troubles are of. */
export interface TroubledService {
  readonly target: Pick<Target, "kind" | "url"> | undefined;
  /** True: the origin sees the public name in Host. */
  readonly keepsHost: boolean;
  /** Where its settings stand. */
  readonly source: "flags" | "file";
}

/** Turns failures of one service into troubles, each kind once in ten seconds. */
export class Troubles {
  readonly #service: TroubledService;
  readonly #tell: (trouble: OriginTrouble) => void;
  readonly #now: () => number;
  /** By code: when it was told last. The codes are few, so nothing else bounds it. */
  readonly #toldAt = new Map<FailureCode, number>();
  /** True after the first answer: the others need not be told. */
  hasAnswered = false;

  constructor(
    service: TroubledService,
    tell: (trouble: OriginTrouble) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#service = service;
    this.#tell = tell;
    this.#now = now;
  }

  /** The origin answered. A server that checks Host refuses whatever comes first; one that refuses later has its reasons. */
  answered(status: number, host: string, id: Uint8Array): void {
    if (this.hasAnswered) return;
    this.hasAnswered = true;
    const { target, keepsHost, source } = this.#service;
    if (status !== FORBIDDEN || !keepsHost || target?.kind === "static") return;
    const who = source === "file" ? target?.url : undefined;
    this.#say(
      "ORIGIN_HOST_CHECK",
      `${who ?? "The origin"} answered 403 to its public name`,
      host,
      id,
    );
  }

  /** @param host The name the visitor asked for. @param id Of the request: by it the visitor's answer is found. */
  failed({ code, detail }: Failure, host: string, id: Uint8Array): void {
    const now = this.#now();
    const toldAt = this.#toldAt.get(code);
    if (toldAt !== undefined && now - toldAt < AGAIN_MS) return;
    this.#toldAt.set(code, now);
    this.#say(code, this.#textOf(code, detail), host, id);
  }

  #say(code: OriginTrouble["code"], text: string, host: string, id: Uint8Array): void {
    const { target, source } = this.#service;
    this.#tell({
      code,
      text,
      hint: HINTS[source][code],
      host,
      service: target?.url,
      requestId: requestIdOf(id),
    });
  }

  #textOf(code: FailureCode, detail: string): string {
    const { target } = this.#service;
    if (code !== "ORIGIN_REFUSED" || target === undefined) return detail === "" ? code : detail;
    const { kind, url } = target;
    return `Nothing listens on ${kind === "http" ? url.replace(/^https?:\/\//, "") : url}`;
  }
}
