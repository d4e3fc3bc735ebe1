// This file is one link for one errand: dial, prove, and give up in time; commands ask an edge through it. PROTOCOL §3.1.
import { randomBytes } from "node:crypto";
import type { Deadlines } from "../deadlines.ts";
import { messageOf, TunlError } from "../errors.ts";
import type { SigningKey } from "../identity/index.ts";
import {
  type Claim,
  type ConnectedLink,
  connectLink,
  DEFAULT_PARAMETERS,
  HandshakeError,
  RANDOM_ID_BYTES,
  TLS_MS,
} from "../session/index.ts";
import type { Lookup } from "./addresses.ts";
import { dialEdge } from "./dial.ts";
import { type KeyOwner, refusalCode, refusedError } from "./refusal.ts";

/** Between two dials of an edge that does not answer, ms. */
const AGAIN_MS = 500;
/** How long an edge that is away is dialled: it may be starting again at this moment, ms. */
export const DEFAULT_WAIT_MS = 3_000;

/** What is asked of which edge, with which key. */
export interface ErrandOptions {
  readonly host: string;
  readonly port: number;
  readonly fingerprint: string;
  readonly key: SigningKey;
  readonly owner: KeyOwner;
  readonly deadlines: Deadlines;
  /** AUTH, or ENROLL with a code. */
  readonly claim: Claim;
  /** Name of this machine, for the edge's owner. */
  readonly label: string;
  readonly version: string;
  /** The address that worked last: dialled where the name cannot be resolved. */
  readonly lastGood?: string | undefined;
  readonly family?: "auto" | 4 | 6;
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  readonly lookup?: Lookup;
}

/** A link that the edge accepted, and the address behind it. */
export interface ErrandLink {
  readonly link: ConnectedLink;
  readonly address: string;
}

/**
 * Dials the edge until it answers or the time is over. What it refuses for good ends the dials at once.
 *
 * @throws TunlError `EDGE_UNREACHABLE`, `EDGE_KEY_MISMATCH`, `KEY_REFUSED`, or the code of another refusal. A refused
 *   ENROLL is the HandshakeError itself: what it means depends on the key.
 */
export async function linkEdge(options: ErrandOptions): Promise<ErrandLink> {
  const { waitMs = DEFAULT_WAIT_MS, signal } = options;
  const giveUpAt = performance.now() + waitMs;
  while (true) {
    try {
      return await attempt(options, Math.max(AGAIN_MS, giveUpAt - performance.now()));
    } catch (error) {
      const failure = judge(error, options);
      const isOver = signal?.aborted === true || performance.now() + AGAIN_MS >= giveUpAt;
      if (!failure.retryable) throw failure;
      if (isOver) throw withHint(failure);
      const askedMs = error instanceof HandshakeError ? error.retryAfterMs : 0;
      await pause(Math.min(Math.max(AGAIN_MS, askedMs), giveUpAt - performance.now()), signal);
    }
  }
}

async function attempt(options: ErrandOptions, connectTimeoutMs: number): Promise<ErrandLink> {
  const {
    host,
    port,
    family = "auto",
    lastGood,
    signal,
    lookup,
    claim,
    label,
    version,
    deadlines,
  } = options;
  const { socket, address } = await dialEdge({
    host,
    port,
    family,
    connectTimeoutMs,
    tlsTimeoutMs: TLS_MS,
    deadlines,
    lastGood,
    ...(signal !== undefined && { signal }),
    ...(lookup !== undefined && { lookup }),
  });
  const application = {
    label,
    version,
    platform: `${process.platform}-${process.arch}`,
    for: options.owner.kind,
  };
  const link = await connectLink(socket, {
    fingerprint: options.fingerprint,
    edgeName: host,
    key: options.key,
    claim,
    instance: randomBytes(RANDOM_ID_BYTES),
    // One errand, one link: nothing is kept for it when it is gone.
    parameters: { ...DEFAULT_PARAMETERS.connector, resumeMs: 0, software: `tunl ${version}` },
    application: Buffer.from(JSON.stringify(application)),
  });
  return { link, address };
}

function judge(error: unknown, { owner, claim }: ErrandOptions): TunlError {
  if (!(error instanceof TunlError)) {
    const message = messageOf(error);
    return new TunlError("EDGE_UNREACHABLE", message, { cause: error, retryable: true });
  }
  const refused = refusalCode(error);
  if (refused === undefined || error.retryable) return asUnreachable(error);
  return claim.kind === "enrol" ? error : refusedError(refused, owner);
}

/** A link that broke in the middle of the handshake is an edge that did not answer. */
function asUnreachable(error: TunlError): TunlError {
  if (!error.retryable || error.code === "EDGE_UNREACHABLE") return error;
  if (refusalCode(error) === "INTERNAL_ERROR") return asFailing(error);
  return new TunlError("EDGE_UNREACHABLE", error.message, { cause: error, retryable: true });
}

/** It is there, and something of its own is wrong: most often its disk is full. */
function asFailing(error: TunlError): TunlError {
  return new TunlError(
    "EDGE_UNREACHABLE",
    "The edge answered that it failed: its disk may be full, or the state on it damaged",
    {
      cause: error,
      retryable: true,
      hint: "The log of the edge says why; repeat the command then, nothing was used up",
    },
  );
}

/** The last dial failed too: what to look at. */
function withHint({ code, message, cause, hint }: TunlError): TunlError {
  const look = "Is tunl edge running there, and does a firewall let its port through?";
  return new TunlError(code, message, { cause, retryable: true, hint: hint ?? look });
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal?.addEventListener("abort", done);
  });
}
