import { describe, expect, test } from "bun:test";
import { decideClaim, decideGrant, isGranted, randomBase } from "../../src/edge/route/grants.ts";
import type { Decision, NameRules } from "../../src/edge/route/grants.ts";
import { RESERVED_LABELS } from "../../src/edge/route/names.ts";
import { Snapshot } from "../../src/edge/store/index.ts";

const mine = "11111111-1111-4111-8111-111111111111";
const other = "22222222-2222-4222-8222-222222222222";
const rules: NameRules = {
  domains: ["example.com", "lab.example.com", "example.org"],
  reserved: RESERVED_LABELS,
  claim: "invited",
  fixed: [],
};

function viewOf(hosts: Readonly<Record<string, string>>): Snapshot {
  const snapshot = new Snapshot();
  for (const [host, tunnel] of Object.entries(hosts)) {
    snapshot.apply([
      {
        table: "hosts",
        row: {
          host,
          tunnel,
          how: "granted",
          random: undefined,
          createdAt: 1,
          usedAt: 1,
          isFixed: false,
          proof: undefined,
        },
      },
    ]);
  }
  return snapshot;
}

const claim = (host: string, scope: string[] = [], view = viewOf({}), own = rules): Decision =>
  decideClaim(view, own, { tunnel: mine, scope, host });

describe("grants", () => {
  test("hold for the owner of a name and nobody else, at this moment", () => {
    const view = viewOf({ "app.example.com": mine });
    expect(isGranted(view, "app.example.com", mine)).toBe(true);
    expect(isGranted(view, "app.example.com", other)).toBe(false);
    expect(isGranted(view, "www.app.example.com", mine)).toBe(false);
    expect(isGranted(view, "example.com", mine)).toBe(false);
    view.apply([{ table: "hosts", gone: "app.example.com" }]);
    expect(isGranted(view, "app.example.com", mine)).toBe(false);
  });

  test("of *.x hold for every name below x at any depth, not for x", () => {
    const view = viewOf({ "*.dev.example.com": mine });
    for (const host of [
      "a.dev.example.com",
      "a.b.dev.example.com",
      "*.dev.example.com",
      "*.b.dev.example.com",
    ]) {
      expect(isGranted(view, host, mine)).toBe(true);
    }
    for (const host of ["dev.example.com", "adev.example.com", "*.example.com"])
      expect(isGranted(view, host, mine)).toBe(false);
  });

  test("of the nearer name win, whoever has the wider one", () => {
    const view = viewOf({
      "*.example.com": mine,
      "*.b.example.com": other,
      "c.b.example.com": mine,
    });
    expect(isGranted(view, "a.example.com", mine)).toBe(true);
    expect(isGranted(view, "a.b.example.com", other)).toBe(true);
    expect(isGranted(view, "a.b.example.com", mine)).toBe(false);
    expect(isGranted(view, "c.b.example.com", mine)).toBe(true);
  });

  test("are the same at 1 and 10,000 entries (S-21)", () => {
    const view = viewOf(
      Object.fromEntries(
        Array.from({ length: 10_000 }, (_, index) => [`host-${index}.example.com`, other]),
      ),
    );
    view.apply(
      [...viewOf({ "app.example.com": mine }).hosts].map((row) => ({ table: "hosts", row })),
    );
    expect(isGranted(view, "app.example.com", mine)).toBe(true);
    expect(isGranted(view, "host-9999.example.com", other)).toBe(true);
    expect(view.ownerOf("host-10000.example.com")).toBeUndefined();
  });
});

describe("claims", () => {
  test("of the default scope take any free label below a domain", () => {
    for (const host of ["app.example.com", "app.lab.example.com", "app.example.org"])
      expect(claim(host)).toBe("free");
    for (const host of [
      "a.b.example.com",
      "example.com",
      "lab.example.com",
      "*.example.com",
      "*.a.example.com",
      "app.other.net",
      "x",
    ]) {
      expect({ host, decision: claim(host) }).toEqual({ host, decision: "notGranted" });
    }
  });

  test("of a scope take what it names, and nothing else", () => {
    const scope = ["bob.example.com", "*.dev.example.com"];
    for (const host of [
      "bob.example.com",
      "a.dev.example.com",
      "a.b.dev.example.com",
      "*.dev.example.com",
      "*.a.dev.example.com",
    ]) {
      expect({ host, decision: claim(host, scope) }).toEqual({ host, decision: "free" });
    }
    for (const host of [
      "app.example.com",
      "dev.example.com",
      "x.bob.example.com",
      "*.bob.example.com",
      "*.example.com",
    ]) {
      expect({ host, decision: claim(host, scope) }).toEqual({ host, decision: "notGranted" });
    }
  });

  test("never take a bare domain, its wildcard, a reserved label or a tunnel's UUID, whatever the scope says", () => {
    const scope = [
      "example.com",
      "*.example.com",
      "www.example.com",
      "*.com",
      "*.other.net",
      "lab.example.com",
    ];
    for (const host of [
      "example.com",
      "lab.example.com",
      "*.example.com",
      "www.example.com",
      "a.mail.example.com",
      `${other}.example.com`,
    ]) {
      expect({ host, decision: claim(host, scope) }).toEqual({ host, decision: "notGranted" });
    }
    expect(claim("app.example.com", scope)).toBe("free");
    expect(claim("www.app.example.com", scope)).toBe("free");
  });

  test("take a name outside of the domains only where the scope means it", () => {
    expect(claim("shop.other.net", ["*.other.net"])).toBe("free");
    expect(claim("*.shop.other.net", ["*.other.net"])).toBe("free");
    expect(claim("shop.other.net", ["shop.other.net"])).toBe("free");
    expect(claim("shop.other.net", [])).toBe("notGranted");
    expect(claim("other.net", ["*.other.net"])).toBe("notGranted");
    // Above a domain of the edge nothing is foreign.
    expect(claim("*.com", ["*.com"])).toBe("notGranted");
  });

  test("take nothing of another tunnel, above or below", () => {
    const view = viewOf({
      "app.example.com": other,
      "*.dev.example.com": other,
      "x.mine.example.com": other,
    });
    expect(claim("app.example.com", [], view)).toBe("taken");
    expect(claim("a.dev.example.com", ["*.example.com"], view)).toBe("taken");
    expect(claim("*.a.dev.example.com", ["*.example.com"], view)).toBe("taken");
    expect(claim("*.mine.example.com", ["*.example.com"], view)).toBe("taken");
    expect(claim("mine.example.com", [], view)).toBe("free");
    // Outside of the scope nobody learns whether a name has an owner.
    expect(claim("app.example.com", ["bob.example.com"], view)).toBe("notGranted");
  });

  test("of a name held already are fine even outside of the scope", () => {
    const view = viewOf({ "example.com": mine, "*.dev.example.com": mine });
    expect(claim("example.com", [], view)).toBe("held");
    expect(claim("a.b.dev.example.com", [], view)).toBe("held");
  });

  test("follow names.claim: all opens any free label, none closes all", () => {
    expect(
      claim("app.example.com", ["bob.example.com"], viewOf({}), { ...rules, claim: "all" }),
    ).toBe("free");
    expect(
      claim("bob.example.com", ["bob.example.com"], viewOf({}), { ...rules, claim: "all" }),
    ).toBe("free");
    expect(
      claim("a.b.example.com", ["bob.example.com"], viewOf({}), { ...rules, claim: "all" }),
    ).toBe("notGranted");
    expect(claim("app.example.com", [], viewOf({}), { ...rules, claim: "none" })).toBe(
      "notGranted",
    );
  });
});

describe("grants by the owner", () => {
  test("give reserved labels, bare domains and foreign names, but no overlap and no tunnel's UUID", () => {
    const view = viewOf({ "app.example.com": other, "*.dev.example.com": other });
    for (const host of [
      "example.com",
      "www.example.com",
      "shop.other.net",
      "free.example.com",
      "*.free.example.com",
    ]) {
      expect({ host, decision: decideGrant(view, rules, mine, host) }).toEqual({
        host,
        decision: "free",
      });
    }
    for (const host of ["app.example.com", "*.example.com", "a.dev.example.com"]) {
      expect({ host, decision: decideGrant(view, rules, mine, host) }).toEqual({
        host,
        decision: "taken",
      });
    }
    expect(decideGrant(view, rules, other, "a.dev.example.com")).toBe("held");
    expect(decideGrant(view, rules, mine, `${mine}.example.com`)).toBe("notGranted");
    expect(decideGrant(view, rules, mine, "1.2.3.4")).toBe("notGranted");
  });
});

describe("random names", () => {
  test("are drawn below the first domain, or inside the scope, or not at all", () => {
    expect(randomBase(rules, [])).toBe("example.com");
    expect(randomBase(rules, ["bob.example.com", "*.dev.example.org"])).toBe("dev.example.org");
    expect(randomBase(rules, ["*.example.org"])).toBe("example.org");
    expect(randomBase(rules, ["bob.example.com"])).toBeUndefined();
    expect(randomBase(rules, ["*.other.net"])).toBeUndefined();
    expect(randomBase({ ...rules, claim: "all" }, ["bob.example.com"])).toBe("example.com");
  });
});
