// This file is a call to a running edge or connector over its control socket: HTTP with JSON, `POST /v1/NAME`. product.md §5.
import { TunlError } from "../errors.ts";
import { exitCodeOf, messageOf } from "./failure.ts";

/** A process that does not answer within this time is stuck: its calls touch memory and one small transaction. */
const ANSWER_MS = 10_000;
/** Longest answer that is read. */
const MAX_ANSWER = 4_194_304;

/** A JSON object whose members are not yet known. */
export type Answer = Readonly<Record<string, unknown>>;

/**
 * Makes one call.
 *
 * @param path Of the socket.
 * @param answerMs How long an answer may take; 10 s for what touches memory and one small transaction.
 * @returns The result: the last line of the answer, lines before it are progress.
 * @throws TunlError `EDGE_NOT_RUNNING` (nobody listens), `SOCKET_FORBIDDEN`, `EDGE_UNREACHABLE` (no answer in time), or the
 *   code of the answer `{code, message, hint}`.
 */
export async function call(
  path: string,
  name: string,
  body: Answer,
  answerMs: number = ANSWER_MS,
): Promise<Answer> {
  let status: number;
  let text: string;
  try {
    const response = await fetch(`http://localhost/v1/${name}`, {
      unix: path,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "error",
      signal: AbortSignal.timeout(answerMs),
    });
    status = response.status;
    text = await boundedText(response);
  } catch (error) {
    throw callError(path, error, answerMs);
  }
  const answer = parseAnswer(text);
  if (answer === undefined)
    throw new TunlError(
      "BAD_ANSWER",
      `"${path}" answered ${status} without JSON, is it a control socket of tunl?`,
    );
  if (status !== 200) throw refusal(answer, status);
  return answer;
}

/** True for an error that says that no process is behind the socket. */
export function isNotRunning(error: unknown): boolean {
  return error instanceof TunlError && error.code === "EDGE_NOT_RUNNING";
}

function callError(path: string, error: unknown, answerMs: number): TunlError {
  if (error instanceof TunlError) return error;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (error instanceof Error && error.name === "TimeoutError") {
    return new TunlError(
      "EDGE_UNREACHABLE",
      `"${path}" did not answer within ${answerMs / 1_000} s`,
      { cause: error },
    );
  }
  if (code === "EACCES" || code === "EPERM") {
    return new TunlError("SOCKET_FORBIDDEN", `Asking "${path}" failed: permission denied`, {
      cause: error,
      hint: "Run as the edge's user or as root",
    });
  }
  if (
    code === "ENOENT" ||
    code === "ECONNREFUSED" ||
    code === "FailedToOpenSocket" ||
    code === "ConnectionRefused"
  ) {
    return new TunlError(
      "EDGE_NOT_RUNNING",
      `No edge is running here: nothing listens on "${path}"`,
      {
        cause: error,
        hint: "Start tunl edge, or name its socket with --admin unix:PATH",
      },
    );
  }
  return new TunlError("CALL_FAILED", `Asking "${path}" failed: ${messageOf(error)}`, {
    cause: error,
  });
}

/** The edge's own error; a code without an exit code of ours stays unexpected. */
function refusal(answer: Answer, status: number): TunlError {
  const code = typeof answer["code"] === "string" ? answer["code"] : "CALL_FAILED";
  const message =
    typeof answer["message"] === "string"
      ? answer["message"]
      : `The edge refused with status ${status}`;
  const hint = typeof answer["hint"] === "string" ? answer["hint"] : undefined;
  const error = new TunlError(code, message, hint === undefined ? {} : { hint });
  return exitCodeOf(error) === 1 && status === 404
    ? new TunlError("NOT_FOUND", message, hint === undefined ? {} : { hint })
    : error;
}

function parseAnswer(text: string): Answer | undefined {
  const last = text.trimEnd().split("\n").at(-1) ?? "";
  try {
    const value: unknown = JSON.parse(last);
    return isAnswer(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** True for a JSON object. */
export function isAnswer(value: unknown): value is Answer {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function boundedText(response: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length > MAX_ANSWER)
      throw new TunlError("BAD_ANSWER", `The answer is longer than ${MAX_ANSWER} bytes`);
  }
  return text + decoder.decode();
}
