import { describe, expect, test } from "bun:test";
import { generateKey } from "../../../src/identity/index.ts";
import type { HostOwner, Store } from "../../../src/edge/store/index.ts";
import { isGranted } from "../../../src/edge/route/index.ts";
import { Directory, makeClock, open, TUNNEL_CODE, refusalOf } from "./fixture.ts";

async function join(store: Store, scope: string[] = []): Promise<HostOwner> {
  const { code } = await store.createCode({ ...TUNNEL_CODE, scope });
  const { publicKey } = generateKey();
  const outcome = await store.enrol({
    publicKey,
    code,
    kind: "tunnel",
    name: "home",
    label: "laptop",
  });
  if (outcome.state !== "enrolled") throw new Error(`Enrolment was refused: ${outcome.reason}`);
  return { tunnel: outcome.owner.id, keyId: outcome.keyId };
}

describe("hostnames", () => {
  test("belong to the tunnel that claims them first", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const [one, two] = [await join(store), await join(store)];
    const row = await store.claimHost(one, "App.Example.com.");
    expect(row).toMatchObject({ host: "app.example.com", tunnel: one.tunnel, how: "claimed" });
    expect(await store.claimHost(one, "app.example.com")).toEqual(row);
    expect(isGranted(store.snapshot, "app.example.com", one.tunnel)).toBe(true);
    expect(await refusalOf(store.claimHost(two, "app.example.com"))).toMatchObject({
      code: "HOSTNAME_TAKEN",
      message: "app.example.com belongs to another tunnel",
      hint: "Choose another name, or have it taken back first: tunl route delete app.example.com by the account that has it, or on the edge tunl edge revoke app.example.com",
    });
    expect(await store.releaseHost("app.example.com")).toBe(true);
    expect(await store.releaseHost("app.example.com")).toBe(false);
    expect(isGranted(store.snapshot, "app.example.com", one.tunnel)).toBe(false);
    expect((await store.claimHost(two, "app.example.com")).tunnel).toBe(two.tunnel);
  });

  test("claimed by 20 tunnels at once have one owner", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const { code } = await store.createCode({ ...TUNNEL_CODE, uses: 20 });
    const owners: HostOwner[] = [];
    for (let index = 0; index < 20; index++) {
      const { publicKey } = generateKey();
      const outcome = await store.enrol({
        publicKey,
        code,
        kind: "tunnel",
        name: "home",
        label: "laptop",
      });
      if (outcome.state === "enrolled")
        owners.push({ tunnel: outcome.owner.id, keyId: outcome.keyId });
    }
    expect(owners).toHaveLength(20);
    // Every claim passes the snapshot's check before the first one is committed: the transaction decides.
    const claims = await Promise.allSettled(
      owners.map((owner) => store.claimHost(owner, "app.example.com")),
    );
    expect(claims.filter((claim) => claim.status === "fulfilled")).toHaveLength(1);
    for (const claim of claims)
      if (claim.status === "rejected")
        expect(claim.reason).toMatchObject({ code: "HOSTNAME_TAKEN" });
    const overlaps = await Promise.allSettled([
      store.grantHost(owners[0]?.tunnel as string, "*.dev.example.com"),
      store.grantHost(owners[1]?.tunnel as string, "a.dev.example.com"),
      store.grantHost(owners[2]?.tunnel as string, "*.b.dev.example.com"),
    ]);
    expect(overlaps.map((overlap) => overlap.status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    const below = await Promise.allSettled([
      store.grantHost(owners[1]?.tunnel as string, "a.lab.example.com"),
      store.grantHost(owners[0]?.tunnel as string, "*.lab.example.com"),
    ]);
    expect(below.map((overlap) => overlap.status)).toEqual(["fulfilled", "rejected"]);
  });

  test("are not claimed by a key that was revoked while the claim waited for the disk", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const one = await join(store);
    const owner = { kind: "tunnel", id: one.tunnel } as const;
    const [revoked, ...claims] = [
      store.revokeKey(owner, one.keyId),
      refusalOf(store.claimHost(one, "late.example.com")),
      refusalOf(store.randomHost(one, "http://localhost:1")),
    ] as const;
    await revoked;
    for (const claim of claims) expect(await claim).toMatchObject({ code: "NOT_ALLOWED" });
    expect([...store.snapshot.hosts]).toEqual([]);
  });

  test("a label alone is nobody's name: the whole one is told", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const { tunnel } = await join(store);
    expect(await refusalOf(store.grantHost(tunnel, "app"))).toMatchObject({
      code: "USAGE",
      hint: "Write app.example.com",
    });
    expect(await refusalOf(store.claimHost(await join(store), "app"))).toMatchObject({
      code: "HOSTNAME_NOT_GRANTED",
      hint: "Write the whole name, such as app.example.com",
    });
  });

  test("a wildcard in a command of a hint is quoted for the shell", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const bob = await join(store, ["bob.example.com"]);
    expect(await refusalOf(store.claimHost(bob, "*.app.example.com"))).toMatchObject({
      message: expect.stringMatching(/^\*\.app\.example\.com is outside/),
      hint: expect.stringContaining("tunl edge grant TUNNEL '*.app.example.com' there"),
    });
  });

  test("outside of the key's scope are not granted", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const bob = await join(store, ["bob.example.com"]);
    for (const host of ["app.example.com", "example.com", "not a name", "1.2.3.4"]) {
      expect(await refusalOf(store.claimHost(bob, host))).toMatchObject({
        code: "HOSTNAME_NOT_GRANTED",
      });
    }
    expect((await store.claimHost(bob, "bob.example.com")).how).toBe("claimed");
    expect(
      await refusalOf(store.claimHost({ ...bob, keyId: "nobody" }, "bob.example.com")),
    ).toMatchObject({ code: "KEY_NOT_FOUND" });
  });

  test("are given by the owner by tunnel name, the bare domain and a custom domain too", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const [one, two] = [await join(store), await join(store)];
    for (const host of ["example.com", "www.example.com", "shop.customer.net"]) {
      expect(await store.grantHost("home", host)).toMatchObject({
        host,
        tunnel: one.tunnel,
        how: "granted",
      });
    }
    expect(await refusalOf(store.grantHost("home-2", "example.com"))).toMatchObject({
      code: "HOSTNAME_TAKEN",
    });
    expect(await refusalOf(store.grantHost("nobody", "a.example.com"))).toMatchObject({
      code: "TUNNEL_NOT_FOUND",
    });
    expect(await refusalOf(store.grantHost(two.tunnel, `${one.tunnel}.example.com`))).toMatchObject(
      {
        code: "HOSTNAME_NOT_GRANTED",
      },
    );
    expect((await store.claimHost(one, "www.example.com")).how).toBe("granted");
  });

  test("at random are remembered for key and target, also after a restart", async () => {
    using directory = new Directory();
    const clock = makeClock();
    let owner: HostOwner;
    let first: string;
    {
      await using store = await open(directory.path, clock);
      owner = await join(store);
      ({ host: first } = await store.randomHost(owner, "http://localhost:8000"));
      expect(first).toMatch(/^[a-z]+-[a-z]+\.example\.com$/);
      expect((await store.randomHost(owner, "http://localhost:8000")).host).toBe(first);
      expect((await store.randomHost(owner, "http://localhost:9000")).host).not.toBe(first);
      expect((await store.randomHost(await join(store), "http://localhost:8000")).host).not.toBe(
        first,
      );
      const twice = await Promise.all([store.randomHost(owner, "x"), store.randomHost(owner, "x")]);
      expect(twice[0].host).toBe(twice[1].host);
    }
    await using store = await open(directory.path, clock);
    expect((await store.randomHost(owner, "http://localhost:8000")).host).toBe(first);
    expect(isGranted(store.snapshot, first, owner.tunnel)).toBe(true);
    await store.releaseHost(first);
    expect((await store.randomHost(owner, "http://localhost:8000")).host).not.toBe(first);
    expect(await refusalOf(store.randomHost(owner, "x".repeat(1_025)))).toMatchObject({
      code: "USAGE",
    });
  });

  test("at random stay inside the key's scope", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const inside = await join(store, ["*.dev.example.org"]);
    expect((await store.randomHost(inside, "")).host).toMatch(/^[a-z]+-[a-z]+\.dev\.example\.org$/);
    expect(
      await refusalOf(store.randomHost(await join(store, ["bob.example.com"]), "")),
    ).toMatchObject({ code: "HOSTNAME_NOT_GRANTED" });
    // Everything below the domain belongs to one tunnel: nothing is left to draw.
    const all = await join(store);
    await store.grantHost(all.tunnel, "*.example.com");
    expect(await refusalOf(store.randomHost(await join(store), ""))).toMatchObject({
      code: "HOSTNAME_TAKEN",
    });
  });

  test.each([
    ["https://App.example.com/x?y=1", "Write app.example.com"],
    ["app.example.com:8443", "Write app.example.com"],
    ["*.dev.example.com/", "Write *.dev.example.com"],
    ["my_app.example.com", "Write the name alone: letters, digits and - between dots"],
    ["https://user@app.example.com", "Write the name alone"],
    ["", "Write the name alone"],
  ])("that are none are told with what was meant: %s", async (text, hint) => {
    using directory = new Directory();
    await using store = await open(directory.path);
    expect(await refusalOf(store.claimHost(await join(store), text))).toMatchObject({
      code: "HOSTNAME_NOT_GRANTED",
      hint: expect.stringContaining(hint),
    });
  });

  test("of one tunnel end at 1,000", async () => {
    using directory = new Directory();
    await using store = await open(directory.path);
    const owner = await join(store);
    for (let batch = 0; batch < 4; batch++) {
      const claims = Array.from({ length: 250 }, (_, index) =>
        store.claimHost(owner, `h${batch * 250 + index}.example.com`),
      );
      await Promise.all(claims);
    }
    expect(await refusalOf(store.claimHost(owner, "one-more.example.com"))).toMatchObject({
      code: "HOSTNAME_LIMIT",
    });
  });
});
