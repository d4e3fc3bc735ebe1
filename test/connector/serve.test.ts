// This file is the connector's half of a request without a tunnel and without a network: who still owes whom what.
import { describe, expect, test } from "bun:test";
import { catchAll, Ingress, type Rule } from "../../src/connector/ingress.ts";
import type { Origin, OriginEvents } from "../../src/connector/origin/index.ts";
import { OriginService } from "../../src/connector/serve.ts";
import type { Service } from "../../src/connector/services.ts";
import { encodeMessage, EXCHANGE_CODES } from "../../src/exchange/index.ts";
import { compileExpression } from "../../src/expression.ts";
import type { StreamEvents } from "../../src/session/index.ts";
import { untold } from "./untold.ts";
import { RecordedStream } from "../exchange/recorded-stream.ts";

const NOTHING = new Uint8Array(0);
const STOP = `stop ${EXCHANGE_CODES.NO_ERROR}`;
const OK = {
  status: 200,
  reason: Buffer.from("OK"),
  fields: NOTHING,
  length: 2,
  hasBody: true,
} as const;

/** An origin that takes no byte of any request; the test answers in its place. */
class IdleOrigin implements Origin {
  readonly url = "http://idle";
  readonly log: string[] = [];
  #events: OriginEvents | undefined;

  get events(): OriginEvents {
    if (this.#events === undefined) throw new Error("No request came");
    return this.#events;
  }
  request(_head: unknown, events: OriginEvents): ReturnType<Origin["request"]> {
    this.#events = events;
    return {
      write: (bytes) => {
        this.log.push(`write ${bytes.length}`);
        return "more";
      },
      end: () => this.log.push("end"),
      abort: () => this.log.push("abort"),
      pause: () => undefined,
      resume: () => undefined,
    };
  }
  close(): void {}
}

/** A POST of five bytes on a stream of its own. */
class Post {
  readonly stream = new RecordedStream();
  readonly events: StreamEvents;

  constructor(service: OriginService, target = "/x") {
    this.events = service.serve(this.stream);
    this.events.bytes(
      encodeMessage("request", {
        id: new Uint8Array(16),
        method: "POST",
        authority: "app.example.com",
        target: Buffer.from(target),
        scheme: 0,
        flags: 0,
        fields: NOTHING,
        length: 5,
        upgrade: undefined,
        visitor: { address: new Uint8Array(4), port: 1, protocol: "http/1.1" },
        tls: undefined,
      }),
    );
  }

  body(): void {
    this.events.bytes(Buffer.from("hello"));
    this.events.ended();
  }

  /** The answer as messages. */
  get answer(): readonly string[] {
    return this.stream.messages.map((message) =>
      message.name === "failure" ? `failure ${message.record.code}` : message.name,
    );
  }
}

function serviceOf(...origins: readonly Origin[]): OriginService {
  return serviceBy(origins.map((origin) => catchAll({ origin, troubles: untold() })));
}

function serviceBy(rules: readonly Rule<Service>[]): OriginService {
  return new OriginService({
    ingress: new Ingress(rules),
    onRequest: undefined,
    troubles: untold(),
  });
}

/** A rule that takes what begins with /x. */
function ruleByPath(origin: Origin): Rule<Service> {
  const path = compileExpression("^/x");
  return { ...catchAll({ origin, troubles: untold() }), path };
}

function answer({ events }: IdleOrigin): void {
  events.response(OK);
  events.body(Buffer.from("ok"));
  events.end(undefined);
}

describe("serve", () => {
  test("an answer before the body stops it", () => {
    const origin = new IdleOrigin();
    const post = new Post(serviceOf(origin));
    answer(origin);
    expect(post.stream.log).toEqual(["finish", STOP]);
  });

  test("an answer after a whole body that the origin never took stops it, too: its credit returns", () => {
    const origin = new IdleOrigin();
    const post = new Post(serviceOf(origin));
    post.body();
    expect(origin.log).toEqual(["write 5", "end"]);
    answer(origin);
    expect(post.stream.log).toEqual(["finish", STOP]);
  });

  test.each([false, true])("a failure of the origin does so, whole body %p", (isWhole) => {
    const origin = new IdleOrigin();
    const post = new Post(serviceOf(origin));
    if (isWhole) post.body();
    origin.events.failure({ code: "ORIGIN_REFUSED", sent: false, detail: "" });
    expect(post.answer).toEqual(["failure ORIGIN_REFUSED"]);
    expect(post.stream.log).toEqual(["finish", STOP]);
  });

  test("a path that rules may not decide by does so, and no origin sees it (S-37)", () => {
    const origin = new IdleOrigin();
    const post = new Post(serviceBy([ruleByPath(origin)]), "//x");
    expect(post.answer).toEqual(["failure BAD_PATH"]);
    expect(post.stream.log).toEqual(["finish", STOP]);
    expect(origin.log).toEqual([]);
    new Post(serviceBy([ruleByPath(origin)])).body();
    expect(origin.log).toEqual(["write 5", "end"]);
  });

  test("a request that no rule takes does so", () => {
    const post = new Post(serviceBy([ruleByPath(new IdleOrigin())]), "/y");
    expect(post.answer).toEqual(["failure NO_ROUTE"]);
    expect(post.stream.log).toEqual(["finish", STOP]);
  });

  test("an origin that throws fails this request and no other", () => {
    const broken: Origin = {
      url: "http://broken",
      request: () => {
        throw new Error("a bug");
      },
      close: () => undefined,
    };
    const service = serviceOf(broken);
    const post = new Post(service);
    expect(post.answer).toEqual(["failure INTERNAL"]);
    expect(post.stream.log).toEqual(["finish", STOP]);
    post.events.closed();
    expect(service.open).toBe(0);
  });

  test("an exchange is open until its stream is, not until the origin has answered", () => {
    const origin = new IdleOrigin();
    const service = serviceOf(origin);
    const first = new Post(service);
    expect(service.open).toBe(1);
    first.body();
    answer(origin);
    // The last bytes are on their way; a drain that stopped here would cut them.
    expect(service.open).toBe(1);
    const second = new Post(service);
    expect(service.open).toBe(2);
    second.events.reset(EXCHANGE_CODES.CANCELLED, true);
    expect(service.open).toBe(2);
    second.events.closed();
    expect(service.open).toBe(1);
    first.events.closed();
    expect(service.open).toBe(0);
    expect(origin.log).toEqual(["write 5", "end", "abort"]);
  });

  test("what was refused before it was taken is not open", () => {
    const service = serviceOf(new IdleOrigin());
    const events = service.serve(new RecordedStream());
    events.bytes(Buffer.from("no message"));
    events.closed();
    expect(service.open).toBe(0);
  });
});
