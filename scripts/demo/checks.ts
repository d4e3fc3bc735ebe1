// This file is what the demo checks: a page, an upload and a WebSocket through the tunnel. product.md §1.4.
import { createHash, randomBytes } from "node:crypto";
import type { Answer, Visits } from "./visitor.ts";

const UPLOAD_BYTES = 8 * 1024 * 1024;
/** One length for each way of RFC 6455 §5.2 to say it. */
const MESSAGES = ["hello", "otter ".repeat(500), "kettle ".repeat(20_000)];

/** What came of one check. */
export interface Result {
  readonly isGood: boolean;
  readonly label: string;
  readonly text: string;
}

/** Runs the checks one after the other; a check that throws is a failed one, and the next ones run nevertheless. */
export async function* check(visitor: Visits, page: Uint8Array): AsyncGenerator<Result> {
  yield await judge("GET /", async () => {
    const answer = await visitor.send("GET", "/");
    const { status, body } = answer;
    return [
      status === 200 && body.equals(page),
      `${statusOf(answer)}, ${body.equals(page) ? "body as sent" : `${body.length} other bytes, expected ${page.length}`}`,
    ];
  });
  yield await judge("POST 8 MiB", async () => {
    const bytes = randomBytes(UPLOAD_BYTES);
    const expected = createHash("sha256").update(bytes).digest("hex");
    const answer = await visitor.send("POST", "/upload", bytes);
    const isSame = answer.body.toString() === expected;
    return [
      answer.status === 200 && isSame,
      `${statusOf(answer)}, ${isSame ? "same" : "another"} SHA-256`,
    ];
  });
  yield await judge("WebSocket", async () => {
    using conversation = await visitor.openWebSocket("/live");
    let returned = 0;
    for (const message of MESSAGES)
      if ((await conversation.exchange(message)) === message) returned += 1;
    return [returned === MESSAGES.length, `${returned} of ${MESSAGES.length} messages came back`];
  });
}

/** `502 (ORIGIN_REFUSED)`: the code says which of the three ends to look at. */
function statusOf({ status, errorCode }: Answer): string {
  return errorCode === undefined ? String(status) : `${status} (${errorCode})`;
}

async function judge(
  label: string,
  body: () => Promise<readonly [isGood: boolean, text: string]>,
): Promise<Result> {
  try {
    const [isGood, text] = await body();
    return { isGood, label, text };
  } catch (error) {
    return { isGood: false, label, text: error instanceof Error ? error.message : String(error) };
  }
}
