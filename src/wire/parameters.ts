// This file is the transport parameters: id, name, value when absent, bounds, what each side announces. PROTOCOL §2.4.
import { bug } from "../errors.ts";
import { type Value, textSize } from "../msgpack/index.ts";
import { WireError } from "./error-codes.ts";
import {
  DATAGRAM_BYTES,
  KIND_MAX,
  KINDS,
  LINKS_PER_SESSION,
  PARAMETER_ID_MAX,
  PARAMETER_OPTIONAL_ID,
  PARAMETER_PAIRS,
  SOFTWARE_BYTES,
} from "./limits.ts";

/** What one side announced, absent values filled in. Sizes in bytes. */
export interface TransportParameters {
  /** First session limit of the other side's direction. */
  readonly initialMaxData: number;
  /** Streams the other side may have open at once. */
  readonly initialMaxStreams: number;
  /** First limit of a direction the other side opens. */
  readonly initialWindow: number;
  /** Kinds of streams it accepts, ascending. */
  readonly acceptKinds: readonly number[];
  /** Longest datagram it accepts; 0 none. */
  readonly maxDatagram: number;
  /** Links of a session; announced by the edge only. */
  readonly maxLinks: number;
  /** How long it keeps a session without links. */
  readonly resumeMs: number;
  /** Its own verdict on a silent link. */
  readonly silenceMs: number;
  /** Disjoint ranges it keeps per stream. */
  readonly reorderRanges: number;
  /** Name and version, for people; never branched on. */
  readonly software: string;
}

export type ParameterName = keyof TransportParameters;
export type ParameterSide = "edge" | "connector";

/** A parameter list as it travels: `[id, value, id, value, …]`. */
export type ParameterList = readonly Value[];

interface ParameterRow<T> {
  readonly id: number;
  readonly kind: "integer" | "kinds" | "text";
  readonly absent: T;
  readonly min: number;
  readonly max: number;
  /** The only side that may announce it; absent: both. */
  readonly only?: ParameterSide;
}

const KIB = 1_024;
const MIB = 1_024 * KIB;

/** Parameters by name, ids ascending. `max` counts bytes for a text, kinds for a list of kinds. */
export const PARAMETERS = {
  initialMaxData: { id: 0, kind: "integer", absent: MIB, min: 256 * KIB, max: 1_024 * MIB },
  initialMaxStreams: { id: 1, kind: "integer", absent: 0, min: 0, max: 65_536 },
  initialWindow: { id: 2, kind: "integer", absent: 64 * KIB, min: 16 * KIB, max: 16 * MIB },
  acceptKinds: { id: 3, kind: "kinds", absent: [], min: 0, max: KINDS },
  maxDatagram: { id: 4, kind: "integer", absent: 0, min: 0, max: DATAGRAM_BYTES },
  maxLinks: { id: 5, kind: "integer", absent: 1, min: 1, max: LINKS_PER_SESSION, only: "edge" },
  resumeMs: { id: 6, kind: "integer", absent: 60_000, min: 0, max: 600_000 },
  silenceMs: { id: 7, kind: "integer", absent: 15_000, min: 5_000, max: 120_000 },
  reorderRanges: { id: 8, kind: "integer", absent: 0, min: 0, max: 1_024 },
  software: { id: 64, kind: "text", absent: "", min: 0, max: SOFTWARE_BYTES },
} as const satisfies { [N in ParameterName]: ParameterRow<TransportParameters[N]> };

const NAMES = Object.keys(PARAMETERS) as ParameterName[];
const NAME_BY_ID = new Map<number, ParameterName>(NAMES.map((name) => [PARAMETERS[name].id, name]));

/** What a side that announced nothing is held to. */
export const ABSENT_PARAMETERS: TransportParameters = Object.freeze({
  initialMaxData: PARAMETERS.initialMaxData.absent,
  initialMaxStreams: PARAMETERS.initialMaxStreams.absent,
  initialWindow: PARAMETERS.initialWindow.absent,
  acceptKinds: PARAMETERS.acceptKinds.absent,
  maxDatagram: PARAMETERS.maxDatagram.absent,
  maxLinks: PARAMETERS.maxLinks.absent,
  resumeMs: PARAMETERS.resumeMs.absent,
  silenceMs: PARAMETERS.silenceMs.absent,
  reorderRanges: PARAMETERS.reorderRanges.absent,
  software: PARAMETERS.software.absent,
});

/** What each side announces unless its configuration says otherwise. PROTOCOL §2.4. */
export const DEFAULT_PARAMETERS: Readonly<Record<ParameterSide, TransportParameters>> =
  Object.freeze({
    edge: Object.freeze({
      ...ABSENT_PARAMETERS,
      initialMaxData: 4 * MIB,
      initialMaxStreams: 4,
      initialWindow: 256 * KIB,
      acceptKinds: [0],
      maxLinks: 8,
      resumeMs: 60_000,
    }),
    connector: Object.freeze({
      ...ABSENT_PARAMETERS,
      initialMaxData: 4 * MIB,
      initialMaxStreams: 1_000,
      initialWindow: 1 * MIB,
      acceptKinds: [1],
      resumeMs: 600_000,
    }),
  });

/** Who announced a list, and in which frame: for the direction rule and the report. */
export interface ParameterSource {
  readonly from: ParameterSide;
  /** Ext type of the frame that carried the list. */
  readonly frameType: number;
}

/**
 * Writes a list: the parameters given, ids ascending. A value out of bounds is a fault of ours: `BUG`.
 *
 * @param from The side that announces them; `maxLinks` of a connector is left out.
 */
export function encodeParameters(
  parameters: Partial<TransportParameters>,
  from: ParameterSide,
): ParameterList {
  const list: Value[] = [];
  for (const name of NAMES) {
    const row: ParameterRow<unknown> = PARAMETERS[name];
    const value = parameters[name];
    if (value === undefined || (row.only !== undefined && row.only !== from)) continue;
    const fault = faultOf(row, value);
    if (fault !== undefined) bug(`cannot announce ${name}: ${fault}`);
    list.push(row.id, value);
  }
  return list;
}

/**
 * Reads a list.
 *
 * @returns All parameters; those not in the list have their value "if absent". Unknown optional ids are ignored.
 * @throws WireError `PARAMETER`: order, repetition, type, range, an unknown critical id, or one this side may not announce.
 */
export function decodeParameters(
  list: ParameterList,
  source: ParameterSource,
): TransportParameters {
  const known: { -readonly [N in ParameterName]?: unknown } = {};
  for (const [id, value] of pairsOf(list, source)) {
    const name = NAME_BY_ID.get(id);
    if (name === undefined) {
      if (id < PARAMETER_OPTIONAL_ID) refuse(source, `Received unknown critical parameter ${id}`);
      continue;
    }
    const row: ParameterRow<unknown> = PARAMETERS[name];
    if (row.only !== undefined && row.only !== source.from) {
      refuse(
        source,
        `Received parameter ${name} from the ${source.from}, allowed only from the ${row.only}`,
      );
    }
    const fault = faultOf(row, value);
    if (fault !== undefined) refuse(source, `Received parameter ${name}: ${fault}`);
    known[name] = value;
  }
  // Each value was checked against the kind and bounds of its own row just now.
  return { ...ABSENT_PARAMETERS, ...(known as Partial<TransportParameters>) };
}

/** Checks the extras of HELLO and EDGE_AUTH: revision 1 defines none, so a critical one is unknown. @throws WireError `PARAMETER`. */
export function checkExtras(list: ParameterList, source: ParameterSource): void {
  for (const [id] of pairsOf(list, source)) {
    if (id < PARAMETER_OPTIONAL_ID) refuse(source, `Received unknown critical extra ${id}`);
  }
}

/** What holds for both sides of a session: the lower of two announcements. Milliseconds. */
export function agreeParameters(
  local: TransportParameters,
  remote: TransportParameters,
): { readonly resumeMs: number; readonly silenceMs: number } {
  return {
    resumeMs: Math.min(local.resumeMs, remote.resumeMs),
    silenceMs: Math.min(local.silenceMs, remote.silenceMs),
  };
}

function pairsOf(list: ParameterList, source: ParameterSource): [id: number, value: Value][] {
  if (list.length % 2 !== 0)
    refuse(source, `Received ${list.length} values as a parameter list, expected pairs`);
  if (list.length > 2 * PARAMETER_PAIRS) {
    refuse(source, `Received ${list.length / 2} parameters, allowed ${PARAMETER_PAIRS}`);
  }
  const pairs: [number, Value][] = [];
  let previous = -1;
  for (let index = 0; index < list.length; index += 2) {
    const id = list[index];
    if (!isInteger(id, 0, PARAMETER_ID_MAX))
      refuse(source, `Received a parameter id that is no integer from 0 to ${PARAMETER_ID_MAX}`);
    if (id <= previous)
      refuse(source, `Received parameter ${id} after ${previous}, expected ascending ids`);
    previous = id;
    pairs.push([id, list[index + 1]]);
  }
  return pairs;
}

/** Why a value is not one of its row; `undefined` when it is. */
function faultOf(row: ParameterRow<unknown>, value: unknown): string | undefined {
  switch (row.kind) {
    case "integer":
      return isInteger(value, row.min, row.max)
        ? undefined
        : `${typeof value === "number" ? value : "another type"}, expected an integer from ${row.min} to ${row.max}`;
    case "text":
      return typeof value === "string" && value.length <= row.max && textSize(value) <= row.max
        ? undefined
        : `expected a str of at most ${row.max} bytes`;
    case "kinds":
      return Array.isArray(value) && value.length <= row.max && isAscending(value)
        ? undefined
        : `expected at most ${row.max} ascending integers from 0 to ${KIND_MAX}`;
    default:
      return row.kind satisfies never;
  }
}

function isInteger(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

function isAscending(kinds: readonly unknown[]): boolean {
  let previous = -1;
  for (const kind of kinds) {
    if (!isInteger(kind, 0, KIND_MAX) || kind <= previous) return false;
    previous = kind;
  }
  return true;
}

function refuse(source: ParameterSource, message: string): never {
  throw new WireError("PARAMETER", source.frameType, message);
}
