// This file is the names a connector asks for: what each answer of the edge means for it. http.md §5.4.
import { describe, expect, test } from "bun:test";
import { announce, Answers, refusedName } from "../../src/connector/announce.ts";
import { TunlError } from "../../src/errors.ts";
import { CALL_BODY_MAX, encodeMessage } from "../../src/exchange/index.ts";
import type { Session, StreamEvents } from "../../src/session/index.ts";
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

  test("whoever serves the rest of its tunnel stays without any name", () => {
    const answers = new Answers(FINAL.length, true);
    for (const code of FINAL) expect(answers.refused(refusal(code))).toBeUndefined();
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
    // Who wrote it into a file is told that the rest of the file works.
    const rule = refusedName("a.example.com", "HOSTNAME_NOT_GRANTED", "", "home");
    expect(rule.hint).toContain("answer nothing");
    expect(rule.hint).toContain("tunl route dns home a.example.com");
    expect(refusedName("a.example.com", "HOSTNAME_TAKEN", "", "home").hint).not.toContain("--name");
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
      { hosts: ["a.example.com", "b.example.com"], random: "", rest: false },
      {
        granted: (host, url) => log.push(`granted ${host} ${url}`),
        refused: (host, code, text) => log.push(`refused ${host} ${code} ${text}`),
        certificate: (...told) => log.push(`certificate ${told.join(" ")}`),
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
    edge.bytes(event("certificate", { host: "a.example.com", state: "ready", days: 89, ms: 70 }));
    edge.bytes(event("notice", { text: "Soon" }));
    edge.bytes(event("weather", { host: "c.example.com", state: "granted" }));
    expect(log).toEqual([
      "granted a.example.com https://a",
      "refused b.example.com HOSTNAME_TAKEN No",
      "certificate a.example.com ready 70 ",
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

describe("many names", () => {
  /** A session that opens as many streams as it is asked for. */
  function manyStreams(): {
    readonly session: Session;
    readonly streams: RecordedStream[];
    readonly takers: StreamEvents[];
  } {
    const streams: RecordedStream[] = [];
    const takers: StreamEvents[] = [];
    const session: Pick<Session, "open"> = {
      open: (_kind, head, _isWhole, attach) => {
        const stream = new RecordedStream();
        stream.write(head);
        streams.push(stream);
        takers.push(attach(stream));
        return stream;
      },
    };
    return { session: session as Session, streams, takers };
  }

  function announced(hosts: readonly string[]): ReturnType<typeof manyStreams> & {
    readonly bodies: { hosts: string[]; rest: boolean }[];
    readonly log: string[];
    readonly withdraw: () => Promise<void>;
  } {
    const opened = manyStreams();
    const log: string[] = [];
    const { withdraw } = announce(
      opened.session,
      { hosts, random: "", rest: true },
      {
        granted: (host) => log.push(`granted ${host}`),
        refused: (host) => log.push(`refused ${host}`),
        certificate: () => undefined,
        notice: (text) => log.push(`notice ${text}`),
        lost: () => log.push("lost"),
      },
    );
    const bodies = opened.streams.map(({ messages: [call] }) => {
      if (call?.name !== "call") throw new Error("No call was made");
      expect(call.record.body.length).toBeLessThanOrEqual(CALL_BODY_MAX);
      return JSON.parse(Buffer.from(call.record.body).toString());
    });
    return { ...opened, bodies, log, withdraw };
  }

  /** A thousand of the longest names there are. */
  const LONGEST = Array.from({ length: 1_000 }, (_, index) =>
    [`n${index}`, ...Array.from({ length: 4 }, () => "x".repeat(60))].join("."),
  );

  test("a thousand of the longest go in several calls, each name once and in order", () => {
    const { bodies } = announced(LONGEST);
    expect(bodies.flatMap(({ hosts }) => hosts)).toEqual(LONGEST);
    expect(bodies.every(({ hosts, rest }) => rest && hosts.length > 0)).toBe(true);
    expect(bodies.length).toBeGreaterThan(10);
  });

  test("no name is one call, for the rest", () => {
    expect(announced([]).bodies).toEqual([expect.objectContaining({ hosts: [], rest: true })]);
  });

  test("one call that ends ends all, and is told once", () => {
    const { streams, takers, log } = announced(LONGEST);
    takers[2]?.bytes(encodeMessage("result", { code: "STORE_FAILED", body: Buffer.from("{}") }));
    for (const taker of takers) taker.closed();
    expect(log).toEqual(["notice The edge ended the call for names with STORE_FAILED", "lost"]);
    expect(streams.every((stream) => stream.log.includes("finish"))).toBe(true);
  });

  test("withdrawing waits for all of them", async () => {
    const { takers, withdraw } = announced(LONGEST);
    let isOver = false;
    const over = withdraw().then(() => (isOver = true));
    for (const taker of takers.slice(1)) taker.closed();
    await Promise.resolve();
    expect(isOver).toBe(false);
    takers[0]?.closed();
    await over;
    expect(isOver).toBe(true);
  });
});
