// This file is everything that will happen in a run, as a list: what applications do, what fails, and when. A shorter list is a smaller run.
import type { Side } from "../../src/session/index.ts";
import { Random } from "./random.ts";
import { type Scenario, SIDES } from "./scenario.ts";

/** What an application does; `seed` decides the rest, so that leaving one action out does not change another. */
export type Act =
  | { readonly kind: "open" | "giveUp" | "nudge"; readonly seed: number }
  | { readonly kind: "freeze"; readonly ms: number }
  | { readonly kind: "goAway" | "close" };

/** What a process suffers. */
export type Affliction =
  | { readonly kind: "lag" | "jump"; readonly ms: number }
  | { readonly kind: "press"; readonly share: number }
  | { readonly kind: "crash" | "vanish" };

/** What a link suffers; `side` reads from the direction that is hit. */
export type Fault =
  /** The direction dies when so many more bytes were delivered. */
  | { readonly kind: "kill"; readonly bytes: number; readonly cause: "rst" | "fin" }
  /** Nothing arrives any more, in this direction or in both. */
  | { readonly kind: "dark" | "darkBoth" };

export interface PlannedEvent {
  readonly atMs: number;
  readonly side: Side;
  readonly session: number;
  readonly what: Act | Affliction | Fault;
}

/** Everything that happens under a seed, in the order of time. */
export function planOf(scenario: Scenario): readonly PlannedEvent[] {
  const events: PlannedEvent[] = [];
  scenario.sessions.forEach((_, session) => {
    const random = new Random(scenario.seed ^ (0x51a0 + session));
    for (const side of SIDES) events.push(...acts(scenario, random, side, session));
    const end = ending(scenario, random, session);
    if (end !== undefined) events.push(end);
  });
  const random = new Random(scenario.seed ^ 0xbad);
  for (const side of SIDES) events.push(...afflictions(scenario, random, side));
  const suspended = suspension(scenario, random);
  if (suspended !== undefined) events.push(suspended);
  return events.sort((a, b) => a.atMs - b.atMs);
}

function acts(scenario: Scenario, random: Random, side: Side, session: number): PlannedEvent[] {
  const { activeMs, sessions } = scenario;
  const actionMs = sessions[session]?.sides[side].actionMs ?? activeMs;
  const events: PlannedEvent[] = [];
  for (let atMs = 0; atMs < activeMs; atMs += random.next() * 2 * actionMs) {
    const seed = random.integer(0, 2 ** 31);
    const choice = random.next();
    const kind = choice < 0.6 ? "open" : choice < 0.75 ? "giveUp" : "nudge";
    const what: Act = random.chance(0.01)
      ? { kind: "freeze", ms: random.size(3_000) }
      : { kind, seed };
    events.push({ atMs, side, session, what });
  }
  return events;
}

function afflictions(scenario: Scenario, random: Random, side: Side): PlannedEvent[] {
  const { activeMs, lagChance, lagMs, pressures } = scenario;
  const events: PlannedEvent[] = [];
  const add = (what: Affliction): void => {
    events.push({ atMs: random.integer(0, activeMs), side, session: 0, what });
  };
  const stalls = Math.round((activeMs / 40) * lagChance);
  for (let count = 0; count < stalls; count++) add({ kind: "lag", ms: random.size(lagMs) });
  if (pressures.length > 0)
    for (let count = random.integer(1, 5); count > 0; count--)
      add({ kind: "press", share: random.pick(pressures) });
  return events;
}

/** At most one of them: after either a side wants an answer within 2 s, and the peer must be there to give it. */
function suspension(scenario: Scenario, random: Random): PlannedEvent | undefined {
  const atMs = random.integer(0, scenario.activeMs);
  const event = (what: Affliction): PlannedEvent => ({
    atMs,
    side: random.pick(SIDES),
    session: 0,
    what,
  });
  const isAwake = scenario.lagMs <= 1_000;
  const choice = random.next();
  // The clock of a process jumps: the silence it makes out of nothing is not the peer's.
  if (choice < 0.2)
    return event({ kind: "jump", ms: random.pick([80, 2_000, 9_000, isAwake ? 60_000 : 900]) });
  // The process stood still and its clock went on; just not long enough for the peer to give up.
  if (choice < 0.25 && isAwake) return event({ kind: "lag", ms: 10_500 });
  return undefined;
}

function ending(scenario: Scenario, random: Random, session: number): PlannedEvent | undefined {
  const side = random.pick(SIDES);
  const atMs = random.integer(0, scenario.activeMs);
  const choice = random.next();
  const event = (what: PlannedEvent["what"]): PlannedEvent => ({ atMs, side, session, what });
  if (choice < 0.45) return undefined;
  if (choice < 0.57) return event({ kind: "goAway" });
  if (choice < 0.67) return event({ kind: "close" });
  if (choice < 0.7) return event({ kind: "crash" });
  if (choice < 0.72) return event({ kind: "vanish" });
  if (choice < 0.75) return event({ kind: "dark" });
  if (choice < 0.78) return event({ kind: "darkBoth" });
  return event({
    kind: "kill",
    bytes: random.size(400 * 1_024),
    cause: random.pick(["rst", "fin"]),
  });
}

/** One line, for people who look for a fault. */
export function describeEvent({ atMs, session, side, what }: PlannedEvent): string {
  const { kind, ...details } = what;
  const text = Object.entries(details).map(([name, value]) => ` ${name} ${value}`);
  return `${atMs.toFixed(1)} ms, ${side}, session ${session}: ${kind}${text.join(",")}`;
}
