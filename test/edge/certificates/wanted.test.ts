// This file is the way in which a name comes to want a certificate: it is granted. R-19.
import { describe, expect, test } from "bun:test";
import { type CertificateSource, wantGranted } from "../../../src/edge/certificates/index.ts";
import { Snapshot } from "../../../src/edge/store/index.ts";
import type { HostRow } from "../../../src/edge/store/records.ts";

function row(host: string): HostRow {
  return { host, tunnel: "t", how: "claimed", createdAt: 0, usedAt: 0 } as unknown as HostRow;
}

describe("wanted names", () => {
  test("are those that are granted, as long as they are, and nothing else (R-19)", () => {
    const log: string[] = [];
    const source: CertificateSource = {
      want: (name) => void log.push(`want ${name}`),
      unwant: (name) => void log.push(`unwant ${name}`),
      retry: () => undefined,
      ready: async () => undefined,
      arriving: () => undefined,
      state: () => ({ state: "none" }),
      [Symbol.asyncDispose]: async () => undefined,
    };
    const snapshot = new Snapshot();
    snapshot.apply([{ table: "hosts", row: row("a.example.com") }]);
    wantGranted(source, snapshot);
    expect(log).toEqual(["want a.example.com"]);
    snapshot.apply([{ table: "hosts", row: row("*.b.example.com") }]);
    // Seen again is not granted again.
    snapshot.apply([{ table: "hosts", row: { ...row("a.example.com"), usedAt: 1 } }]);
    snapshot.apply([{ table: "hosts", gone: "a.example.com" }]);
    snapshot.apply([{ table: "hosts", gone: "never.example.com" }]);
    expect(log).toEqual(["want a.example.com", "want *.b.example.com", "unwant a.example.com"]);
  });
});
