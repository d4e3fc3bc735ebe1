import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";

import { type Address, literalAddress } from "../../src/connector/addresses.ts";
import { HEAD_START_MS, type Pace, race } from "../../src/connector/race.ts";
import { BlackHole, noBlackHole } from "./black-hole.ts";
import { RawServer } from "./sockets.ts";
import { within } from "../within.ts";

const addresses = (...hosts: string[]): Address[] =>
  hosts.flatMap((host) => literalAddress(host) ?? []);

/** Runs a race to its end: the winner's address, or what each attempt said. */
function run(hosts: readonly string[], port: number, pace: Pace = "racing"): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  race({ addresses: addresses(...hosts), port }, pace, {
    connected(socket: Socket, address) {
      socket.on("error", () => {});
      socket.destroy();
      resolve(address?.host ?? "");
    },
    failed(errors) {
      resolve(errors.map(({ where, error }) => `${where} ${error.code}`).join(", "));
    },
  });
  return within(promise, "the end of the race");
}

describe("race", () => {
  test("goes on at once when an address refuses", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    let fastest = Number.POSITIVE_INFINITY;
    // Other files of tests run beside this one, and may take the time of one of them.
    for (let time = 0; time < 5; time++) {
      const started = performance.now();
      expect(await run(["127.0.0.2", "127.0.0.3", "127.0.0.1"], server.port)).toBe("127.0.0.1");
      fastest = Math.min(fastest, performance.now() - started);
    }
    expect(fastest).toBeLessThan(HEAD_START_MS - 10);
  });

  test("tells what each address said when all fail", async () => {
    const server = await new RawServer().listen({ host: "127.0.0.1" });
    const { port } = server;
    await server[Symbol.asyncDispose]();
    expect(await run(["127.0.0.1", "127.0.0.2"], port)).toBe(
      "127.0.0.1 ECONNREFUSED, 127.0.0.2 ECONNREFUSED",
    );
  });

  test("tells nothing after it was cancelled", async () => {
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    let told = 0;
    const cancel = race({ addresses: addresses("127.0.0.1"), port: server.port }, "racing", {
      connected: () => (told += 1),
      failed: () => (told += 1),
    });
    cancel();
    expect(await run(["127.0.0.1"], server.port)).toBe("127.0.0.1");
    expect(told).toBe(0);
  });

  test.skipIf(noBlackHole !== undefined)(
    "lets the next address join after its head start when one hangs",
    async () => {
      await using hole = await BlackHole.open();
      await using server = new RawServer();
      server.server.listen({ host: "127.0.0.9", port: hole.port });
      const started = performance.now();
      expect(await run(["127.0.0.1", "127.0.0.9"], hole.port)).toBe("127.0.0.9");
      const elapsed = performance.now() - started;
      expect(elapsed).toBeGreaterThan(HEAD_START_MS - 10);
      // The kernel would try for minutes.
      expect(elapsed).toBeLessThan(HEAD_START_MS + 4_000);
    },
  );

  test.skipIf(noBlackHole !== undefined)(
    "one after the other: an address that hangs has its share of the time, and no more",
    async () => {
      await using hole = await BlackHole.open();
      await using server = new RawServer();
      server.server.listen({ host: "127.0.0.9", port: hole.port });
      const hosts = ["127.0.0.1", "127.0.0.9"];
      const started = performance.now();
      expect(await run(hosts, hole.port, { withinMs: 2_100 })).toBe("127.0.0.9");
      expect(performance.now() - started).toBeGreaterThan(1_040);
      // Nobody answers: each is told, the last one by who bounds the whole.
      const { promise, resolve } = Promise.withResolvers<string>();
      const cancel = race(
        { addresses: addresses("127.0.0.1", "127.0.0.2"), port: hole.port },
        { withinMs: 1_000 },
        {
          connected: () => resolve("connected"),
          failed: (errors) => resolve(errors.map(({ error }) => error.code).join(" ")),
        },
      );
      // 127.0.0.2 refuses once its turn has come, after the least share.
      expect(await within(promise, "the end of the race")).toBe("ETIMEDOUT ECONNREFUSED");
      cancel();
    },
  );
});
