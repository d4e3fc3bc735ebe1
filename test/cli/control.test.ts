import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call } from "../../src/cli/control.ts";
import { TunlError } from "../../src/errors.ts";

let root: string;
let socket: string;
let server: Bun.Server<undefined>;
const seen: { method: string; path: string; body: unknown }[] = [];
const answers: Record<string, () => Response | Promise<Response>> = {
  "/v1/silent": () => new Promise(() => undefined),
  "/v1/good": () => Response.json({ line: "x" }),
  "/v1/progress": () => new Response('{"event":"dns"}\n{"event":"certificate"}\n{"done":true}\n'),
  "/v1/refused": () =>
    Response.json(
      {
        code: "HOSTNAME_TAKEN",
        message: "app.example.com belongs to another tunnel",
        hint: "Choose another",
      },
      { status: 409 },
    ),
  "/v1/html": () => new Response("<html>", { status: 502 }),
  "/v1/list": () => Response.json([1]),
  "/v1/huge": () => new Response("x".repeat(5_000_000)),
  "/v1/away": () => Response.redirect("http://example.com/"),
};

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tunl-control-"));
  socket = join(root, "edge.sock");
  server = Bun.serve({
    unix: socket,
    fetch: async (request) => {
      const path = new URL(request.url).pathname;
      seen.push({ method: request.method, path, body: await request.json() });
      return answers[path]?.() ?? Response.json({ message: "No such call" }, { status: 404 });
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  rmSync(root, { recursive: true, force: true });
});

async function refusal(path: string, name: string): Promise<string> {
  try {
    await call(path, name, {});
  } catch (error) {
    if (error instanceof TunlError) return error.code;
    throw error;
  }
  return "answered";
}

describe("control socket", () => {
  test("a call is a POST of JSON, its result the last line", async () => {
    expect(await call(socket, "good", { uses: 1 })).toEqual({ line: "x" });
    expect(seen.at(-1)).toEqual({ method: "POST", path: "/v1/good", body: { uses: 1 } });
    expect(await call(socket, "progress", {})).toEqual({ done: true });
  });

  test("a refusal keeps its code, sentence and hint", async () => {
    await expect(call(socket, "refused", {})).rejects.toMatchObject({
      code: "HOSTNAME_TAKEN",
      hint: "Choose another",
    });
    expect(await refusal(socket, "nothing")).toBe("NOT_FOUND");
  });

  test("an answer that is none is said to be none", async () => {
    for (const name of ["html", "list", "huge"])
      expect([name, await refusal(socket, name)]).toEqual([name, "BAD_ANSWER"]);
    expect(await refusal(socket, "away")).toBe("CALL_FAILED");
  });

  test("an answer that does not come is waited for as long as the command says", async () => {
    const error = await call(socket, "silent", {}, 50).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "EDGE_UNREACHABLE",
      message: `"${socket}" did not answer within 0.05 s`,
    });
  });

  test("nobody there, or something that is no socket", async () => {
    expect(await refusal(join(root, "none.sock"), "good")).toBe("EDGE_NOT_RUNNING");
    writeFileSync(join(root, "file.sock"), "");
    expect(await refusal(join(root, "file.sock"), "good")).toBe("EDGE_NOT_RUNNING");
  });
});
