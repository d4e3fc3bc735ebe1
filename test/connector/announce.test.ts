// This file is the names a connector asks for: what each answer of the edge means for it. http.md §5.4.
import { describe, expect, test } from "bun:test";
import { announce, Answers, refusedName } from "../../src/connector/announce.ts";
import { TunlError } from "../../src/errors.ts";
import { encodeMessage } from "../../src/exchange/index.ts";
import type { StreamEvents } from "../../src/session/index.ts";
import { RecordedStream, sessionOf } from "../exchange/recorded-stream.ts";

/** Stands until somebody changes something at the edge. */
const FINAL = ["HOSTNAME_TAKEN", "HOSTNAME_NOT_GRANTED", "HOSTNAME_LIMIT"] as const;
/** May be another one in a minute. */
const TRANSIENT = ["STORE_FAILED", "INTERNAL", ""] as const;

function refusal(code: string): TunlError {
  return refusedName(`${code.toLowerCase()}.example.com`, code, "");
}

describe("answers", () => {
  test.each(FINAL)("%s for the only name ends the process with it", (code) => {
    const error = refusal(code);
    expect(new Answers(1).refused(error)).toBe(error);
    expect(error).toMatchObject({ code, retryable: false });
  });

  test.each(TRANSIENT)("%p does not", (code) => {
    const error = refusal(code);
    expect(new Answers(1).refused(error)).toBeUndefined();
    expect(error).toMatchObject({ code, retryable: true });
  });

  test("all names refused for good end it when the last answer is there, with the first refusal", () => {
    const answers = new Answers(3);
    const [first, second, third] = FINAL.map(refusal) as [TunlError, TunlError, TunlError];
    expect(answers.refused(first)).toBeUndefined();
    expect(answers.refused(second)).toBeUndefined();
    expect(answers.refused(third)).toBe(first);
  });

  test("one name given keeps it, whichever it is", () => {
    for (const given of [0, 1, 2]) {
      const answers = new Answers(3);
      for (let answer = 0; answer < 3; answer++) {
        if (answer === given) answers.granted();
        else expect(answers.refused(refusal("HOSTNAME_TAKEN"))).toBeUndefined();
      }
    }
    expect.assertions(6);
  });

  test("one refusal that may pass keeps it, whichever it is", () => {
    for (const passing of [0, 1, 2]) {
      const answers = new Answers(3);
      for (let answer = 0; answer < 3; answer++) {
        const error = refusal(answer === passing ? "STORE_FAILED" : "HOSTNAME_TAKEN");
        expect(answers.refused(error)).toBeUndefined();
      }
    }
    expect.assertions(9);
  });
});

describe("a refused name", () => {
  test("is told in the edge's words, else in ours, with what to do", () => {
    expect(refusedName("a.example.com", "HOSTNAME_TAKEN", "It is taken").message).toBe(
      "It is taken",
    );
    const { message, hint } = refusedName("a.example.com", "HOSTNAME_TAKEN", "");
    expect(message).toContain("a.example.com");
    expect(hint).toContain("--name");
    expect(refusedName("a.example.com", "HOSTNAME_LIMIT", "").hint).toContain("tunl edge invite");
  });
});

describe("announce", () => {
  /** An announcement of two names, and everything it tells. */
  function announced(): {
    readonly stream: RecordedStream;
    readonly edge: StreamEvents;
    readonly log: string[];
  } {
    const stream = new RecordedStream();
    const { session, events } = sessionOf(stream);
    const log: string[] = [];
    announce(
      session,
      { hosts: ["a.example.com", "b.example.com"], random: "" },
      {
        granted: (host, url) => log.push(`granted ${host} ${url}`),
        refused: (host, code, text) => log.push(`refused ${host} ${code} ${text}`),
        notice: (text) => log.push(`notice ${text}`),
        lost: () => log.push("lost"),
      },
    );
    return { stream, edge: events(), log };
  }

  function event(name: string, body: object): Uint8Array {
    return encodeMessage("event", { name, body: Buffer.from(JSON.stringify(body)) });
  }

  test("asks once, and hears of each name by an event of its own", () => {
    const { stream, edge, log } = announced();
    const [call] = stream.messages;
    if (call?.name !== "call") throw new Error("No call was made");
    expect(call.record.name).toBe("announce");
    expect(JSON.parse(Buffer.from(call.record.body).toString())).toEqual({
      hosts: ["a.example.com", "b.example.com"],
      random: "",
      rest: false,
    });
    edge.bytes(event("host", { host: "a.example.com", state: "granted", url: "https://a" }));
    edge.bytes(
      event("host", { host: "b.example.com", state: "taken", code: "HOSTNAME_TAKEN", text: "No" }),
    );
    edge.bytes(event("notice", { text: "Soon" }));
    edge.bytes(event("weather", { host: "c.example.com", state: "granted" }));
    expect(log).toEqual([
      "granted a.example.com https://a",
      "refused b.example.com HOSTNAME_TAKEN No",
      "notice Soon",
    ]);
    // The names are served as long as this stays open.
    expect(stream.log).toEqual([]);
  });

  test("a call that the edge ends refuses no name: it is lost, and told once", () => {
    for (const code of ["", "INTERNAL"]) {
      const { edge, log } = announced();
      edge.bytes(encodeMessage("result", { code, body: Buffer.from("{}") }));
      edge.ended();
      edge.closed();
      expect(log).toEqual(
        code === "" ? ["lost"] : [`notice The edge ended the call for names with ${code}`, "lost"],
      );
    }
    expect.assertions(2);
  });

  test("a call that is cut is lost", () => {
    const { edge, log } = announced();
    edge.reset(0, false);
    edge.closed();
    expect(log).toEqual(["lost"]);
  });
});
