// Names that browsers, IDNA and people who break things make: as Host they are refused, or are the name they spell. S-20.
import { describe, expect, test } from "bun:test";
import type { VisitorPeer } from "../../src/edge/request.ts";
import { Http1Error } from "../../src/http1/index.ts";
import { corpus, decode, text } from "../http1/support.ts";
import { build, head, linesOf, request } from "./heads.ts";
import { PEER } from "./listen/rig.ts";

interface HostRow {
  id: string;
  set: "url" | "idna" | "toascii";
  hostname?: string;
  output?: string | null;
  candidate: string | null;
}

const rows = corpus<HostRow>("wpt-hosts.jsonl");
const strings = corpus<{ id: number; bytes: string }>("naughty-strings.jsonl");

/** Every name that some row means: what a careless reader could take one of the candidates for. */
const known = new Set(
  (rows ?? [])
    .flatMap(({ hostname, output }) => [hostname ?? output ?? ""])
    .filter((name) => name !== ""),
);

/** An edge that serves all of them, on the ports of its listener. */
const OPEN: VisitorPeer = { ...PEER, covers: (host) => known.has(host) };

/** One character per byte of UTF-8: how a client would send it. */
const sent = (candidate: string): string => Buffer.from(candidate, "utf8").toString("latin1");

/** The host that a request with this Host is routed to; undefined when it is refused. */
function routed(host: string): string | undefined {
  try {
    const built = build(head("GET / HTTP/1.1", `Host: ${host}`), OPEN);
    return "code" in built ? undefined : built.host;
  } catch (error) {
    // A line end or a control in the name: the head itself is refused.
    if (error instanceof Http1Error) return undefined;
    throw error;
  }
}

const trimmed = (value = ""): string => value.replace(/^[ \t]+|[ \t]+$/g, "");

/** The rule and nothing else: ASCII lower case, the listener's port and one trailing dot off. */
const spelled = (host: string): string =>
  trimmed(host)
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replace(/:(443|8443)$/, "")
    .replace(/\.$/, "");

describe.skipIf(rows === undefined)("hosts of the URL and IDNA tests of the web", () => {
  test("are refused, or equal the routed name byte for byte after the rule (S-20)", () => {
    const counts = { routed: 0, refused: 0 };
    const wrong: string[] = [];
    for (const { id, candidate } of rows ?? []) {
      if (candidate === null) continue;
      const host = sent(candidate);
      const name = routed(host);
      if (name === undefined) counts.refused++;
      else counts.routed++;
      if (name !== undefined && (name !== spelled(host) || !known.has(name)))
        wrong.push(`${id}: ${JSON.stringify(candidate)} is routed to ${name}`);
    }
    expect(wrong).toEqual([]);
    expect(counts.routed).toBeGreaterThan(100);
    expect(counts.refused).toBeGreaterThan(1_000);
  });

  test("that a browser would map to a served name by other means are not served", () => {
    let mapped = 0;
    for (const { candidate, hostname, output } of rows ?? []) {
      const meant = hostname ?? output ?? "";
      if (candidate === null || meant === "" || spelled(sent(candidate)) === meant) continue;
      expect([candidate, routed(sent(candidate)) === meant]).toEqual([candidate, false]);
      mapped++;
    }
    expect(mapped).toBeGreaterThan(300);
  });

  test("can be a target or a value without becoming a route", () => {
    for (const { candidate } of rows ?? []) {
      if (candidate === null || /[\0-\x08\n-\x1f\x7f]/.test(sent(candidate))) continue;
      const built = request(
        head(
          "GET / HTTP/1.1",
          "Host: app.example.com",
          `X-Host: ${sent(candidate)}`,
          `Referer: http://${sent(candidate)}/`,
        ),
      );
      expect(built.host).toBe("app.example.com");
    }
  });
});

describe.skipIf(strings === undefined)("naughty strings", () => {
  const all = (strings ?? []).map(({ bytes }) => text(decode(bytes)));

  test("as Host are refused, or the name that they are (S-20)", () => {
    const peer: VisitorPeer = { ...PEER, covers: () => true };
    const taken: string[] = [];
    for (const string of all) {
      let built: ReturnType<typeof build>;
      try {
        built = build(head("GET / HTTP/1.1", `Host: ${string}`), peer);
      } catch (error) {
        if (error instanceof Http1Error) continue;
        throw error;
      }
      if ("code" in built) continue;
      expect(built.host).toBe(spelled(string));
      expect(built.host).toMatch(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/);
      taken.push(built.host);
    }
    expect(taken.length).toBeGreaterThan(10);
    expect(taken.length).toBeLessThan(all.length / 4);
  });

  test("as a value go on unchanged, or the request is refused; as a target, too", () => {
    const counts = { value: 0, target: 0, refused: 0 };
    for (const string of all) {
      for (const where of ["value", "target"] as const) {
        const lines =
          where === "value"
            ? ["GET / HTTP/1.1", "Host: app.example.com", `X-Text: ${string}`]
            : [`GET /${string} HTTP/1.1`, "Host: app.example.com"];
        try {
          const built = request(head(...lines));
          if (where === "target") expect(text(built.target)).toBe(`/${string}`);
          else expect(trimmed(linesOf(built)[0]?.slice("X-Text:".length))).toBe(trimmed(string));
          counts[where]++;
        } catch (error) {
          if (!(error instanceof Http1Error)) throw error;
          counts.refused++;
        }
      }
    }
    expect(counts.value).toBeGreaterThan(400);
    expect(counts.target).toBeGreaterThan(50);
    expect(counts.value + counts.target + counts.refused).toBe(2 * all.length);
  });
});
