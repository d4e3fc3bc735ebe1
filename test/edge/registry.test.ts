// This file is which session a name leads to: announcements add up, and one of them is picked. http.md §5.4, §6.
import { describe, expect, test } from "bun:test";
import { LiveSession, Registry } from "../../src/edge/route/index.ts";
import type { Session } from "../../src/session/index.ts";

const ID = new Uint8Array(16);
const TUNNEL = "7f0c";

/** A live session of the tunnel; `isDraining` may be switched. */
function live(exchanges = 0): {
  readonly live: LiveSession;
  readonly session: { isDraining: boolean };
} {
  const session = { isDraining: false };
  const made = new LiveSession(
    // The registry asks a session for nothing else.
    session as Session,
    { kind: "tunnel", id: TUNNEL, name: "home", keyId: "k", application: ID },
    { id: ID, key: ID, instance: ID, label: "" },
    0,
  );
  made.exchanges = exchanges;
  return { live: made, session };
}

/** A session that announced these, added to a registry. */
function added(
  registry: Registry,
  hosts: readonly string[],
  { takesRest = false, exchanges = 0 } = {},
): ReturnType<typeof live> {
  const made = live(exchanges);
  made.live.announce({}, { hosts, takesRest });
  registry.add(made.live);
  return made;
}

describe("live session", () => {
  test("two announcements add up, each name once", () => {
    const { live: session } = live();
    session.announce({}, { hosts: ["a.example.com", "b.example.com"], takesRest: false });
    session.announce({}, { hosts: ["b.example.com", "c.example.com"], takesRest: false });
    expect(session.hosts).toEqual(["a.example.com", "b.example.com", "c.example.com"]);
  });

  test("withdrawing one leaves the names of the other, in either order", () => {
    for (const isFirst of [true, false]) {
      const { live: session } = live();
      const [first, second] = [{}, {}];
      session.announce(first, { hosts: ["a.example.com"], takesRest: false });
      session.announce(second, { hosts: ["a.example.com", "b.example.com"], takesRest: false });
      session.withdraw(isFirst ? first : second);
      expect(session.hosts).toEqual(
        isFirst ? ["a.example.com", "b.example.com"] : ["a.example.com"],
      );
      session.withdraw(isFirst ? second : first);
      expect(session.hosts).toEqual([]);
      expect(session.serves("a.example.com")).toBeUndefined();
    }
    expect.assertions(6);
  });

  test("a later announcement of the same call replaces its earlier one", () => {
    const { live: session } = live();
    const call = {};
    session.announce(call, { hosts: ["a.example.com"], takesRest: true });
    session.announce(call, { hosts: ["b.example.com"], takesRest: false });
    expect(session.hosts).toEqual(["b.example.com"]);
    expect(session.serves("x.example.com")).toBeUndefined();
  });

  test("the rest is served without any name, as long as one announcement takes it", () => {
    const { live: session } = live();
    const call = {};
    session.announce(call, { hosts: [], takesRest: true });
    session.announce({}, { hosts: ["a.example.com"], takesRest: false });
    expect(session.serves("x.example.com")).toBe("rest");
    expect(session.serves("a.example.com")).toBe("announced");
    session.withdraw(call);
    expect(session.serves("x.example.com")).toBeUndefined();
  });

  test("a wildcard counts as announced for what is below it", () => {
    const { live: session } = live();
    session.announce({}, { hosts: ["*.dev.example.com"], takesRest: true });
    expect(session.serves("a.dev.example.com")).toBe("announced");
    expect(session.serves("dev.example.com")).toBe("rest");
  });
});

describe("registry", () => {
  const HOST = "a.example.com";

  test("prefers who announced the name over who takes the rest, however busy", () => {
    for (const isFirst of [true, false]) {
      const registry = new Registry();
      const rest = (): unknown => added(registry, [], { takesRest: true });
      if (!isFirst) rest();
      const { live: announced } = added(registry, [HOST], { exchanges: 100 });
      if (isFirst) rest();
      expect(registry.pick(TUNNEL, HOST)).toBe(announced);
    }
    expect.assertions(2);
  });

  test("picks the fewest exchanges among equals", () => {
    const registry = new Registry();
    const busy = added(registry, [HOST], { exchanges: 2 }).live;
    const calm = added(registry, [HOST], { exchanges: 1 }).live;
    added(registry, [HOST], { exchanges: 3 });
    expect(registry.pick(TUNNEL, HOST)).toBe(calm);
    calm.exchanges = 5;
    expect(registry.pick(TUNNEL, HOST)).toBe(busy);
  });

  test("takes equals in turn", () => {
    const registry = new Registry();
    const all = [0, 1, 2].map(() => added(registry, [HOST]).live);
    const picked = Array.from({ length: 6 }, () => registry.pick(TUNNEL, HOST));
    expect(picked.map((live) => all.findIndex((each) => each === live))).toEqual([
      0, 1, 2, 0, 1, 2,
    ]);
  });

  test("skips who drains: the rest takes over, then nobody", () => {
    const registry = new Registry();
    const announced = added(registry, [HOST]);
    const rest = added(registry, [], { takesRest: true });
    announced.session.isDraining = true;
    expect(registry.pick(TUNNEL, HOST)).toBe(rest.live);
    rest.session.isDraining = true;
    expect(registry.pick(TUNNEL, HOST)).toBeUndefined();
  });

  test("picks nobody for a name that none serves, nor of another tunnel", () => {
    const registry = new Registry();
    const { live: session } = added(registry, [HOST]);
    expect(registry.pick(TUNNEL, "b.example.com")).toBeUndefined();
    expect(registry.pick("other", HOST)).toBeUndefined();
    registry.remove(session);
    expect(registry.pick(TUNNEL, HOST)).toBeUndefined();
    expect(registry.count(TUNNEL)).toBe(0);
  });
});
