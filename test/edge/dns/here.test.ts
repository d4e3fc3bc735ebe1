import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer, type Server as TlsServer } from "node:tls";
import type { AddressInfo } from "node:net";
import { Deadlines } from "../../../src/deadlines.ts";
import { loadLinkCertificate } from "../../../src/edge/certificates/index.ts";
import { DomainCheck } from "../../../src/edge/dns/domain-check.ts";
import { DIALS_MAX, Here, isGlobal } from "../../../src/edge/dns/here.ts";
import { Lookup } from "../../../src/edge/dns/lookup.ts";
import { reachedLimits } from "../../../src/limits.ts";
import { within } from "../../within.ts";
import { Directory, makeLog } from "../store/fixture.ts";
import { HAS_NAMED, Named, PATIENT_MS } from "./named.ts";

const PROTOCOL = "tunl/1";
const directory = new Directory();
const other = new Directory();
const deadlines = new Deadlines((error) => {
  throw error;
});
const servers: (Server | TlsServer)[] = [];
let own: { cert: string; key: string };

async function listen(server: Server | TlsServer): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  own = await loadLinkCertificate(directory.path, makeLog().log);
});
afterAll(() => {
  for (const server of servers) server.close();
  deadlines[Symbol.dispose]();
  directory[Symbol.dispose]();
  other[Symbol.dispose]();
});

function hereAt(port: number, more: { addresses?: string[]; machine?: string[] } = {}): Here {
  const { addresses = [], machine = [] } = more;
  return new Here({
    ...{ publicAddresses: addresses, port: () => port, protocol: PROTOCOL, deadlines },
    ...{ linkCertificate: own.cert, machine: () => machine },
  });
}

function edgeWith({ cert, key }: { cert: string; key: string }): TlsServer {
  const server = createServer({ cert, key, minVersion: "TLSv1.3", ALPNProtocols: [PROTOCOL] });
  server.on("secureConnection", (socket) => socket.on("error", () => undefined));
  server.on("tlsClientError", () => undefined);
  return server;
}

describe("here", () => {
  test("is what the owner named, and what this machine has that the Internet can reach", async () => {
    const here = hereAt(1, { addresses: ["203.0.113.7"], machine: ["8.8.8.8", "10.0.0.1"] });
    expect(here.addresses).toEqual(["203.0.113.7"]);
    expect(await here.place("203.0.113.7")).toBe("here");
    const bare = hereAt(1, { machine: ["8.8.8.8", "10.0.0.1", "::1", "fe80::1", "2606:4700::1"] });
    expect(bare.addresses).toEqual(["8.8.8.8", "2606:4700::1"]);
    expect(await bare.place("2606:4700::1")).toBe("here");
  });

  test("is where this edge's own key answers, and not where another edge, another program or nobody does", async () => {
    expect(await hereAt(await listen(edgeWith(own))).place("127.0.0.1")).toBe("here");
    const stranger = await loadLinkCertificate(other.path, makeLog().log);
    expect(await hereAt(await listen(edgeWith(stranger))).place("127.0.0.1")).toBe("elsewhere");
    const text = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("220 mail.example.com ESMTP\r\n");
    });
    expect(await hereAt(await listen(text)).place("127.0.0.1")).toBe("elsewhere");
    const port = await listen(createTcpServer());
    servers.pop()?.close();
    expect(await hereAt(port).place("127.0.0.1")).toBe("elsewhere");
  });

  test("asks an address once for a while, however often it is asked about", async () => {
    let connections = 0;
    const server = edgeWith(own);
    server.on("connection", () => (connections += 1));
    const here = hereAt(await listen(server));
    const places = await Promise.all(Array.from({ length: 20 }, () => here.place("127.0.0.1")));
    expect(new Set(places)).toEqual(new Set(["here"]));
    expect(connections).toBe(1);
  });

  test("dials no more at a time than it may, whatever a zone names, and again when there is room", async () => {
    // TLS that never answers: each dial stays until it is hung up.
    const held: Socket[] = [];
    const arrived = Promise.withResolvers<void>();
    const silent = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      if (held.push(socket) === DIALS_MAX) arrived.resolve();
    });
    silent.listen(0, "0.0.0.0");
    await once(silent, "listening");
    servers.push(silent);
    const here = hereAt((silent.address() as AddressInfo).port);
    const before = reachedLimits().dnsDials ?? 0;
    const addresses = Array.from({ length: DIALS_MAX * 4 }, (_, index) => `127.44.0.${index + 1}`);
    const places = addresses.map((address) => here.place(address));
    expect(await places.at(-1)).toBe("unknown");
    await within(arrived.promise, "the dials");
    expect(reachedLimits().dnsDials).toBe(before + DIALS_MAX * 3);
    expect(held).toHaveLength(DIALS_MAX);
    for (const socket of held) socket.destroy();
    expect(await places[0]).toBe("elsewhere");
    await Promise.all(places);
    silent.on("connection", (socket) => socket.destroy());
    expect(await here.place(addresses.at(-1) as string)).toBe("elsewhere");
  });

  test.each([
    ...["8.8.8.8", "100.63.255.255", "172.32.0.1", "198.20.0.1", "2606:4700::1", "2001:4860::1"],
  ])("%s can be reached from the Internet", (address) => expect(isGlobal(address)).toBe(true));

  test.each([
    ...["0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.1"],
    ...["192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.7", "224.0.0.1"],
    ...["255.255.255.255", "::", "::1", "fe80::1", "fd00::1", "ff02::1", "2001:db8::1", "2001::1"],
  ])("%s cannot", (address) => expect(isGlobal(address)).toBe(false));
});

describe.skipIf(!HAS_NAMED)("domains at the start, against bind9", () => {
  test("what they lack is told once with the record to add, and that they are right when they are", async () => {
    await using named = await Named.start({ zones: { "example.com": "" } });
    const { log, records } = makeLog();
    const servers_ = { resolvers: [{ host: "127.0.0.1", port: named.port }], areWholeDns: true };
    const client = new Lookup({ servers: servers_, udpWaitsMs: [PATIENT_MS] });
    const here = hereAt(1, { addresses: ["203.0.113.7"] });
    const led: string[] = [];
    const onLed = (domain: string): number => led.push(domain);
    const options = { client, here, domains: ["example.com"], deadlines, log, onLed };
    using check = new DomainCheck(options);
    const said = (): string[] =>
      records
        .filter(({ event }) => event === "dns")
        .map(({ level, message, fields }) => `${level} ${message} | ${String(fields["hint"])}`);
    expect(await check.look()).toBe(false);
    expect(await check.look()).toBe(false);
    expect(said()).toEqual([
      "error example.com has no address; *.example.com has no address | Add example.com A 203.0.113.7, *.example.com A 203.0.113.7 at the DNS provider; it is asked again every 10 s",
    ]);
    await named.update("add example.com 60 A 203.0.113.7", "add *.example.com 60 A 127.0.0.66");
    expect(await check.look()).toBe(false);
    expect(said()[1]).toStartWith("error *.example.com leads to 127.0.0.66, not to this edge |");
    await named.update("delete *.example.com", "add *.example.com 60 CNAME example.com.");
    expect(await check.look()).toBe(true);
    expect(led).toEqual(["example.com"]);
    expect(said()[2]).toBe("info example.com, *.example.com -> 203.0.113.7 | undefined");
    await named.stop();
    expect(await check.look()).toBe(false);
    expect(said()[3]).toContain("nobody listens");
    expect(said()[3]).toEndWith("| Look at the name server; it is asked again every 10 s");
  });
});
