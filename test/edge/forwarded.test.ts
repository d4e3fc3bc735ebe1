// What hostile input becomes on its way to an origin: exactly the requests the edge took, by the verdict of parsers that others wrote.
import { describe, expect, test } from "bun:test";
import { CanonicalRequests, type VisitorPeer } from "../../src/edge/request.ts";
import { validateFields } from "../../src/exchange/index.ts";
import {
  Http1Error,
  REQUEST_LIMITS,
  type RequestHead,
  requestReader,
  requestWriter,
} from "../../src/http1/index.ts";
import { JUDGES } from "../http1/judges/judge.ts";
import { inputOf, isRequest, rows } from "../http1/llhttp-rows.ts";
import { bytes, corpus, decode, text } from "../http1/support.ts";
import { PEER } from "./listen/rig.ts";

/** Takes every name and port: what is refused here is refused for its form. */
const OPEN: VisitorPeer = {
  ...PEER,
  covers: () => true,
  publicPorts: Array.from({ length: 65_536 }, (_, port) => port),
};

/** One request that goes on. */
interface Forwarded {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly body: string;
  readonly bytes: Uint8Array;
}

/** The bytes an origin gets for one request: the edge's canonical request, checked and written by the connector. */
function forward(
  requests: CanonicalRequests,
  head: RequestHead,
  body: Buffer,
): Forwarded | undefined {
  const request = requests.build(head);
  if ("code" in request || request.upgrade !== undefined) return undefined;
  const fields = validateFields(request.fields);
  if (typeof fields === "string") throw new Error(`The edge sends fields of the fault ${fields}`);
  const { method, target, authority } = request;
  const writer = requestWriter();
  const pieces = [
    writer.head({
      line: { method, target },
      host: authority,
      fields: fields.lines,
      framing: head.framing,
      connection: "keep-alive",
    }),
    ...writer.body(body),
  ];
  const end = writer.end();
  if (end === false) throw new Error("The body is not as long as announced");
  return {
    method,
    target: Buffer.from(target).toString("latin1"),
    host: authority,
    body: body.toString("latin1"),
    bytes: new Uint8Array(Buffer.concat([...pieces, ...end])),
  };
}

/** Every whole request of one visitor's bytes. */
function forwardAll(input: Uint8Array): Forwarded[] {
  const reader = requestReader(REQUEST_LIMITS);
  const requests = new CanonicalRequests(OPEN);
  const found: Forwarded[] = [];
  let body: Uint8Array[] = [];
  reader.feed(input);
  try {
    for (let step = reader.next(); step !== "needBytes"; step = reader.next()) {
      if (step === "head") body = [];
      else if (step === "body") body.push(reader.body);
      else if (step === "end") {
        const forwarded = forward(requests, reader.head, Buffer.concat(body));
        if (forwarded !== undefined) found.push(forwarded);
        if (!reader.head.persistent) break;
      }
    }
  } catch (error) {
    if (!(error instanceof Http1Error)) throw error;
  }
  return found;
}

const base64Rows = (name: string): Uint8Array[] =>
  (corpus<{ input: string }>(name) ?? []).map(({ input }) => decode(input));

/** Fuzz inputs seldom have a Host, and often end lines with LF alone: each is tried as it is and mended. */
function mended(input: Uint8Array): Uint8Array[] {
  const whole = text(input).replaceAll(/\r?\n/g, "\r\n");
  return [input, bytes(whole), bytes(whole.replace("\r\n", "\r\nHost: app.example.com\r\n"))];
}

const inputs = [
  ...(rows ?? []).filter(isRequest).map((row) => bytes(inputOf(row))),
  ...(corpus<{ head: string; hasHost: boolean }>("guardian.jsonl") ?? []).flatMap(({ head }) =>
    mended(bytes(`${text(decode(head))}0\r\n\r\n${"x".repeat(12_000)}`)),
  ),
  ...base64Rows("fuzz-h2o-http1.jsonl").flatMap(mended),
  ...base64Rows("fuzz-gofuzz-http1.jsonl").flatMap(mended),
];

describe.skipIf(inputs.length === 0)("hostile input that is forwarded", () => {
  const forwarded = inputs.flatMap(forwardAll);

  test("is some of it, so that there is something to judge", () => {
    expect(inputs.length).toBeGreaterThan(8_000);
    expect(forwarded.length).toBeGreaterThan(200);
  });

  for (const judge of JUDGES) {
    test.skipIf(!judge.isThere)(
      `is for ${judge.name} the same requests, not one more or less (S-05, S-29)`,
      async () => {
        const known = forwarded.filter(({ method }) => judge.methods?.includes(method) ?? true);
        const stream = new Uint8Array(Buffer.concat(known.map(({ bytes }) => bytes)));
        const { connections } = await judge.ask({ connections: [stream], responses: [] });
        expect(connections[0]?.error ?? null).toBeNull();
        const seen = connections[0]?.requests.map((request) => ({
          method: request.method,
          target: request.target,
          hosts: request.fields.filter(([name]) => /^host$/i.test(name)).map(([, value]) => value),
          body: Buffer.from(request.body, "base64").toString("latin1"),
        }));
        expect(seen).toEqual(
          known.map(({ method, target, host, body }) => ({ method, target, hosts: [host], body })),
        );
      },
    );
  }
});
