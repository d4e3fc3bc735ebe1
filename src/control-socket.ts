// This file is a control socket: HTTP with JSON, `POST /v1/NAME`, on a unix socket whose file mode is the access check. product.md §5.
import { chmodSync, lstatSync, mkdirSync, readdirSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { basename, dirname, join } from "node:path";
import { messageOf, TunlError } from "./errors.ts";

/** Largest body of a call, bytes. */
const BODY_MAX = 65_536;

export type ControlBody = Readonly<Record<string, unknown>>;

/** Answers one call. A TunlError becomes `{code, message, hint}`; undefined is an unknown name. */
export type ControlCalls = (name: string, body: ControlBody) => Promise<ControlBody | undefined>;

export interface ControlSocket extends AsyncDisposable {
  readonly path: string;
}

/** Sockets that carry the id of their process: a killed one never comes back to replace its file. */
const OF_PROCESS = /^connect-(\d+)\.sock$/;

/**
 * Listens on `path`, until disposed or the process exits. A file left by a killed process is replaced, a live one is not;
 * beside a `connect-PID.sock`, those of processes that are gone are removed.
 *
 * @throws TunlError `SOCKET_IN_USE`, `SOCKET_FAILED`.
 */
export async function serveControlSocket(
  path: string,
  calls: ControlCalls,
): Promise<ControlSocket> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    if (isSocket(path)) {
      if (await isAnswered(path)) {
        throw new TunlError(
          "SOCKET_IN_USE",
          `The control socket "${path}" belongs to a running process`,
          {
            hint: "Stop that process, or name another socket with --admin unix:PATH",
          },
        );
      }
      unlinkSync(path);
    }
    if (OF_PROCESS.test(basename(path))) await removeDead(dirname(path));
    const server = Bun.serve({
      unix: path,
      fetch: (request) => answer(request, calls),
      maxRequestBodySize: BODY_MAX,
    });
    chmodSync(path, 0o600);
    const remove = remover(path);
    // A second signal ends the process without disposing anything.
    process.on("exit", remove);
    return {
      path,
      [Symbol.asyncDispose]: async () => {
        process.off("exit", remove);
        await server.stop(true);
      },
    };
  } catch (error) {
    if (error instanceof TunlError) throw error;
    const reason = messageOf(error);
    throw new TunlError(
      "SOCKET_FAILED",
      `Listening on the control socket "${path}" failed: ${reason}`,
      {
        cause: error,
        hint: "Choose a directory this user may write to, with --admin unix:PATH or TUNL_HOME",
      },
    );
  }
}

/** Removes the file that stands at `path` now; never one that another process put there meanwhile. */
function remover(path: string): () => void {
  const { dev, ino } = lstatSync(path);
  return () => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.dev === dev && found.ino === ino) unlinkSync(path);
  };
}

/** Somebody else's file, or one that is gone meanwhile, is no reason not to start. */
async function removeDead(directory: string): Promise<void> {
  for (const name of readdirSync(directory)) {
    const pid = OF_PROCESS.exec(name)?.[1];
    const path = join(directory, name);
    if (pid === undefined || isAlive(Number(pid)) || !isSocket(path)) continue;
    // In another container the same number may be alive.
    if (await isAnswered(path)) continue;
    try {
      unlinkSync(path);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "ENOENT" && code !== "EACCES" && code !== "EPERM") throw error;
    }
  }
}

/** Signal 0 asks only; all but "no such process" may be a living one. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function answer(request: Request, calls: ControlCalls): Promise<Response> {
  const name = /^\/v1\/([a-z][a-z.]*)$/.exec(new URL(request.url).pathname)?.[1];
  if (request.method !== "POST" || name === undefined)
    return refuse(404, "NOT_FOUND", "Expected POST /v1/NAME");
  let body: unknown;
  try {
    body = await request.json();
  } catch {
    // What the parser found is of no use to a caller that sent no JSON at all.
    return refuse(400, "USAGE", "The body is no JSON");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    return refuse(400, "USAGE", "The body is no JSON object");
  }
  try {
    const result = await calls(name, body as ControlBody);
    return result === undefined
      ? refuse(404, "NOT_FOUND", `There is no call "${name}"`)
      : Response.json(result);
  } catch (error) {
    if (error instanceof TunlError) return refuse(409, error.code, error.message, error.hint);
    return refuse(500, "INTERNAL", messageOf(error));
  }
}

function refuse(status: number, code: string, message: string, hint?: string): Response {
  return Response.json({ code, message, hint }, { status });
}
