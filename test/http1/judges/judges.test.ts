// What tunl writes, read by parsers that others wrote: the same messages, each framed by one field, and nothing between them. S-05.
import { describe, expect, test } from "bun:test";
import { anyMethod, type Made, makeRequest, makeResponse, wholeOf } from "../messages.ts";
import { Random } from "../support.ts";
import { type Judged, JUDGES } from "./judge.ts";

const CONNECTIONS = 12;
const REQUESTS = 20;
const RESPONSES = 150;

const framingOf = (fields: Judged["fields"]): string[] =>
  fields
    .map(([name, value]) => `${name}: ${value}`.toLowerCase())
    .filter((line) => /^(content-length|transfer-encoding):/.test(line));

function expectSame(judged: Judged | undefined, made: Made): void {
  const { fields, trailers, body, version, error = null } = judged ?? ({} as Partial<Judged>);
  expect({ fields, trailers, version, error }).toEqual({
    fields: [...made.fields],
    trailers: [...made.trailers],
    version: "1.1",
    error: null,
  });
  expect(Buffer.from(body ?? "", "base64").toString("latin1")).toBe(made.body);
  const isFramed = made.framing.kind === "chunked" || made.body.length > 0;
  const most = made.framing.kind === "untilClose" ? 0 : 1;
  expect(framingOf(fields ?? []).length).toBeLessThanOrEqual(most);
  if (isFramed) expect(framingOf(fields ?? [])).toHaveLength(most);
}

describe.each(JUDGES.map((judge) => [judge.name, judge] as const))("%s as judge", (name, judge) => {
  test.skipIf(!judge.isThere)(
    "reads exactly the requests that were written, in one stream and in their order (S-05)",
    async () => {
      const random = new Random(`requests judged by ${name}`);
      const made = Array.from({ length: CONNECTIONS }, () =>
        Array.from({ length: REQUESTS }, () =>
          makeRequest(random, judge.methods ?? anyMethod(random)),
        ),
      );
      const connections = made.map(
        (requests) => new Uint8Array(Buffer.concat(requests.flatMap(({ pieces }) => pieces))),
      );
      const verdicts = await judge.ask({ connections, responses: [] });
      for (const [index, requests] of made.entries()) {
        const judged = verdicts.connections[index];
        expect(judged?.error ?? null).toBeNull();
        expect(judged?.requests.map(({ method, target }) => `${method} ${target}`)).toEqual(
          requests.map(({ line }) => line),
        );
        for (const [at, request] of requests.entries()) expectSame(judged?.requests[at], request);
      }
    },
  );

  test.skipIf(!judge.isThere)(
    "reads exactly the responses that were written, one behind the other on a kept connection (S-05)",
    async () => {
      const random = new Random(`responses judged by ${name}`);
      const made = Array.from({ length: RESPONSES }, () =>
        makeResponse(random, random.pick(["GET", "HEAD", "POST"]), random.below(8) === 0),
      );
      const responses = made.map((response) => ({
        method: response.method,
        bytes: wholeOf(response),
        isLast: response.fields.at(-1)?.[1] === "close",
      }));
      const verdicts = await judge.ask({ connections: [], responses });
      expect(verdicts.responses).toHaveLength(RESPONSES);
      for (const [index, response] of made.entries()) {
        const judged = verdicts.responses[index];
        expect(`${judged?.status} ${judged?.reason}`).toBe(response.line);
        expect(judged?.interim).toEqual([...response.interim]);
        expectSame(judged, response);
      }
    },
  );
});
