import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { Packet } from "dns2";
import { Exchanges, EXCHANGES_MAX, EXCHANGES_WAITING_MAX } from "../../../src/edge/dns/exchange.ts";
import { Lookup } from "../../../src/edge/dns/lookup.ts";
import { eventually } from "../../binary/program.ts";
import { decodeMessage, encodeQuestion } from "../../../src/edge/dns/message.ts";
import { parseResolvConf, readServer } from "../../../src/edge/dns/servers.ts";
import { reachedLimits } from "../../../src/limits.ts";
import { within } from "../../within.ts";
import { type Asked, FakeServer, reply, soa } from "./fake-server.ts";
import { freeDnsPort, HAS_NAMED, Named, PATIENT_MS } from "./named.ts";

/** Only who is silent on purpose is waited for so briefly: a server on a busy machine may take longer to answer. */
const SILENT_WAITS_MS = [150, 300];

function lookupAt(...ports: readonly number[]): Lookup {
  return lookup({ ports, udpWaitsMs: [PATIENT_MS] });
}

function lookup(options: { ports: readonly number[]; udpWaitsMs: readonly number[] }): Lookup {
  const { ports, udpWaitsMs } = options;
  return new Lookup({
    servers: {
      resolvers: ports.map((port) => ({ host: "127.0.0.1", port })),
      areWholeDns: true,
    },
    lookAgainMs: 50,
    udpWaitsMs,
  });
}

describe.skipIf(!HAS_NAMED)("lookup, against bind9", () => {
  let named: Named;
  let other: Named;

  beforeAll(async () => {
    const long = Array.from({ length: 60 }, (_, index) => `big TXT text-number-${index}`).join(
      "\n",
    );
    // From server to server: what one of them could see for itself, it follows, or fails.
    const chain = (from: number, zone: string): string =>
      Array.from({ length: 6 }, (_, index) => from + index * 2)
        .map((step) => `c${step} CNAME c${step + 1}.${zone}.\n`)
        .join("");
    named = await Named.start({
      zones: {
        "example.com": `www A 192.0.2.1\nwww AAAA 2001:db8::1\n* A 192.0.2.9\n${long}`,
        "customer.org": `shop CNAME target.example.com.\nin CNAME sub.customer.org.\nsub A 192.0.2.3\nring CNAME ring.example.net.\nself CNAME self\n${chain(0, "example.net")}dangling CNAME nobody\n`,
      },
    });
    other = await Named.start({
      zones: {
        "example.net": `deep.under A 192.0.2.4\nring CNAME ring.customer.org.\n${chain(1, "customer.org")}`,
      },
    });
  });
  afterAll(async () => {
    await named[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });

  test("finds the zone of a name and the server in charge of it among several", async () => {
    const lookup = lookupAt(named.port, other.port);
    const zone = await lookup.authoritative("a.b.under.example.net");
    expect(zone).toEqual({
      name: "example.net",
      servers: [{ name: other.address, addresses: [{ host: "127.0.0.1", port: other.port }] }],
    });
    // An alias is no zone of its own, and the zone it leads to is not its own either.
    expect((await lookup.authoritative("shop.customer.org"))?.name).toBe("customer.org");
    expect((await lookup.authoritative("*.example.com"))?.name).toBe("example.com");
    expect(await lookup.authoritative("www.example.edu")).toBeUndefined();
  });

  test("tells a record, a name without it, and no name apart", async () => {
    const lookup = lookupAt(named.port, other.port);
    expect(await lookup.query("www.example.com", "AAAA")).toMatchObject({
      state: "found",
      records: [{ name: "www.example.com", type: "AAAA", value: "2001:db8::1" }],
      server: named.address,
    });
    expect((await lookup.query("www.example.com", "TXT")).state).toBe("noData");
    expect((await lookup.query("nobody.customer.org", "A")).state).toBe("noName");
    expect((await lookup.query("any.thing.example.com", "A")).records[0]?.value).toBe("192.0.2.9");
    expect(await lookup.query("www.example.edu", "A")).toMatchObject({ state: "unknown" });
  });

  test("follows aliases into other zones, and ends where they are endless", async () => {
    const lookup = lookupAt(named.port, other.port);
    expect(await lookup.query("shop.customer.org", "A")).toMatchObject({
      state: "found",
      records: [{ value: "192.0.2.9" }],
      chain: [{ name: "shop.customer.org", type: "CNAME", value: "target.example.com" }],
    });
    expect(await lookup.query("shop.customer.org", "CNAME")).toMatchObject({
      state: "found",
      records: [{ value: "target.example.com" }],
      chain: [],
    });
    expect((await lookup.query("in.customer.org", "A")).records[0]?.value).toBe("192.0.2.3");
    for (const name of ["ring", "c0"])
      expect(await lookup.query(`${name}.customer.org`, "A")).toMatchObject({
        state: "noData",
        text: expect.stringContaining("leads nowhere"),
      });
    expect((await lookup.query("self.customer.org", "A")).records).toEqual([]);
    expect((await lookup.query("dangling.customer.org", "A")).state).toBe("noName");
  });

  test("asks by TCP where a reply does not fit", async () => {
    const { records } = await lookupAt(named.port).query("big.example.com", "TXT");
    expect(records).toHaveLength(60);
  });

  test("waits until every server shows the record, and passes over one that is gone", async () => {
    await using second = await Named.start({ zones: { "example.com": "" } });
    await using gone = await FakeServer.start((asked) => [reply(asked, { code: 5 })]);
    const lookup = lookupAt(named.port, second.port, gone.port);
    const record = { name: "_acme-challenge.example.com", type: "TXT", value: "token" } as const;
    let isSeen = false;
    const seen = lookup.seen(record, AbortSignal.timeout(20_000)).then((found) => {
      isSeen = true;
      return found;
    });
    await named.update(`add ${record.name} 60 TXT "token"`);
    await named.update(`add ${record.name} 60 TXT "another"`);
    // Three rounds of questions pass without it.
    const rounds = gone.asked.length;
    while (gone.asked.length < rounds + 3) await Bun.sleep(20);
    expect(isSeen).toBe(false);
    await second.update(`add ${record.name} 60 TXT "token"`);
    expect(await seen).toMatchObject({ server: second.address });
  });

  test("waiting ends with its signal and that alone, also while servers are silent", async () => {
    await using silent = await FakeServer.start(() => []);
    const record = { name: "x.example.com", type: "TXT", value: "no" } as const;
    const reason = new Error("enough");
    for (const port of [silent.port, await freeDnsPort()]) {
      const stop = new AbortController();
      const seen = lookupAt(port)
        .seen(record, stop.signal)
        .catch((error: unknown) => error);
      if (port === silent.port)
        await eventually(() => silent.asked.length > 0 || undefined, "the question");
      stop.abort(reason);
      expect(await seen).toBe(reason);
    }
  });
});

/** True where this user may have the port that name servers have, on a loopback address of our own. */
async function canHavePort53(): Promise<boolean> {
  const socket = createSocket("udp4");
  const isFree = await new Promise<boolean>((resolve) => {
    socket.once("error", () => resolve(false));
    socket.bind(53, "127.73.0.1", () => resolve(true));
  });
  socket.close();
  if (!isFree) console.warn("Skipped: binding 127.73.0.1:53 needs more rights");
  return isFree;
}

describe.skipIf(!(await canHavePort53()))("lookup, by way of a resolver", () => {
  test("finds the name servers of a zone and their addresses, and asks each of them, not the resolver", async () => {
    const texts: string[] = [];
    const script = (asked: Asked): readonly Uint8Array[] => {
      const name = { name: asked.name, type: asked.type };
      if (asked.type === 1) return [reply(asked, { answers: [{ ...name, address: "192.0.2.1" }] })];
      return [reply(asked, { answers: texts.map((text) => ({ ...name, data: text })) })];
    };
    await using own = await FakeServer.start(script, { host: "127.73.0.1", port: 53 });
    // A resolver that remembers what was: it knows the servers, and of the name that it does not exist.
    await using resolver = await FakeServer.start((asked) => {
      const answers: Record<string, unknown>[] = [];
      if (asked.type === 6 && asked.name === "customer.net") answers.push(soa("customer.net"));
      if (asked.type === 2)
        answers.push(
          ...["ns1", "ns2", "ns3"].map((name) => ({
            ...{ name: asked.name, type: 2, ns: `${name}.customer.net` },
          })),
        );
      // The second has nobody behind its address, the third has none.
      const address = { "ns1.customer.net": "127.73.0.1", "ns2.customer.net": "127.73.0.2" }[
        asked.name
      ];
      if (asked.type === 1 && address !== undefined)
        answers.push({ name: asked.name, type: 1, address });
      const isKnown = asked.name === "customer.net" || asked.name.startsWith("ns");
      return [reply(asked, { isAuthoritative: false, code: isKnown ? 0 : 3, answers })];
    });
    const lookup = new Lookup({
      servers: { resolvers: [{ host: "127.0.0.1", port: resolver.port }], areWholeDns: false },
      udpWaitsMs: [PATIENT_MS],
    });
    expect(await lookup.authoritative("shop.customer.net")).toEqual({
      name: "customer.net",
      servers: [
        { name: "ns1.customer.net", addresses: [{ host: "127.73.0.1", port: 53 }] },
        { name: "ns2.customer.net", addresses: [{ host: "127.73.0.2", port: 53 }] },
        { name: "ns3.customer.net", addresses: [] },
      ],
    });
    const answers = await lookup.askAll("shop.customer.net", "A");
    expect(answers.map(({ state, server, text }) => [state, server, text])).toEqual([
      ["found", "ns1.customer.net", ""],
      ["unknown", "ns2.customer.net", expect.stringContaining("127.73.0.2 is not there")],
      ["unknown", "ns3.customer.net", "ns3.customer.net has no address"],
    ]);
    expect((await lookup.query("shop.customer.net", "A")).records[0]?.value).toBe("192.0.2.1");
    texts.push("fresh");
    const record = { name: "new.customer.net", type: "TXT", value: "fresh" } as const;
    expect(await lookup.seen(record, AbortSignal.timeout(10_000))).toMatchObject({
      server: "ns1.customer.net",
    });
    expect(own.asked.map(({ name }) => name)).toContain("new.customer.net");
    expect(resolver.asked.every(({ type }) => [1, 2, 6, 28].includes(type))).toBe(true);
  });
});

test("aliases that fork at every server are followed a few times in all, not as often as they multiply", async () => {
  // Every server of the zone names another alias, each of which the next servers name others for.
  const script = (asked: Asked): readonly Uint8Array[] => {
    const { name } = asked;
    if (asked.type === 6)
      return [
        name === "evil.test"
          ? reply(asked, { answers: [soa("evil.test")] })
          : reply(asked, { authorities: [soa("evil.test")] }),
      ];
    const domain = `x${serial++}.evil.test`;
    return [reply(asked, { answers: [{ name, type: 5, domain }] })];
  };
  let serial = 0;
  const servers = await Promise.all(Array.from({ length: 5 }, () => FakeServer.start(script)));
  try {
    const before = reachedLimits().dnsAliases ?? 0;
    const lookup = lookupAt(...servers.map(({ port }) => port));
    const late = AbortSignal.timeout(15_000);
    expect(await lookup.query("_tunl.evil.test", "TXT", late)).toMatchObject({ records: [] });
    // 5 + 25 + 125 + … up to eight in a row would be half a million.
    const aliases = servers.flatMap(({ asked }) => asked).filter(({ type }) => type === 16);
    expect(aliases.length).toBeLessThan(200);
    expect(reachedLimits().dnsAliases).toBeGreaterThan(before);
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]();
  }
});

describe("lookup, against servers that lie", () => {
  const honest = (asked: Asked): Uint8Array =>
    asked.type === 6
      ? reply(asked, { answers: [{ ...soa("example.com") }] })
      : reply(asked, { answers: [{ name: asked.name, type: 1, address: "192.0.2.1" }] });

  async function answersWith(script: (asked: Asked) => readonly Uint8Array[]): Promise<unknown> {
    await using server = await FakeServer.start((asked) =>
      asked.type === 6 ? [honest(asked)] : script(asked),
    );
    const { state, records } = await lookupAt(server.port).query("www.example.com", "A");
    return records[0]?.value ?? state;
  }

  test("ignores another id, another question, a question sent back, and nonsense, and hears the truth behind them", async () => {
    const lie = { name: "www.example.com", type: 1, address: "203.0.113.66" };
    const value = await answersWith((asked) => [
      reply({ ...asked, id: asked.id ^ 1 }, { answers: [lie] }),
      reply({ ...asked, name: "evil.example.com" }, { answers: [lie] }),
      reply({ ...asked, type: 28 }, { answers: [lie] }),
      asked.bytes,
      Buffer.from("not a message at all"),
      Buffer.alloc(5),
      honest(asked),
    ]);
    expect(value).toBe("192.0.2.1");
  });

  test("ignores what another address sends", async () => {
    const stranger = createSocket("udp4");
    await using server = await FakeServer.start(async (asked) => {
      if (asked.type === 6) return [honest(asked)];
      const lie = { name: asked.name, type: 1, address: "203.0.113.66" };
      const sent = Promise.withResolvers<void>();
      stranger.send(reply(asked, { answers: [lie] }), asked.port, "127.0.0.1", () =>
        sent.resolve(),
      );
      await sent.promise;
      return [honest(asked)];
    });
    const { records } = await lookupAt(server.port).query("www.example.com", "A");
    expect(records.map(({ value }) => value)).toEqual(["192.0.2.1"]);
    stranger.close();
  });

  test("does not believe records of another name, nor a server that is not in charge", async () => {
    const foreign = await answersWith((asked) => [
      reply(asked, { answers: [{ name: "other.example.com", type: 1, address: "203.0.113.66" }] }),
    ]);
    expect(foreign).toBe("noData");
    const hearsay = await answersWith((asked) => [
      reply(asked, {
        isAuthoritative: false,
        answers: [{ name: asked.name, type: 1, address: "203.0.113.66" }],
      }),
    ]);
    expect(hearsay).toBe("unknown");
  });

  test("a server that fails, refuses, is silent or not there is unknown, never no", async () => {
    expect(await answersWith((asked) => [reply(asked, { code: 2 })])).toBe("unknown");
    expect(await answersWith((asked) => [reply(asked, { code: 5 })])).toBe("unknown");
    await using silent = await FakeServer.start((asked) =>
      asked.type === 6 ? [honest(asked)] : [],
    );
    const brief = lookup({ ports: [silent.port], udpWaitsMs: SILENT_WAITS_MS });
    expect((await brief.query("www.example.com", "A")).state).toBe("unknown");
    const nobody = await lookupAt(await freeDnsPort()).query("www.example.com", "A");
    expect(nobody).toMatchObject({
      state: "unknown",
      text: expect.stringContaining("nobody listens"),
    });
  });

  test("a truncated reply without TCP behind it, and a TCP reply that never ends, are unknown", async () => {
    await using server = await FakeServer.start((asked) => {
      if (asked.type === 6) return [honest(asked)];
      return asked.by === "udp" ? [reply(asked, { isTruncated: true })] : [Buffer.alloc(40)];
    });
    const answer = await lookupAt(server.port).query("www.example.com", "A");
    expect(answer).toMatchObject({
      state: "unknown",
      text: expect.stringContaining("something else than a reply"),
    });
    expect(server.asked.some(({ by }) => by === "tcp")).toBe(true);
  });

  test("messages made to cost a lot are given up early", () => {
    const asked = { id: 1, name: "", type: 1, by: "tcp", port: 0, bytes: Buffer.alloc(0) } as const;
    const bytes = Buffer.alloc(65_535);
    Buffer.from(reply(asked, {})).copy(bytes);
    bytes.writeUInt16BE(500, 6);
    // 500 records, each with a name that begins at the end of a chain: 5,000 pointers, each to the one before.
    const records = Packet.HEADER_SIZE + 5;
    const chain = records + 500 * 12 + 1;
    for (let record = records; record < chain - 1; record += 12) {
      bytes.writeUInt16BE(0xc000 | (chain + 9_998), record);
      bytes.writeUInt16BE(16, record + 2);
    }
    for (let at = chain; at < chain + 10_000; at += 2)
      bytes.writeUInt16BE(0xc000 | (at === chain ? chain - 1 : at - 2), at);
    const startedAt = performance.now();
    expect(decodeMessage(bytes)).toBeUndefined();
    const few = Buffer.from(bytes);
    few.writeUInt16BE(5, 6);
    expect(decodeMessage(few)?.answers).toHaveLength(5);
    const many = Buffer.from(bytes);
    many.writeUInt16BE(65_535, 6);
    expect(decodeMessage(many)).toBeUndefined();
    for (let length = 0; length < 64; length += 1)
      expect(() => decodeMessage(bytes.subarray(0, length))).not.toThrow();
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test("random bytes are no message, and never an exception", () => {
    let seed = Number(process.env["TUNL_SEED"] ?? 20_261_124);
    console.info(`seed ${seed}`);
    const random = (): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    };
    const base = Buffer.from(
      honest({
        id: 1,
        name: "www.example.com",
        type: 1,
        by: "udp",
        port: 0,
        bytes: Buffer.alloc(0),
      }),
    );
    for (let round = 0; round < 20_000; round += 1) {
      const bytes = Buffer.from(base);
      for (let change = 0; change < 1 + random() * 4; change += 1)
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      expect(() =>
        decodeMessage(bytes.subarray(0, Math.ceil(random() * bytes.length))),
      ).not.toThrow();
    }
  });

  test("only so many messages wait for a socket", async () => {
    const exchanges = new Exchanges();
    await using silent = await FakeServer.start(() => []);
    const stop = new AbortController();
    const bytes = encodeQuestion(1, "www.example.com", "A", false);
    const server = { host: "127.0.0.1", port: silent.port };
    const send = (): Promise<unknown> =>
      exchanges
        .send({ server, bytes, by: "udp", timeoutMs: 20_000, signal: stop.signal })
        .catch((error: unknown) => error);
    const before = reachedLimits().dnsQuestions ?? 0;
    const all = Array.from({ length: EXCHANGES_MAX + EXCHANGES_WAITING_MAX }, send);
    expect(exchanges.waiting).toBe(EXCHANGES_WAITING_MAX);
    expect(await send()).toMatchObject({ code: "DNS_FAILED", retryable: true });
    expect(reachedLimits().dnsQuestions).toBe(before + 1);
    // Who waits for a socket waits no longer than its own signal says.
    const [first, reason] = [new AbortController(), new Error("enough")];
    const spare = new Exchanges();
    const busy = Array.from({ length: EXCHANGES_MAX }, () =>
      spare
        .send({ server, bytes, by: "udp", timeoutMs: 20_000, signal: stop.signal })
        .catch((error: unknown) => error),
    );
    const leaving = spare
      .send({ server, bytes, by: "udp", timeoutMs: 20_000, signal: first.signal })
      .catch((error: unknown) => error);
    expect(spare.waiting).toBe(1);
    first.abort(reason);
    expect(await within(leaving, "the end of a wait for a socket")).toBe(reason);
    expect(spare.waiting).toBe(0);
    stop.abort(new Error("over"));
    await Promise.all([...all, ...busy]);
    expect(exchanges.waiting).toBe(0);
  });
});

describe("name servers of this machine", () => {
  test("are read as the system reads them", () => {
    const text =
      "# comment\nsearch example.com\nnameserver 192.0.2.53\n nameserver\t2001:db8::53 \nnameserver fe80::1%eth0\nnameserver 192.0.2.54\nnameserver bad\n";
    expect(parseResolvConf(text)).toEqual([
      { host: "192.0.2.53", port: 53 },
      { host: "2001:db8::53", port: 53 },
      { host: "fe80::1%eth0", port: 53 },
    ]);
    expect(parseResolvConf("")).toEqual([{ host: "127.0.0.1", port: 53 }]);
  });

  test("a test may name others, with ports", () => {
    expect(readServer("127.0.0.1:5353")).toEqual({ host: "127.0.0.1", port: 5_353 });
    expect(readServer("192.0.2.1")).toEqual({ host: "192.0.2.1", port: 53 });
    expect(readServer("[::1]:5353")).toEqual({ host: "::1", port: 5_353 });
    expect(readServer("2001:db8::1")).toEqual({ host: "2001:db8::1", port: 53 });
    for (const text of ["", "ns1.example.com", "1.2.3.4:0", "1.2.3.4:99999", "[::1", "1.2.3"])
      expect(() => readServer(text)).toThrow("no name server");
  });
});
