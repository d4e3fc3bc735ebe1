// This file is strangers at the edge's door: whatever they try, connectors get in. security.md.
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { generateKey, makeCode, parseJoinLine, type SigningKey } from "../../src/identity/index.ts";
import {
  ALPN,
  connectLink,
  type ConnectOptions,
  DEFAULT_PARAMETERS,
  FAILED_CODES_PER_MINUTE,
  HANDSHAKES_PAST_TLS,
  SESSIONS_PER_TUNNEL,
} from "../../src/session/index.ts";
import { within } from "../within.ts";
import { eventually } from "../binary/program.ts";
import { Home, tunl } from "../binary/tunl.ts";
import { CAN_RUN, startConnector, TestEdge } from "./rig.ts";

/** One source may fail so often in a minute without a penalty, which would end the test instead of the attack. */
const PER_SOURCE = 8;
const IS_LINUX = process.platform === "linux";
if (!IS_LINUX) console.warn("Skipped: strangers need the whole of 127.0.0.0/8, as Linux has it");

/** A link up to the end of TLS. */
async function dial(edge: TestEdge, localAddress: string): Promise<TLSSocket> {
  const options: ConnectionOptions & { localAddress: string; allowHalfOpen: boolean } = {
    host: "127.0.0.1",
    port: edge.port,
    localAddress,
    allowHalfOpen: true,
    ALPNProtocols: [ALPN],
    minVersion: "TLSv1.3",
    rejectUnauthorized: false,
  };
  const socket = connect(options);
  // An edge may cut strangers as it likes; what became of one is told by its handshake.
  socket.on("error", () => undefined);
  await within(once(socket, "secureConnect"), "the TLS handshake");
  return socket;
}

interface Claimant {
  readonly key?: SigningKey;
  readonly claim: ConnectOptions["claim"];
}

const AUTH: ConnectOptions["claim"] = { kind: "auth", replaces: new Uint8Array(0) };

/**
 * What becomes of a claim: "in", or the code of the refusal.
 * @param live Gets the socket, which stays; without it the link ends.
 */
async function claimed(
  edge: TestEdge,
  from: string,
  fingerprint: string,
  { key = generateKey(), claim }: Claimant,
  live?: TLSSocket[],
): Promise<string> {
  const socket = await dial(edge, from);
  try {
    await connectLink(socket, {
      fingerprint,
      edgeName: "the edge",
      key,
      claim,
      instance: randomBytes(16),
      parameters: DEFAULT_PARAMETERS.connector,
      application: Buffer.from('{"for":"tunnel"}'),
    });
    return "in";
  } catch (error) {
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  } finally {
    if (live === undefined) socket.destroy();
    else live.push(socket);
  }
}

/**
 * Claims from as many sources as it takes, few enough at a time for an edge that is not full. Returns how many ended how.
 * @param network Second and third byte of the sources: every test has its own.
 */
async function claimMany(
  edge: TestEdge,
  fingerprint: string,
  { count, network, make }: { count: number; network: string; make: () => Claimant },
): Promise<Readonly<Record<string, number>>> {
  const atOnce = HANDSHAKES_PAST_TLS / 2;
  const outcomes: Record<string, number> = {};
  for (let begun = 0; begun < count; begun += atOnce) {
    const claims = Array.from({ length: Math.min(atOnce, count - begun) }, (_, index) => {
      const source = `127.${network}.${1 + Math.floor((begun + index) / PER_SOURCE)}`;
      return claimed(edge, source, fingerprint, make());
    });
    for (const outcome of await Promise.all(claims))
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return outcomes;
}

/** Links whose handshake has not ended, as the edge counts them. */
async function pendingLinks(edge: TestEdge): Promise<number | undefined> {
  const { stdout } = await tunl(["status", "--json"], edge);
  const status = JSON.parse(stdout) as { edge?: { tables: { linkHandshakes: number } } };
  return status.edge?.tables.linkHandshakes;
}

/** Starts a connector and waits until it is connected, and not longer. */
async function expectIn(
  edge: TestEdge,
  home: string,
  { join, withinMs = 5_000 }: { join?: string; withinMs?: number } = {},
): Promise<void> {
  const flags = join === undefined ? [] : ["--join", join];
  await using connector = startConnector("http_status:204", flags, { home });
  await connector.event("connected", { withinMs });
  connector.signal("SIGTERM");
  expect((await connector.ended).code).toBe(0);
}

describe.skipIf(!CAN_RUN || !IS_LINUX)("strangers", () => {
  test("silent links of one source keep no connector of another out (A-09)", async () => {
    await using edge = await TestEdge.start();
    using home = new Home();
    const line = await edge.invite();
    const links = await Promise.all(
      Array.from({ length: HANDSHAKES_PAST_TLS + 6 }, () => dial(edge, "127.0.0.2")),
    );
    try {
      // As long as the edge waits for their first frame, 5 s, and no longer than a person would.
      await expectIn(edge, home.path, { join: line, withinMs: 4_000 });
      // The links were there all the time: those that the edge let wait still are.
      expect(links.filter((link) => !link.destroyed && !link.readableEnded).length).toBeGreaterThan(
        0,
      );
    } finally {
      for (const link of links) link.destroy();
    }
    expect(links.length).toBe(70);
  });

  test("unfinished handshakes have a bound over all sources: surplus is told to come later, and may", async () => {
    await using edge = await TestEdge.start();
    const { fingerprint } = parseJoinLine(await edge.invite());
    const links = await Promise.all(
      Array.from({ length: HANDSHAKES_PAST_TLS }, (_, index) =>
        dial(edge, `127.3.1.${1 + Math.floor(index / PER_SOURCE)}`),
      ),
    );
    // A link is secure here a moment before it is there, and the edge counts it with its first byte at the latest. A
    // claim that came between would take the place of the last one.
    for (const link of links) link.write(new Uint8Array([0xc7]));
    await eventually(
      async () => ((await pendingLinks(edge)) === HANDSHAKES_PAST_TLS ? true : undefined),
      "the last of the links",
      4_000,
    );
    expect(await claimed(edge, "127.3.3.1", fingerprint, { claim: AUTH })).toBe("RETRY_LATER");
    for (const link of links) link.destroy();
    await eventually(async () => {
      const outcome = await claimed(edge, "127.3.2.2", fingerprint, { claim: AUTH });
      return outcome === "RETRY_LATER" ? undefined : true;
    }, "room for a handshake");
  });

  test("a tunnel has a bound of sessions, and another one is not concerned", async () => {
    await using edge = await TestEdge.start();
    const first = parseJoinLine(await edge.invite(["--name", "t"]));
    const other = parseJoinLine(await edge.invite(["--name", "u"]));
    const { fingerprint } = first;
    const enrol = (made: Uint8Array): Claimant => ({
      claim: { kind: "enrol", code: made, name: "t" },
    });
    const live: TLSSocket[] = [];
    const join = (made: Uint8Array): Promise<string> =>
      claimed(edge, "127.4.1.1", fingerprint, enrol(made), live);
    try {
      expect(await join(first.code)).toBe("in");
      // The tunnel exists now, so this line brings keys to it.
      const uses = String(SESSIONS_PER_TUNNEL);
      const more = parseJoinLine(await edge.invite(["--name", "t", "--uses", uses]));
      for (let count = 1; count < SESSIONS_PER_TUNNEL; count++)
        expect(await join(more.code)).toBe("in");
      expect(await join(more.code)).toBe("LIMIT");
      expect(await join(other.code)).toBe("in");
    } finally {
      for (const socket of live) socket.destroy();
    }
  });

  test("limits.connectorsPerTunnel is that bound", async () => {
    const config = "limits: {connectionsPerIp: off, acceptPerIp: off, connectorsPerTunnel: 2}\n";
    await using edge = await TestEdge.start({ config });
    const first = parseJoinLine(await edge.invite(["--name", "t"]));
    const live: TLSSocket[] = [];
    const join = (code: Uint8Array): Promise<string> => {
      const claim = { kind: "enrol", code, name: "t" } as const;
      return claimed(edge, "127.4.2.1", first.fingerprint, { claim }, live);
    };
    try {
      expect(await join(first.code)).toBe("in");
      const more = parseJoinLine(await edge.invite(["--name", "t", "--uses", "2"]));
      expect(await join(more.code)).toBe("in");
      expect(await join(more.code)).toBe("LIMIT");
    } finally {
      for (const socket of live) socket.destroy();
    }
  });

  test("failed proofs of made-up keys lock nobody out: neither a known key nor a new one (A-14)", async () => {
    await using edge = await TestEdge.start();
    using home = new Home();
    using other = new Home();
    const line = await edge.invite();
    const { fingerprint } = parseJoinLine(line);
    await expectIn(edge, home.path, { join: line });
    const second = await edge.invite();
    const count = 15 * PER_SOURCE;
    expect(count).toBeGreaterThan(FAILED_CODES_PER_MINUTE);
    expect(
      await claimMany(edge, fingerprint, { count, network: "1.1", make: () => ({ claim: AUTH }) }),
    ).toEqual({ AUTH_FAILED: count });
    await expectIn(edge, home.path);
    await expectIn(edge, other.path, { join: second });
  });

  test("a hundred links with one line, all at once: one is let in, and one key is there (A-06)", async () => {
    await using edge = await TestEdge.start();
    const { fingerprint, code } = parseJoinLine(await edge.invite());
    const live: TLSSocket[] = [];
    const join = async (index: number): Promise<string> => {
      const key = generateKey();
      const source = `127.5.1.${1 + Math.floor(index / 4)}`;
      for (;;) {
        const claim = { kind: "enrol", code, name: `machine-${index}` } as const;
        const outcome = await claimed(edge, source, fingerprint, { key, claim }, live);
        // More at a time than the edge proves at a time.
        if (outcome !== "RETRY_LATER") return outcome;
      }
    };
    try {
      const outcomes = await Promise.all(Array.from({ length: 100 }, (_, index) => join(index)));
      expect(outcomes.filter((outcome) => outcome === "in")).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === "AUTH_FAILED")).toHaveLength(99);
      const { stdout } = await tunl(["status", "--json"], edge);
      const { edge: status } = JSON.parse(stdout) as { edge: { tunnels: { keys: string[] }[] } };
      expect(status.tunnels.map(({ keys }) => keys.length)).toEqual([1]);
    } finally {
      for (const socket of live) socket.destroy();
    }
  });

  test("too many refused codes in a minute refuse every line, and no key that is known (A-14)", async () => {
    await using edge = await TestEdge.start();
    const line = await edge.invite(["--uses", "2"]);
    const { fingerprint, code } = parseJoinLine(line);
    const enrol = (made: Uint8Array): ConnectOptions["claim"] => ({
      kind: "enrol",
      code: made,
      name: "guess",
    });
    const known = generateKey();
    const valid = { key: known, claim: enrol(code) };
    expect(await claimed(edge, "127.2.2.1", fingerprint, valid)).toBe("in");
    const count = FAILED_CODES_PER_MINUTE;
    const make = (): Claimant => ({ claim: enrol(makeCode()) });
    expect(await claimMany(edge, fingerprint, { count, network: "2.1", make })).toEqual({
      AUTH_FAILED: count,
    });
    // The line has a use left, which it keeps.
    const late = { claim: enrol(code) };
    expect(await claimed(edge, "127.2.2.2", fingerprint, late)).toBe("AUTH_FAILED");
    expect(await claimed(edge, "127.2.2.3", fingerprint, { key: known, claim: AUTH })).toBe("in");
  });
});
