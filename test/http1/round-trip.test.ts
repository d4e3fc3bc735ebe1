import { describe, expect, test } from "bun:test";
import type { FramingToWrite } from "../../src/http1/index.ts";
import { anyMethod, makeRequest, makeResponse, scattered, wholeOf } from "./messages.ts";
import { Random, readRequests, readResponses, verdict } from "./support.ts";

const ROUNDS = 500;

/** How a reader names what the writer was told; a request says nothing about an empty body, a HEAD nothing but a length. */
function framingText(framing: FramingToWrite, isRequest: boolean, named: boolean): string {
  if (framing.kind === "length") {
    return framing.length > 0 || !isRequest || named ? `length ${framing.length}` : "none";
  }
  if (framing.kind === "none") return isRequest && named ? "length 0" : "none";
  return framing.kind === "announced" ? "none" : framing.kind;
}

describe("round trip", () => {
  test("a request that was written is read as the same request (S-05)", () => {
    const random = new Random("request round trip");
    for (let round = 0; round < ROUNDS; round++) {
      const made = makeRequest(random, anyMethod(random), ["keep-alive", "close", "upgrade"]);
      const connection = made.fields.find(([name]) => name === "Connection")?.[1];
      const whole = readRequests([wholeOf(made)]);
      expect(verdict(readRequests(scattered(random, made.pieces)))).toEqual(verdict(whole));
      expect(whole).toMatchObject({ fault: undefined, eof: "clean" });
      const isNamed = ["POST", "PUT", "PATCH"].includes(made.method);
      expect(whole.messages).toEqual([
        {
          line: made.line,
          version: "1.1",
          framing: framingText(made.framing, true, isNamed),
          persistent: connection !== "close",
          upgrade: connection === "upgrade" ? "raw" : undefined,
          expectContinue: false,
          fields: [...made.fields],
          body: made.body,
          trailers: [...made.trailers],
          ended: true,
        },
      ]);
    }
  });

  test("a response that was written is read as the same response (S-05)", () => {
    const random = new Random("response round trip");
    for (let round = 0; round < ROUNDS; round++) {
      const method = random.pick(["GET", "HEAD", "POST"]);
      const made = makeResponse(random, method, random.below(2) === 0);
      const options = { methods: [method] };
      const whole = readResponses([wholeOf(made)], options);
      expect(verdict(readResponses(scattered(random, made.pieces), options))).toEqual(
        verdict(whole),
      );
      expect(whole.fault).toBeUndefined();
      expect(whole.eof).toBe(made.framing.kind === "untilClose" ? "finished" : "clean");
      expect(whole.messages.slice(0, -1).map(({ line }) => line)).toEqual(
        made.interim.map((status) => `${status} `),
      );
      expect(whole.messages.at(-1)).toMatchObject({
        line: made.line,
        framing: framingText(made.framing, false, true),
        fields: [...made.fields],
        body: made.body,
        trailers: [...made.trailers],
      });
    }
  });

  test("requests one behind the other are read as these requests and no others", () => {
    const random = new Random("pipelined round trip");
    for (let round = 0; round < ROUNDS / 10; round++) {
      const made = Array.from({ length: 1 + random.below(8) }, () =>
        makeRequest(random, anyMethod(random)),
      );
      const pieces = made.flatMap(({ pieces: own }) => own);
      const seen = readRequests(scattered(random, pieces));
      expect(seen).toMatchObject({ fault: undefined, eof: "clean" });
      expect(seen.messages.map(({ line, body }) => [line, body])).toEqual(
        made.map(({ line, body }) => [line, body]),
      );
    }
  });
});
