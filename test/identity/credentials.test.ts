import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  EdgeDirectory,
  formatPending,
  formatTunnel,
  generateKey,
  listEdges,
  makeCode,
  parseAccount,
  parseEdge,
  parseTunnel,
  writeFileAtomic,
} from "../../src/identity/index.ts";
import type {
  Joined,
  JoinLine,
  PendingKey,
  Prepared,
  TunnelCredentials,
} from "../../src/identity/index.ts";

const root = mkdtempSync(join(tmpdir(), "tunl-credentials-"));
afterAll(() => rmSync(root, { recursive: true }));

const now = Date.UTC(2026, 10, 22, 10);
const fingerprint = "k5xqz7d2mwp4ahn6r3tcvb2yfe";
const tunnel = "0b8e5c1d-93a7-4f5e-9d21-6c4b7f0a2e58";
const joined: Joined = { kind: "tunnel", tunnel, name: "home", keyId: "laptop" };
const lineTo = (host: string): JoinLine => ({ host, port: 443, fingerprint, code: makeCode() });
let directories = 0;
function directory(): EdgeDirectory {
  directories += 1;
  return new EdgeDirectory(join(root, String(directories)), "example.com", 443);
}
function pendingOf(prepared: Prepared): PendingKey {
  if (prepared.state !== "pending") throw new Error(`Line is ${prepared.state}, expected pending`);
  return prepared.pending;
}

const credentials: TunnelCredentials = {
  ...{
    kind: "tunnel",
    host: "example.com",
    port: 443,
    fingerprint,
    tunnel,
    name: "my-tunnel",
    keyId: "home",
  },
  ...{ key: generateKey(), codeHash: undefined, createdAt: "2026-11-22T10:00:00Z" },
};

describe("credentials", () => {
  test("have the form of product.md §5", () => {
    const fields = JSON.parse(formatTunnel(credentials)) as Record<string, unknown>;
    expect(fields).toEqual({
      ...{
        version: 1,
        kind: "tunnel",
        edge: "example.com:443",
        edgeKey: fingerprint,
        tunnel,
        name: "my-tunnel",
        keyId: "home",
      },
      ...{
        privateKey: Buffer.from(credentials.key.seed).toString("base64url"),
        createdAt: "2026-11-22T10:00:00Z",
      },
    });
    const back = parseTunnel(formatTunnel(credentials), "x.json");
    expect({ ...back, key: back.key.publicKey }).toEqual({
      ...credentials,
      key: credentials.key.publicKey,
    });
  });

  test.each([
    ["version", 2],
    ["kind", "account"],
    ["edge", "example.com"],
    ["edge", "1.2.3.4:443"],
    ["edgeKey", fingerprint.slice(1)],
    ["tunnel", "../../etc/passwd"],
    ["name", ""],
    ["keyId", 7],
    ["privateKey", "AAAA"],
    ["codeHash", "00"],
    ["createdAt", undefined],
  ])("refuse a damaged %p (%p), naming file and field", (field, value) => {
    const fields = { ...(JSON.parse(formatTunnel(credentials)) as object), [field]: value };
    expect(() => parseTunnel(JSON.stringify(fields), "/x/y.json")).toThrow(
      new RegExp(`/x/y.json.*"${field}"`),
    );
  });

  test("refuse what is no JSON object without quoting it, and Cloudflare's file by its name", () => {
    for (const text of ["", "secret-that-is-no-json", "[]", "null", '"secret"']) {
      let message = "";
      try {
        parseTunnel(text, "/x.json");
      } catch (error) {
        message = String(error);
      }
      expect(message).toContain("no JSON object");
      expect(message).not.toContain("secret");
    }
    expect(() => parseTunnel('{"TunnelSecret": "abc"}', "/x.json")).toThrow(
      /Cloudflare credentials \(key TunnelSecret\)/,
    );
    expect(() => parseEdge('{"version": 1}', "/edge.json")).toThrow(/no field "addresses"/);
    expect(() => parseAccount(formatTunnel(credentials), "/account.json")).toThrow(
      /field "kind" is "tunnel"/,
    );
  });

  test("of an inherited name are not found in the file", () => {
    expect(() =>
      parseTunnel(
        '{"version": 1, "kind": "tunnel", "edge": "a.b:1", "__proto__": {"edgeKey": "x"}}',
        "p",
      ),
    ).toThrow(/no field "edgeKey"/);
  });
});

describe("edge directory", () => {
  test("is named by host, and by port where it is not 443", () => {
    expect(new EdgeDirectory("/e", "example.com", 443).path).toBe("/e/example.com");
    expect(new EdgeDirectory("/e", "tunl.localhost", 8443).path).toBe("/e/tunl.localhost_8443");
  });

  test("has the key on disk before the code can be used, and finds it again for the same line", async () => {
    const edge = directory();
    const line = lineTo("example.com");
    const first = pendingOf(await edge.prepare(line, "tunnel", now));
    expect(readdirSync(edge.path)).toHaveLength(1);
    expect(statSync(edge.path).mode & 0o777).toBe(0o700);
    const again = pendingOf(
      await new EdgeDirectory(join(root, String(directories)), "example.com", 443).prepare(
        line,
        "tunnel",
        now,
      ),
    );
    expect(again.key.seed).toEqual(first.key.seed);
    const other = pendingOf(await edge.prepare(lineTo("example.com"), "tunnel", now));
    expect(other.key.seed).not.toEqual(first.key.seed);
    expect(await edge.listTunnels()).toEqual([]);
  });

  test("writes and removes nothing for a tunnel whose id is a path", async () => {
    const edge = directory();
    const pending = pendingOf(await edge.prepare(lineTo("example.com"), "tunnel", now));
    const before = readdirSync(edge.path);
    for (const id of ["../../escaped", "..", "", `${tunnel}/../x`, tunnel.toUpperCase()]) {
      const bad = edge.complete(pending, { ...joined, tunnel: id }, now);
      expect(await bad.catch((error: unknown) => error)).toMatchObject({ code: "BAD_ANSWER" });
      const gone = edge.forgetTunnel(id);
      expect(await gone.catch((error: unknown) => error)).toMatchObject({ code: "BAD_ANSWER" });
    }
    expect(readdirSync(edge.path)).toEqual(before);
  });

  test("turns the pending key into credentials that the same line then means, after the code's end too", async () => {
    const edge = directory();
    const line = lineTo("example.com");
    const pending = pendingOf(await edge.prepare(line, "tunnel", now));
    await edge.complete(pending, joined, now);
    expect(readdirSync(edge.path).sort()).toEqual([`${tunnel}.json`, "edge.json"]);
    expect(await edge.readEdge()).toMatchObject({
      host: "example.com",
      fingerprint,
      tunnel,
      addresses: [],
    });
    const known = await edge.prepare(line, "tunnel", now + 86_400_000);
    expect(known).toMatchObject({
      state: "known",
      credentials: { tunnel, name: "home", keyId: "laptop" },
    });
    if (known.state === "known") expect(known.credentials.key.seed).toEqual(pending.key.seed);
    expect(readFileSync(join(edge.path, `${tunnel}.json`), "utf8")).not.toContain(
      Buffer.from(line.code).toString("hex"),
    );
  });

  test("completes again after a crash between any two of its writes", async () => {
    const edge = directory();
    const line = lineTo("example.com");
    const pending = pendingOf(await edge.prepare(line, "tunnel", now));
    const [pendingFile] = readdirSync(edge.path) as [string];
    await edge.complete(pending, joined, now);
    // As if the last step had not happened, then as if only the first one had.
    writeFileSync(join(edge.path, pendingFile), formatPending(pending), { mode: 0o600 });
    rmSync(join(edge.path, "edge.json"));
    expect((await edge.prepare(line, "tunnel", now)).state).toBe("known");
    expect(readdirSync(edge.path).sort()).toEqual([`${tunnel}.json`, "edge.json"]);
    expect((await edge.readEdge())?.tunnel).toBe(tunnel);
    await edge.complete(pending, joined, now);
    expect((await edge.readEdge())?.tunnel).toBe(tunnel);
  });

  test("keeps a line given to the wrong command apart from the right one", async () => {
    const edge = directory();
    const line = lineTo("example.com");
    const wrong = pendingOf(await edge.prepare(line, "tunnel", now));
    const right = pendingOf(await edge.prepare(line, "account", now));
    expect(right.key.seed).not.toEqual(wrong.key.seed);
    await edge.discard(wrong);
    await edge.discard(wrong);
    const account = await edge.complete(right, { kind: "account", keyId: "laptop" }, now);
    expect(account.kind).toBe("account");
    expect(readdirSync(edge.path).sort()).toEqual(["account.json", "edge.json"]);
    expect((await edge.readAccount())?.key.seed).toEqual(right.key.seed);
    expect((await edge.prepare(line, "account", now)).state).toBe("known");
  });

  test("refuses a line whose code is known with another edge's key", async () => {
    const edge = directory();
    const line = lineTo("example.com");
    const other = { ...line, fingerprint: "a".repeat(26) };
    const pending = pendingOf(await edge.prepare(line, "tunnel", now));
    await expect(edge.prepare(other, "tunnel", now)).rejects.toMatchObject({
      code: "EDGE_KEY_MISMATCH",
    });
    await edge.complete(pending, joined, now);
    await expect(edge.prepare(other, "tunnel", now)).rejects.toMatchObject({
      code: "EDGE_KEY_MISMATCH",
    });
  });

  test("keeps the last good addresses when another tunnel joins, and forgets them when the edge was rebuilt", async () => {
    const edge = directory();
    const addresses = ["203.0.113.7"];
    const join = async (line: JoinLine, name: string): Promise<void> => {
      await edge.complete(
        pendingOf(await edge.prepare(line, "tunnel", now)),
        { ...joined, tunnel: name } as Joined,
        now,
      );
    };
    await join(lineTo("example.com"), tunnel);
    await edge.writeEdge({
      host: "example.com",
      port: 443,
      fingerprint,
      addresses,
      tunnel,
      joinedAt: "2026-01-01T00:00:00Z",
    });
    const second = tunnel.replace("0b8e", "1111");
    await join(lineTo("example.com"), second);
    expect(await edge.readEdge()).toMatchObject({ addresses, tunnel: second });
    await join({ ...lineTo("example.com"), fingerprint: "b".repeat(26) }, tunnel);
    expect(await edge.readEdge()).toMatchObject({ addresses: [], fingerprint: "b".repeat(26) });
    expect((await edge.listTunnels()).map((entry) => entry.tunnel)).toEqual([tunnel, second]);
  });

  test("is listed with the others, the one joined last first", async () => {
    const base = join(root, "several");
    expect(await listEdges(base)).toEqual([]);
    for (const [host, joinedAt] of [
      ["a.example", "2026-01-01T00:00:00Z"],
      ["b.example", "2026-02-01T00:00:00Z"],
    ] as const) {
      await new EdgeDirectory(base, host, 443).writeEdge({
        host,
        port: 443,
        fingerprint,
        addresses: [],
        tunnel: undefined,
        joinedAt,
      });
    }
    await writeFileAtomic(join(base, "stray-file"), "");
    expect((await listEdges(base)).map((edge) => edge.host)).toEqual(["b.example", "a.example"]);
  });

  test("reads no tunnel by a name that is no UUID", async () => {
    expect(await directory().readTunnel("../../account")).toBeUndefined();
  });
});
