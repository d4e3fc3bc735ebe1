// Names of ours in every spelling that something behind an origin's server takes for them. S-30, S-31, S-32.
import { describe, expect, test } from "bun:test";
import type { VisitorPeer } from "../../src/edge/request.ts";
import { REQUEST_FIELD_RULES, type RequestFieldRules } from "../../src/exchange/index.ts";
import { ReservedNames } from "../../src/headers/index.ts";
import { requestWriter } from "../../src/http1/index.ts";
import { APPLICATIONS } from "./applications.ts";
import { build, codeOf, linesOf, request, simple, valuesOf } from "./heads.ts";
import { PEER } from "./listen/rig.ts";

/** Every byte that a name may have besides letters and digits. */
const SEPARATORS = [..."!#$%&'*+-.^_`|~"];

/** The reserved set of security.md, a name for each open end, and an identity header that is configured. */
const IDENTITY = "X-Auth-User";
const NAMES = [
  "Forwarded",
  "X-Forwarded",
  "X-Forwarded-For",
  "X-Forwarded-Host",
  "X-Forwarded-Proto",
  "X-Forwarded-Port",
  "X-Forwarded-Uri",
  "X-Forwarded-User",
  "X-Real-IP",
  "X-Client-IP",
  "True-Client-IP",
  "CF-Connecting-IP",
  "CF-IPCountry",
  "X-Original-URL",
  "X-Original-Forwarded-For",
  "X-Rewrite-URL",
  "X-Envoy-Internal",
  "X-Envoy-External-Address",
  "Proxy",
  "X-Tunl-User",
  "X-Tunl-Request-Id",
  "Tunl-Client-Id",
  "Tunl-Client-Secret",
  IDENTITY,
];

const peerWith = (underscores: RequestFieldRules["underscores"]): VisitorPeer => ({
  ...PEER,
  fieldRules: { ...REQUEST_FIELD_RULES, underscores, reserved: new ReservedNames([IDENTITY]) },
});

/** How names become variables: each takes two spellings for one. */
const FOLDS: Readonly<Record<string, (name: string) => string>> = {
  /** RFC 3875 §4.1.18, as most servers do it. */
  cgi: (name) => `HTTP_${name.toUpperCase().replaceAll("-", "_")}`,
  /** Servers that replace whatever is no letter or digit. */
  cgiAll: (name) => `HTTP_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`,
  /** PEP 3333. */
  wsgi: (name) => `HTTP_${name.toUpperCase().replaceAll("-", "_")}`,
  /** Names of variables that PHP registers have no dot, blank or bracket. */
  php: (name) =>
    `HTTP_${name
      .toUpperCase()
      .replaceAll("-", "_")
      .replaceAll(/[. [+]/g, "_")}`,
};

/** Every spelling of a name with one or two kinds of separator, up to a few hundred. */
function spellings(name: string): string[] {
  const parts = name.split("-");
  const made = new Set<string>();
  for (const first of SEPARATORS) {
    for (const second of SEPARATORS) {
      const spelled = parts
        .map((part, index) => (index === 0 ? part : (index % 2 === 1 ? first : second) + part))
        .join("");
      made.add(spelled);
      made.add(spelled.toUpperCase());
      made.add(spelled.toLowerCase());
    }
  }
  return [...made];
}

/** Requests as they go on, one per chunk of fields; each line of `fields` has the value "evil". */
const forwarded = (fields: readonly string[], peer: VisitorPeer): string[] => {
  const kept: string[] = [];
  for (let from = 0; from < fields.length; from += 100) {
    const head = simple(...fields.slice(from, from + 100).map((name) => `${name}: evil`));
    kept.push(...linesOf(request(head, peer)).filter((line) => line.endsWith(": evil")));
  }
  return kept;
};

describe("aliases of our names (S-30)", () => {
  test.each(["drop", "keep"] as const)(
    "no spelling of a reserved name arrives when odd names are to %s, whatever the separators",
    (underscores) => {
      let tried = 0;
      for (const name of NAMES) {
        const all = spellings(name);
        tried += all.length;
        expect([name, forwarded(all, peerWith(underscores))]).toEqual([name, []]);
      }
      expect(tried).toBeGreaterThan(5_000);
    },
  );

  test("whatever arrives under `keep` is no name of ours for CGI, WSGI or PHP", () => {
    const ours = new Set(NAMES.flatMap((name) => Object.values(FOLDS).map((fold) => fold(name))));
    // Near misses, too: a letter more or less, a separator more or less.
    const near = NAMES.flatMap((name) => [
      name.slice(0, -1),
      `${name}s`,
      name.replace("-", ""),
      name.replace("-", "--"),
      name.replace("-", "_-"),
      `_${name}`,
      `${name}_`,
      `.${name}`,
    ]);
    const kept = forwarded([...new Set(near)], peerWith("keep"));
    expect(kept.length).toBeGreaterThan(50);
    for (const line of kept) {
      const name = line.slice(0, line.indexOf(":"));
      for (const [kind, fold] of Object.entries(FOLDS))
        expect([kind, name, ours.has(fold(name))]).toEqual([kind, name, false]);
    }
  });
});

/** A request with these fields, as a connector writes it. */
const written = (fields: Uint8Array): Uint8Array =>
  requestWriter().head({
    line: { method: "GET", target: Buffer.from("/") },
    host: "app.example.com",
    fields,
    framing: { kind: "none" },
    connection: "close",
  });

describe.each(APPLICATIONS.map((application) => [application.name, application] as const))(
  "a real %s application (S-30)",
  (_, application) => {
    test.skipIf(!application.isThere)(
      "sees our values only, by whatever name it asks",
      async () => {
        const spelled = NAMES.flatMap((name) => [
          name,
          name.replaceAll("-", "_"),
          name.toLowerCase().replace("-", "_"),
          name.toUpperCase().replaceAll("-", "."),
        ]).map((name) => `${name}: evil`);
        const built = request(simple(...spelled), peerWith("keep"));
        const raw = Buffer.from(spelled.map((line) => `${line}\r\n`).join(""), "latin1");
        const [seen = {}, unfiltered = {}] = await application.ask([
          written(built.fields),
          written(raw),
        ]);
        // The application does fold: without the rule it is told what the visitor said.
        expect(unfiltered["HTTP_X_FORWARDED_FOR"]).toContain("evil");
        expect(seen).toEqual({
          HTTP_HOST: "app.example.com",
          HTTP_CONNECTION: "close",
          HTTP_X_FORWARDED_FOR: "192.0.2.7",
          HTTP_X_FORWARDED_HOST: "app.example.com",
          HTTP_X_FORWARDED_PROTO: "https",
          HTTP_X_FORWARDED_PORT: "443",
          HTTP_X_REAL_IP: "192.0.2.7",
          HTTP_CDN_LOOP: "tunl-0123456789abcdef",
          HTTP_X_TUNL_REQUEST_ID: Buffer.from(built.id).toString("hex"),
        });
      },
    );
  },
);

describe("odd names (S-31)", () => {
  const FIELDS = ["my_field: 1", "my.field: 2", "my_other.field: 3", "my~field: 4", "my-field: 5"];
  const kept = (peer: VisitorPeer): string[] =>
    linesOf(request(simple(...FIELDS), peer)).filter((line) => line.startsWith("my"));

  test("are dropped by default, kept or refused where that is chosen", () => {
    expect(kept(PEER)).toEqual(["my~field: 4", "my-field: 5"]);
    expect(kept(peerWith("drop"))).toEqual(["my~field: 4", "my-field: 5"]);
    expect(kept(peerWith("keep"))).toEqual(FIELDS);
    for (const field of FIELDS) {
      const expected = /[_.]/.test(field) ? "BAD_REQUEST" : undefined;
      expect([field, codeOf(build(simple(field), peerWith("reject")))]).toEqual([field, expected]);
    }
  });

  test("that are aliases of ours go before any of the three rules", () => {
    // Not even `reject` tells a visitor which names are known.
    for (const underscores of ["drop", "keep", "reject"] as const) {
      const built = build(simple("X_Forwarded.For: evil"), peerWith(underscores));
      expect(codeOf(built)).toBeUndefined();
    }
  });
});

describe("what Connection may take away (S-32)", () => {
  const ADDED = linesOf(request(simple())).map((line) => line.slice(0, line.indexOf(":")));

  test("is none of the fields that we add, one by one, by no spelling [CVE-2024-45410]", () => {
    expect(ADDED).toEqual([
      "X-Forwarded-For",
      "X-Forwarded-Host",
      "X-Forwarded-Proto",
      "X-Forwarded-Port",
      "X-Real-IP",
      "CDN-Loop",
      "X-Tunl-Request-Id",
    ]);
    for (const name of ADDED) {
      const aliases = name === "CDN-Loop" ? [] : spellings(name).slice(0, 60);
      for (const spelled of [name, name.toLowerCase(), name.toUpperCase(), ...aliases]) {
        for (const value of [spelled, `close, ${spelled}`, `x-own,${spelled} ,keep-alive`]) {
          const built = build(simple(`Connection: ${value}`, "X-Own: 1"));
          expect([value, codeOf(built)]).toEqual([value, "BAD_REQUEST"]);
        }
      }
    }
  });

  test("is every hop-by-hop field and what a visitor calls its own, again and again, and ours stay", () => {
    const hop = ["Keep-Alive", "Proxy-Connection", "TE", "Upgrade", "HTTP2-Settings", "X-Own"];
    for (let bits = 0; bits < 1 << hop.length; bits++) {
      const named = hop.filter((_, index) => (bits >> index) % 2 === 1);
      const fields = hop.map((name) => `${name}: 1`);
      for (const connection of [
        named.join(", "),
        named.join(",,"),
        [...named].reverse().join(" ,\t"),
      ]) {
        const built = request(simple(`Connection: ${connection}`, ...fields, `connection: close`));
        const own = linesOf(built).slice(0, -ADDED.length);
        expect([named, own]).toEqual([named, named.includes("X-Own") ? [] : ["X-Own: 1"]]);
        for (const name of ADDED) expect(valuesOf(built, name)).toHaveLength(1);
      }
    }
  });
});
