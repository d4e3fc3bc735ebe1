// This file is the control socket: who finds it, who may use it, and what it does not answer. product.md §5.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveControlSocket } from "../src/control-socket.ts";
import { TunlError } from "../src/errors.ts";
import { Program } from "./binary/program.ts";
import { IS_BUILT } from "./binary/tunl.ts";
import { TestEdge } from "./e2e/rig.ts";

/** Names that every object of the language has, and one that nothing has. */
const UNKNOWN = ["constructor", "toString", "valueOf", "__proto__", "hasOwnProperty", "weather"];

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function ask(unix: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`http://tunl${path}`, {
    method: "POST",
    body: "{}",
    signal: AbortSignal.timeout(5_000),
    ...init,
    unix,
  });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TunlError) return error.code;
    throw error;
  }
  throw new Error("Expected it to fail");
}

describe("control socket", () => {
  let directory: string;
  let count = 0;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "tunl-socket-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const freshPath = (): string => join(directory, `${(count += 1)}.sock`);

  const calls = async (
    name: string,
    body: Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>> | undefined> => {
    if (name === "echo") return body;
    if (name === "refuse")
      throw new TunlError("HOSTNAME_TAKEN", "It is taken", { hint: "Another" });
    if (name === "fail") throw new Error("a bug");
    return undefined;
  };

  test("answers a call, and turns errors into codes", async () => {
    await using socket = await serveControlSocket(freshPath(), calls);
    const body = JSON.stringify({ a: [1] });
    expect(await ask(socket.path, "/v1/echo", { body })).toEqual({ status: 200, body: { a: [1] } });
    expect(await ask(socket.path, "/v1/refuse")).toEqual({
      status: 409,
      body: { code: "HOSTNAME_TAKEN", message: "It is taken", hint: "Another" },
    });
    expect(await ask(socket.path, "/v1/fail")).toMatchObject({
      status: 500,
      body: { code: "INTERNAL" },
    });
  });

  test("what is no known call is 404, what is no object is 400", async () => {
    await using socket = await serveControlSocket(freshPath(), calls);
    for (const path of [...UNKNOWN.map((name) => `/v1/${name}`), "/v1/", "/", "/v2/echo"])
      expect([path, (await ask(socket.path, path)).status]).toEqual([path, 404]);
    for (const body of ["", "no json", "[]", "null", "1"]) {
      const { status, body: answer } = await ask(socket.path, "/v1/echo", { body });
      expect([body, status, answer["code"]]).toEqual([body, 400, "USAGE"]);
    }
    const got = await ask(socket.path, "/v1/echo", { method: "GET", body: null });
    expect(got.status).toBe(404);
    expect.assertions(15);
  });

  test("is for its user alone: mode 0600, in a directory of mode 0700 if it makes one", async () => {
    const path = join(directory, "made", "x.sock");
    await using socket = await serveControlSocket(path, calls);
    expect((lstatSync(socket.path).mode & 0o777).toString(8)).toBe("600");
    expect((lstatSync(join(directory, "made")).mode & 0o777).toString(8)).toBe("700");
  });

  test("replaces the file of a killed process", async () => {
    const path = freshPath();
    // A process that is killed while it listens leaves its file.
    const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("listening"))`;
    await using program = new Program([process.execPath, "-e", script]);
    await program.line(/^listening$/);
    program.signal("SIGKILL");
    await program.ended;
    expect(lstatSync(path).isSocket()).toBe(true);
    await using socket = await serveControlSocket(path, calls);
    expect((await ask(socket.path, "/v1/echo")).status).toBe(200);
  });

  test("its file is gone after an exit that disposes nothing, unless it is another one's by then", async () => {
    for (const isReplaced of [false, true]) {
      const path = freshPath();
      const module = join(import.meta.dir, "../src/control-socket.ts");
      const script = `
        const { serveControlSocket } = await import(${JSON.stringify(module)});
        await serveControlSocket(${JSON.stringify(path)}, async () => undefined);
        process.on("SIGTERM", () => process.exit(143));
        console.log("listening");`;
      await using program = new Program([process.execPath, "-e", script]);
      await program.line(/^listening$/);
      expect(lstatSync(path).isSocket()).toBe(true);
      if (isReplaced) {
        rmSync(path);
        writeFileSync(path, "precious");
      }
      program.signal("SIGTERM");
      expect((await program.ended).code).toBe(143);
      expect(existsSync(path)).toBe(isReplaced);
    }
  });

  test("removes the sockets of connectors that are gone, and nothing else", async () => {
    const own = mkdtempSync(join(directory, "dead-"));
    const gone = Bun.spawnSync([process.execPath, "-e", ""]).pid;
    const script = (path: string): string =>
      `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("listening"))`;
    // A socket file whose listener was killed; its name says whose it is.
    const leave = async (name: string): Promise<void> => {
      await using program = new Program([process.execPath, "-e", script(join(own, name))]);
      await program.line(/^listening$/);
      program.signal("SIGKILL");
      await program.ended;
    };
    await leave(`connect-${gone}.sock`);
    await leave("edge.sock");
    await leave(`connect-${process.ppid}.sock`);
    writeFileSync(join(own, "connect-4194302.sock"), "precious");
    await using answering = new Program([
      process.execPath,
      "-e",
      script(join(own, "connect-4194303.sock")),
    ]);
    await answering.line(/^listening$/);
    await using other = await serveControlSocket(join(own, "edge2.sock"), calls);
    expect(existsSync(join(own, `connect-${gone}.sock`))).toBe(true);
    await using socket = await serveControlSocket(join(own, `connect-${process.pid}.sock`), calls);
    expect(readdirSync(own).toSorted()).toEqual(
      [
        "connect-4194302.sock",
        "connect-4194303.sock",
        `connect-${process.ppid}.sock`,
        socket.path.slice(own.length + 1),
        "edge.sock",
        other.path.slice(own.length + 1),
      ].toSorted(),
    );
  });

  test("leaves the file of a living one, which goes on answering", async () => {
    await using first = await serveControlSocket(freshPath(), calls);
    expect(await codeOf(serveControlSocket(first.path, calls))).toBe("SOCKET_IN_USE");
    expect((await ask(first.path, "/v1/echo")).status).toBe(200);
  });

  test("leaves the file of a living one that is not ours and says nothing", async () => {
    const path = freshPath();
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(await codeOf(serveControlSocket(path, calls))).toBe("SOCKET_IN_USE");
    expect(server.listening).toBe(true);
    server.close();
  });

  test("never removes what is no socket", async () => {
    const path = freshPath();
    writeFileSync(path, "precious");
    expect(await codeOf(serveControlSocket(path, calls))).toBe("SOCKET_FAILED");
    expect(await Bun.file(path).text()).toBe("precious");
  });

  test("its file is gone at the end, and the next one may come", async () => {
    const path = freshPath();
    for (let turn = 0; turn < 3; turn++) {
      const socket = await serveControlSocket(path, calls);
      expect((await ask(path, "/v1/echo")).status).toBe(200);
      await socket[Symbol.asyncDispose]();
      expect(existsSync(path)).toBe(false);
    }
    expect.assertions(6);
  });
});

describe.skipIf(!IS_BUILT)("control socket of an edge", () => {
  test("knows no call by a name that every object has", async () => {
    await using edge = await TestEdge.start();
    const sockets = readdirSync(edge.home, { recursive: true, encoding: "utf8" })
      .map((name) => join(edge.home, name))
      .filter((path) => lstatSync(path).isSocket());
    expect(sockets.length).toBe(1);
    const [path = ""] = sockets;
    for (const name of UNKNOWN) {
      const { status, body } = await ask(path, `/v1/${name}`);
      expect([name, status, body["code"]]).toEqual([name, 404, "NOT_FOUND"]);
    }
    expect((await ask(path, "/v1/status")).status).toBe(200);
    expect((lstatSync(path).mode & 0o777).toString(8)).toBe("600");
  });
});
