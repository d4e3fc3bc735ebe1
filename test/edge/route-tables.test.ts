// Ten thousand hosts, spelled at random, in tables of every size: the same answer each time. S-21.
import { beforeAll, describe, expect, test } from "bun:test";
import { canonicalHost } from "../../src/address/index.ts";
import {
  type Certificate,
  CertificateTable,
  contextOf,
} from "../../src/edge/certificates/certificates.ts";
import { makeSelfSigned } from "../../src/edge/certificates/internal-ca.ts";
import { LiveSession } from "../../src/edge/route/index.ts";
import { Snapshot } from "../../src/edge/store/index.ts";
import type { Session } from "../../src/session/index.ts";
import { bytes, Random } from "../http1/support.ts";

const HOSTS = 10_000;
/** Sizes around which somebody's table changed its way of looking, and the largest that is promised. */
const SIZES = [1, 100, 101, 10_000];
const LABELS = "abcdefghijklmnopqrstuvwxyz0123456789";
const ID = new Uint8Array(16);

/** Entries of a table: exact names, and below every tenth a wildcard. The number is the owner. */
const entryOf = (index: number): string =>
  index % 10 === 9 ? `*.w${index}.example.com` : `h${index}.example.com`;
const ownerOf = (index: number): string => `tunnel-${index}`;

interface Probe {
  readonly host: string;
  /** Index of the entry that covers it; undefined: none does. */
  readonly entry: number | undefined;
  /** Grants match `*.x` at any depth, certificates one label. */
  readonly isDeep: boolean;
}

/** A host about which it is known beforehand what a table of `size` entries says. */
function probe(random: Random, size: number): Probe {
  const entry = random.below(size);
  const name = entryOf(entry);
  const label = `x${random.text(LABELS, random.below(8))}`;
  if (name.startsWith("*.")) {
    const parent = name.slice(2);
    switch (random.below(4)) {
      case 0:
        return { host: parent, entry: undefined, isDeep: false };
      case 1:
        return { host: `${label}.${label}.${parent}`, entry, isDeep: true };
      default:
        return { host: `${label}.${parent}`, entry, isDeep: false };
    }
  }
  switch (random.below(6)) {
    case 0:
      return { host: `${label}.${name}`, entry: undefined, isDeep: false };
    case 1:
      return { host: `${name}.${label}`, entry: undefined, isDeep: false };
    case 2:
      // One more digit, one less: the neighbours that a prefix or a suffix would match.
      return { host: `h${size + random.below(9)}.example.com`, entry: undefined, isDeep: false };
    default:
      return { host: name, entry, isDeep: false };
  }
}

/** The same host by another spelling: any case, perhaps a dot at the end, perhaps a port. */
function spell(random: Random, host: string): string {
  const letters = [...host].map((letter) =>
    random.below(2) === 0 ? letter.toUpperCase() : letter,
  );
  return letters.join("") + random.pick(["", "."]) + random.pick(["", ":443"]);
}

describe("tables of hosts (S-21)", () => {
  let makeCertificate: (index: number) => Certificate;

  beforeAll(async () => {
    const context = contextOf(await makeSelfSigned("test", 1, Date.now()));
    makeCertificate = (index) => ({
      id: String(index),
      names: [entryOf(index)],
      context,
      notBefore: 0,
      notAfter: 0,
    });
  });

  function tableOf(size: number): CertificateTable {
    const table = new CertificateTable();
    // One call of `put` orders the whole table anew: names by the hundred are put together.
    for (let from = 0; from < size; from += 100) {
      const all = Array.from({ length: Math.min(100, size - from) }, (_, at) => entryOf(from + at));
      table.put({ ...makeCertificate(from), names: all });
    }
    return table;
  }

  function snapshotOf(size: number): Snapshot {
    const snapshot = new Snapshot();
    snapshot.apply(
      Array.from({ length: size }, (_, index) => ({
        table: "hosts" as const,
        row: {
          host: entryOf(index),
          tunnel: ownerOf(index),
          how: "granted" as const,
          random: undefined,
          createdAt: 1,
          usedAt: 1,
          isFixed: false,
          proof: undefined,
        },
      })),
    );
    return snapshot;
  }

  test.each(SIZES)(
    "find a host alike in every spelling, among %p entries [CVE-2026-27588]",
    (size) => {
      const random = new Random(`${size} entries`);
      const table = tableOf(size);
      const snapshot = snapshotOf(size);
      const counts = { found: 0, absent: 0 };
      for (let round = 0; round < HOSTS; round++) {
        const { host, entry, isDeep } = probe(random, size);
        const spelled = spell(random, host);
        const canonical = canonicalHost(bytes(spelled))?.host;
        if (canonical !== host) throw new Error(`${spelled} is ${canonical}, not ${host}`);
        const owner = snapshot.ownerOf(canonical);
        if (owner !== (entry === undefined ? undefined : ownerOf(entry)))
          throw new Error(`${spelled} belongs to ${owner} among ${size}, not to entry ${entry}`);
        const certificate = table.find(canonical);
        const isCovered = entry !== undefined && !isDeep;
        if ((certificate !== undefined) !== isCovered || table.covers(canonical) !== isCovered)
          throw new Error(`${spelled} is covered by ${certificate?.id} among ${size}`);
        if (certificate?.names.includes(entryOf(entry ?? -1)) === false)
          throw new Error(`${spelled} is shown another certificate, ${certificate.id}`);
        counts[entry === undefined ? "absent" : "found"]++;
      }
      expect(counts.found + counts.absent).toBe(HOSTS);
      expect(Math.min(counts.found, counts.absent)).toBeGreaterThan(1_000);
    },
  );

  test.each(SIZES.slice(0, 3))(
    "so does a session among %p announced names [CVE-2026-27588]",
    (size) => {
      const random = new Random(`${size} announced`);
      const live = new LiveSession(
        // Nothing of the session itself is asked.
        {} as Session,
        { kind: "tunnel", id: "7f0c", name: "home", keyId: "k", application: ID },
        { id: ID, key: ID, instance: ID, label: "" },
        0,
      );
      const hosts = Array.from({ length: size }, (_, index) => entryOf(index));
      live.announce({}, { hosts, takesRest: false });
      for (let round = 0; round < HOSTS / 10; round++) {
        const { host, entry } = probe(random, size);
        const canonical = canonicalHost(bytes(spell(random, host)))?.host ?? "";
        expect([host, live.serves(canonical)]).toEqual([
          host,
          entry === undefined ? undefined : "announced",
        ]);
      }
    },
  );
});
