import { describe, expect, test } from "bun:test";
import { SocketAccount } from "../../../src/connector/origin/socket-account.ts";
import { reachedLimits } from "../../../src/limits.ts";
import { eventually, RawServer, received } from "../sockets.ts";
import { Rig } from "./rig.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

describe("sockets to origins", () => {
  test("beyond the account a request is answered at once, and served when there is room (S-43)", async () => {
    const sockets = new SocketAccount(2);
    await using server = await new RawServer().listen({ host: "127.0.0.1" });
    using rig = new Rig(`http://127.0.0.1:${server.port}`, { sockets });
    const before = reachedLimits().originSockets ?? 0;
    const calls = [rig.call(), rig.call()];
    const first = await server.accepted();
    await server.accepted();
    const refused = await rig.call().over();
    expect(refused.failed).toMatchObject({ code: "ORIGIN_UNREACHABLE", sent: false });
    expect(refused.failed?.detail).toContain("2 sockets are open");
    expect(reachedLimits().originSockets).toBe(before + 1);
    await received(first, 1);
    first.write(OK);
    await eventually("the first answer", () => calls.some((call) => call.isOver));
    // Idle now, and used again without a dial.
    const second = received(first, 1);
    const again = rig.call();
    await second;
    expect(sockets.open).toBe(2);
    first.write(OK);
    expect((await again.over()).text).toBe("ok");
    expect(server.sockets.length).toBe(2);
  });

  test("an idle connection makes room for one that may not reuse it", async () => {
    let now = 0;
    const sockets = new SocketAccount(1);
    await using server = await new RawServer((socket) =>
      socket.on("data", () => socket.write(OK)),
    ).listen({ host: "127.0.0.1" });
    using rig = new Rig(`http://127.0.0.1:${server.port}`, { sockets, now: () => now });
    expect((await rig.call().over()).text).toBe("ok");
    expect(sockets.open).toBe(1);
    // A POST takes only a connection that was idle for less than a second.
    now += 2_000;
    const post = rig.call({ method: "POST", length: 0 });
    post.exchange.end();
    expect((await post.over()).text).toBe("ok");
    expect(server.sockets.length).toBe(2);
    await eventually("the old connection to be gone", () => sockets.open === 1);
  });

  test("a dial that fails or is given up takes no place", async () => {
    const sockets = new SocketAccount(1);
    const gone = await new RawServer().listen({ host: "127.0.0.1" });
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    using rig = new Rig(`http://127.0.0.1:${port}`, { sockets });
    expect((await rig.call().over()).failed?.code).toBe("ORIGIN_REFUSED");
    expect(sockets.open).toBe(0);
    const given = rig.call();
    expect(sockets.open).toBe(1);
    given.exchange.abort();
    expect(sockets.open).toBe(0);
    const refused = rig.call();
    rig.call().exchange.abort();
    refused.exchange.abort();
  });
});
