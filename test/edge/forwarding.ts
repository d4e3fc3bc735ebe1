// This file is what becomes of a visitor's bytes: the bytes an origin gets for each whole request, through the same functions as in a tunnel.
import { CanonicalRequests, type VisitorPeer } from "../../src/edge/request.ts";
import { validateFields } from "../../src/exchange/index.ts";
import {
  Http1Error,
  REQUEST_LIMITS,
  type RequestHead,
  requestReader,
  requestWriter,
} from "../../src/http1/index.ts";
import type { Judge } from "../http1/judges/judge.ts";
import { PEER } from "./listen/rig.ts";

/** Takes every name and port: what is refused here is refused for its form. */
const OPEN: VisitorPeer = {
  ...PEER,
  covers: () => true,
  publicPorts: Array.from({ length: 65_536 }, (_, port) => port),
};

/** One request that goes on. */
export interface Forwarded {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly body: string;
  /** How many framing fields it needs: one for a body, none or one without. */
  readonly framings: number;
  readonly bytes: Uint8Array;
}

const isFramed = (method: string, framing: RequestHead["framing"]): boolean =>
  ["POST", "PUT", "PATCH"].includes(method) ||
  framing.kind === "chunked" ||
  (framing.kind === "length" && framing.length > 0);

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
    framings: isFramed(method, head.framing) ? 1 : 0,
    bytes: new Uint8Array(Buffer.concat([...pieces, ...end])),
  };
}

/** Every whole request of one visitor's bytes. */
export function forwardAll(input: Uint8Array): Forwarded[] {
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

/** What a judge says of forwarded requests in one stream, in the form of `Forwarded`; an error is thrown. */
export async function judged(
  judge: Judge,
  forwarded: readonly Forwarded[],
): Promise<{ seen: readonly object[]; known: readonly object[] }> {
  const known = forwarded.filter(({ method }) => judge.methods?.includes(method) ?? true);
  const stream = new Uint8Array(Buffer.concat(known.map(({ bytes }) => bytes)));
  const { connections } = await judge.ask({ connections: [stream], responses: [] });
  const [connection] = connections;
  if (connection === undefined || connection.error !== null)
    throw new Error(`${judge.name} says ${connection?.error}`);
  const valuesOf = (fields: readonly [string, string][], name: RegExp): string[] =>
    fields.filter(([each]) => name.test(each)).map(([, value]) => value);
  return {
    seen: connection.requests.map(({ method, target, fields, body }) => ({
      method,
      target,
      hosts: valuesOf(fields, /^host$/i),
      framings: valuesOf(fields, /^(content-length|transfer-encoding)$/i).length,
      body: Buffer.from(body, "base64").toString("latin1"),
    })),
    known: known.map(({ method, target, host, framings, body }) => ({
      method,
      target,
      hosts: [host],
      framings,
      body,
    })),
  };
}
