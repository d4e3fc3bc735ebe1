// What hostile answers of origins become on their way to a visitor: exactly the responses the connector took, on one kept connection. S-05, S-08, S-64.
import { describe, expect, test } from "bun:test";
import { keepResponseFields, keepVisitorFields, validateFields } from "../../src/exchange/index.ts";
import { LineBuffer } from "../../src/headers/index.ts";
import {
  type FramingToWrite,
  Http1Error,
  RESPONSE_LIMITS,
  type ResponseHead,
  responseReader,
  responseWriter,
} from "../../src/http1/index.ts";
import { TunlError } from "../../src/errors.ts";
import { JUDGES } from "../http1/judges/judge.ts";
import { inputOf, isRequest, rows } from "../http1/llhttp-rows.ts";
import { bytes, corpus, decode, text } from "../http1/support.ts";

interface Forwarded {
  readonly line: string;
  readonly body: string;
  readonly bytes: Uint8Array;
}

const into = new LineBuffer();

/** The fields a visitor gets: cleaned by the connector, checked and cleaned again by the edge. */
function visitorFields(head: ResponseHead): Uint8Array {
  into.clear();
  keepResponseFields(head.fields, into);
  const checked = validateFields(into.take());
  if (typeof checked === "string")
    throw new Error(`The connector sends fields of the fault ${checked}`);
  keepVisitorFields(checked, "Tue, 24 Nov 2026 07:24:26 GMT", into);
  return into.take();
}

/** To a visitor of 1.1 a body that lasts until close is sent in chunks. */
function framingOf(head: ResponseHead): FramingToWrite {
  if (head.status === 204) return { kind: "none" };
  if (head.framing.kind === "none") return { kind: "announced", length: head.contentLength };
  return head.framing.kind === "untilClose" ? { kind: "chunked" } : head.framing;
}

/** The answer to a GET as a visitor gets it; undefined when the origin's is refused or not whole. */
function forward(input: Uint8Array): Forwarded | undefined {
  const reader = responseReader(RESPONSE_LIMITS);
  const body: Uint8Array[] = [];
  let isWhole = false;
  try {
    reader.expect("GET", undefined);
    reader.feed(input);
    for (let step = reader.next(); step !== "needBytes"; step = reader.next()) {
      if (step === "body") body.push(reader.body);
      if (step !== "end") continue;
      isWhole = true;
      break;
    }
    if (!isWhole && reader.eof() !== "finished") return undefined;
    const { status, reason } = reader.head;
    const writer = responseWriter();
    const head = writer.head({
      line: { status, reason },
      fields: visitorFields(reader.head),
      framing: framingOf(reader.head),
      connection: "keep-alive",
    });
    const content = writer.body(Buffer.concat(body));
    const end = writer.end();
    if (end === false) throw new Error("The body is not as long as announced");
    return {
      line: `${status} ${text(reason).replace(/[ \t]+$/, "")}`,
      body: Buffer.concat(body).toString("latin1"),
      bytes: new Uint8Array(Buffer.concat([head, ...content, ...end])),
    };
  } catch (error) {
    if (error instanceof Http1Error) return undefined;
    if (error instanceof TunlError && error.code === "ORIGIN_INVALID") return undefined;
    throw error;
  }
}

const base64Rows = (name: string): Uint8Array[] =>
  (corpus<{ input: string }>(name) ?? []).map(({ input }) => decode(input));

/** Fuzz inputs are seldom responses: each is tried as it is, and behind a status line. */
function mended(input: Uint8Array): Uint8Array[] {
  const whole = text(input).replaceAll(/\r?\n/g, "\r\n");
  return [input, bytes(whole.replace(/^.*?\r\n/, "HTTP/1.1 200 OK\r\n"))];
}

const inputs = [
  ...(rows ?? []).filter((row) => !isRequest(row)).map((row) => bytes(inputOf(row))),
  ...base64Rows("fuzz-h2o-http1.jsonl").flatMap(mended),
  ...base64Rows("fuzz-gofuzz-http1.jsonl").flatMap(mended),
];

describe.skipIf(inputs.length === 0)("hostile responses that are forwarded", () => {
  const forwarded = inputs.flatMap((input) => forward(input) ?? []);

  test("are some, so that there is something to judge", () => {
    expect(forwarded.length).toBeGreaterThan(200);
  });

  for (const judge of JUDGES) {
    test.skipIf(!judge.isThere)(
      `are for ${judge.name} the same responses on one connection, and nothing between them (S-05)`,
      async () => {
        const verdicts = await judge.ask({
          connections: [],
          responses: forwarded.map((each) => ({ method: "GET", bytes: each.bytes, isLast: false })),
        });
        const seen = verdicts.responses.map(({ status, reason = "", body, fields, error }) => ({
          line: `${status} ${reason.replace(/[ \t]+$/, "")}`,
          body: Buffer.from(body ?? "", "base64").toString("latin1"),
          framings:
            fields.filter(([name]) => /^(content-length|transfer-encoding)$/i.test(name)).length <
            2,
          error: error ?? null,
        }));
        expect(seen).toEqual(
          forwarded.map(({ line, body }) => ({ line, body, framings: true, error: null })),
        );
      },
    );
  }
});
