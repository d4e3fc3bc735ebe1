// This file is the kernel options of a link's socket, on real TLS links. PROTOCOL §6.4.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { boundUnsent, tuningOf, UNSENT_BYTES, wishForBbr } from "../../src/session/kernel.ts";
import { TlsDoor } from "./tls-rig.ts";

const isLinux = process.platform === "linux";
if (!isLinux) console.log("Skipped: kernel options of links are asked for on Linux only");

/** What this kernel lets anybody choose, and what it chooses by itself. */
function kernel(name: string): string[] {
  return readFileSync(`/proc/sys/net/ipv4/${name}`, "utf8").trim().split(/\s+/);
}

describe.skipIf(!isLinux)("kernel options of a link", () => {
  test("bound what waits unsent, on both ends", async () => {
    await using door = await TlsDoor.listen();
    for (const socket of Object.values(await door.pair())) {
      expect(tuningOf(socket).unsentBytes).toBeUndefined();
      boundUnsent(socket);
      expect(tuningOf(socket).unsentBytes).toBe(UNSENT_BYTES);
    }
  });

  test("ask for bbr; a kernel without it leaves what it had", async () => {
    const isThere = kernel("tcp_available_congestion_control").includes("bbr");
    const isAllowed =
      process.getuid?.() === 0 || kernel("tcp_allowed_congestion_control").includes("bbr");
    await using door = await TlsDoor.listen();
    for (const socket of Object.values(await door.pair())) {
      const before = tuningOf(socket).congestion;
      expect(before).toBe(kernel("tcp_congestion_control")[0] as string);
      wishForBbr(socket);
      // A module that is not loaded yet may come with the wish.
      if (isThere && isAllowed) expect(tuningOf(socket).congestion).toBe("bbr");
      else expect(["bbr", before]).toContain(tuningOf(socket).congestion);
    }
  });

  test("are left alone on a socket that is gone", async () => {
    await using door = await TlsDoor.listen();
    const { edge } = await door.pair();
    edge.destroy();
    wishForBbr(edge);
    boundUnsent(edge);
    expect(tuningOf(edge)).toEqual({ congestion: undefined, unsentBytes: undefined });
  });
});
