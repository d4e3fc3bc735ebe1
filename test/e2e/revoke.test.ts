// What the edge's owner takes back, with the executable: live requests, links and keys end within a second, and stay ended after a restart and a repair. product.md §2.1; A-07.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, tunl } from "../binary/tunl.ts";
import { within } from "../within.ts";
import { type Peer, RawOrigin, visit } from "./peer.ts";
import { CAN_RUN, curl, DOMAIN, startConnector, TestEdge, Tunnel } from "./rig.ts";

/** From the command's answer to the end of what was live: it ends before the answer, which waits for a backup. */
const SOON_MS = 1_000;

type Answer = Readonly<Record<string, unknown>>;

/** Runs a command of the owner that must succeed. */
async function owner(edge: TestEdge, ...words: string[]): Promise<Answer> {
  const { code, stdout, stderr } = await tunl(["edge", ...words, "--json"], edge);
  if (code !== 0) throw new Error(`tunl edge ${words.join(" ")} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Answer;
}

/** The text and exit code of one that must fail. */
async function refused(edge: TestEdge, ...words: string[]): Promise<string> {
  const { code, stderr } = await tunl(["edge", ...words, "--log-format", "pretty"], edge);
  return `${code} ${stderr}`;
}

async function statusOf(edge: TestEdge, host: string): Promise<string> {
  const url = `https://${host}:${edge.port}/`;
  return (await curl(edge, ["-o", "/dev/null", "-w", "%{http_code}", url])).stdout;
}

/** An origin that begins an answer and never ends it. */
function endless(): Promise<RawOrigin> {
  return RawOrigin.start({}, (peer) =>
    peer.onHead(() => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegun")),
  );
}

/** A visitor in the middle of an answer. */
async function inTheMiddle(edge: TestEdge, host: string): Promise<Peer> {
  const peer = await visit(edge, host);
  peer.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await peer.until("begun");
  return peer;
}

describe.skipIf(!CAN_RUN)("edge grant and edge revoke", () => {
  test("a name: its requests are cut, the next one has no route; given to the tunnel again it is served again", async () => {
    await using origin = await endless();
    await using tunnel = await Tunnel.start({ target: `http://127.0.0.1:${origin.port}` });
    const { edge, host } = tunnel;
    using visitor = await inTheMiddle(edge, host);
    const { peers } = origin;
    expect(await owner(edge, "revoke", host)).toMatchObject({ kind: "host", host });
    expect(await visitor.ended(SOON_MS)).toBe("reset");
    await peers[0]?.ended(SOON_MS);
    expect(await statusOf(edge, host)).toBe("404");
    // The session is up, and announced the name: the grant alone decides.
    const name = await nameOf(edge);
    expect(await owner(edge, "grant", name, host)).toMatchObject({ tunnel: { name } });
    using again = await inTheMiddle(edge, host);
    expect(again.text).toContain("200 OK");
  });

  test("a tunnel: links end at once and for good, over a restart and a repair of the state", async () => {
    await using origin = await endless();
    const home = new Home();
    const machine = new Home();
    try {
      let edge = await TestEdge.start({ home: home.path });
      const { port } = edge;
      try {
        const flags = ["--name", "app", "--join", await edge.invite(["--name", "box"])];
        const target = `http://127.0.0.1:${origin.port}`;
        await using connector = startConnector(target, flags, { home: machine.path });
        await connector.event("route");
        const host = `app.${DOMAIN}`;
        using visitor = await inTheMiddle(edge, host);
        const answer = await owner(edge, "revoke", "box");
        expect(answer).toMatchObject({ kind: "tunnel", tunnel: { name: "box" }, hosts: [host] });
        expect(answer["keys"]).toHaveLength(1);
        // Cut off inside of its length, by FIN or RST: it looks whole to nobody.
        await visitor.ended(SOON_MS);
        const ended = await within(connector.ended, "the end of the connector", 5_000);
        expect(ended.code).toBe(4);
        expect(await edge.process.event("revoked")).toMatchObject({ tunnel: "box" });

        const again = async (): Promise<void> => {
          await using late = startConnector(target, ["--name", "app"], { home: machine.path });
          const { code, stderr } = await late.ended;
          expect([code, stderr.includes("KEY_REFUSED")]).toEqual([4, true]);
        };
        await again();
        await edge[Symbol.asyncDispose]();
        edge = await TestEdge.start({ home: home.path, port });
        await again();
        edge.process.signal("SIGKILL");
        await edge.process.ended;
        writeFileSync(join(home.path, "state", "state.db"), "no database at all", { mode: 0o600 });
        const state = ["--state", join(home.path, "state"), "--yes"];
        const repaired = await tunl(["edge", "repair", ...state], { home: home.path });
        expect([repaired.code, repaired.code === 0 ? "" : repaired.stderr]).toEqual([0, ""]);
        edge = await TestEdge.start({ home: home.path, port });
        await again();
        // The name stayed its own, so that nobody else has it meanwhile.
        expect(await refused(edge, "grant", "box", `app.${DOMAIN}`)).toStartWith("0 ");
      } finally {
        await edge[Symbol.asyncDispose]();
      }
    } finally {
      home[Symbol.dispose]();
      machine[Symbol.dispose]();
    }
  }, 60_000);

  test("an account and a key: what they were good for ends; so does a rotated key after its overlap", async () => {
    await using edge = await TestEdge.start();
    using machine = new Home();
    const at = { home: machine.path };
    const { line } = (await owner(edge, "invite", "--account")) as { line: string };
    const does = async (...words: string[]): Promise<void> => {
      const { code, stderr } = await tunl(words, at);
      if (code !== 0) throw new Error(`tunl ${words.join(" ")} ended with ${code}: ${stderr}`);
    };
    await does("login", line);
    await does("tunnel", "create", "box");
    const connect = async (): Promise<ReturnType<typeof startConnector>> => {
      const flags = ["--name", "app", "--tunnel", "box"];
      const connector = startConnector("http_status:204", flags, at);
      await connector.event("route");
      return connector;
    };
    await using old = await connect();
    // A copied disk: two processes with one key are two connectors, and the owner sees it.
    {
      await using copy = await connect();
      const { stdout } = await tunl(["status"], edge);
      expect(stdout).toContain('2 connectors with the one key "');
      expect(stdout).toMatch(/^tunnel +box  2 connectors .*  key \S+$/m);
      expect(stdout).toMatch(/^account +\S+  1 tunnel  key \S+$/m);
      expect(copy.output).not.toContain("refused");
    }
    await does("tunnel", "rotate", "box", "--overlap", "2s");
    expect(await statusOf(edge, `app.${DOMAIN}`)).toBe("204");
    await using fresh = await connect();
    // Cut at the end of the overlap, it finds the new key in its file and comes back with that.
    const cut = await old.event("link.lost", { withinMs: 8_000 });
    expect(cut["msg"]).toContain("REVOKED");
    await old.find((line) => (line.includes(", after ") ? true : undefined), "its next link");
    expect(await statusOf(edge, `app.${DOMAIN}`)).toBe("204");
    expect(edge.process.output.split('"event":"revoked"')).toHaveLength(2);

    const { tunnels, accounts } = JSON.parse((await tunl(["status", "--json"], edge)).stdout)
      .edge as Record<"tunnels" | "accounts", { name: string; keys: string[] }[]>;
    const [key = ""] = tunnels[0]?.keys ?? [];
    expect(tunnels[0]?.keys).toHaveLength(1);
    expect(await owner(edge, "revoke", `box/${key}`)).toMatchObject({
      kind: "key",
      key,
      of: "box",
    });
    for (const connector of [old, fresh])
      expect((await within(connector.ended, "the end of a connector", 8_000)).code).toBe(4);
    expect(await owner(edge, "revoke", `account:${accounts[0]?.name}`)).toMatchObject({
      ...{ kind: "account", tunnels: ["box"] },
    });
    const { code, stderr } = await tunl(["tunnel", "list"], at);
    expect([code, stderr]).toEqual([4, expect.stringContaining("does not accept")]);
  }, 60_000);

  test("a line, by itself or its code: it lets nobody in, and the keys it made are named", async () => {
    await using edge = await TestEdge.start();
    const line = await edge.invite(["--uses", "2"]);
    using first = new Home();
    await using connector = startConnector("http_status:204", ["--join", line, "--label", "box"], {
      home: first.path,
    });
    await connector.event("connected");
    const answer = await owner(edge, "revoke", line);
    expect(answer).toMatchObject({ kind: "code", wasOver: false });
    const [key = ""] = answer["keys"] as string[];
    using second = new Home();
    await using late = startConnector("http_status:204", ["--join", line], { home: second.path });
    expect((await late.ended).code).toBe(4);
    expect(await owner(edge, "revoke", line.split("/").at(-1) as string)).toMatchObject({
      wasOver: true,
    });
    expect(await owner(edge, "revoke", `key:${key}`)).toMatchObject({ kind: "key" });
    expect((await within(connector.ended, "the end of the connector", 5_000)).code).toBe(4);
    // The code of the line stands in no log.
    expect(edge.process.output).not.toContain(line.split("/").at(-1) as string);
  });

  test("what is nowhere, and what may mean several things: nothing is done, and the text says what to write", async () => {
    await using edge = await TestEdge.start();
    using home = new Home();
    const line = await edge.invite(["--name", "app"]);
    await using connector = startConnector(
      "http_status:204",
      ["--name", "app", "--join", line, "--label", "app"],
      {
        home: home.path,
      },
    );
    await connector.event("route");
    expect(await refused(edge, "revoke", "nobody")).toMatch(/^7 ✖ not found .*"nobody"/s);
    const text = await refused(edge, "revoke", "app");
    expect(text).toMatch(/^2 ✖ usage .*"app" may mean 2 things/s);
    expect(text).toContain("Say which: tunnel:app, key:app/app");
    expect(await refused(edge, "grant", "nobody", `a.${DOMAIN}`)).toStartWith("7 ");
    expect(await refused(edge, "grant", "app", "a b")).toStartWith("4 ");
    expect(await statusOf(edge, `app.${DOMAIN}`)).toBe("204");
    expect(await owner(edge, "grant", "app", `www.${DOMAIN}`, DOMAIN)).toMatchObject({
      hosts: [{ host: `www.${DOMAIN}` }, { host: DOMAIN }],
    });
  });
});

/** The name of the one tunnel. */
async function nameOf(edge: TestEdge): Promise<string> {
  const { edge: status } = JSON.parse((await tunl(["status", "--json"], edge)).stdout) as {
    edge: { tunnels: { name: string }[] };
  };
  return status.tunnels[0]?.name as string;
}
