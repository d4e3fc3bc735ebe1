import { describe, expect, test } from "bun:test";

import type { Origin } from "../../../src/connector/origin/index.ts";
import { StaticOrigin } from "../../../src/connector/origin/static.ts";
import { parseTarget } from "../../../src/connector/target.ts";
import { bytesOf, Call } from "./rig.ts";

function origin(text: string): Origin {
  const target = parseTarget(text);
  if (target.kind !== "static") throw new Error(`"${text}" is not answered by the connector`);
  return new StaticOrigin(target);
}

describe("static origin", () => {
  test("answers a status without a body", async () => {
    const call = await new Call(origin("http_status:404")).over();
    expect(call.log).toEqual(["response 404", "end"]);
    expect(call.head).toMatchObject({ length: 0, hasBody: true });
    const bare = await new Call(origin("http_status:204")).over();
    expect(bare.head).toMatchObject({ length: -1, hasBody: false });
  });

  test("answers the built-in page, to HEAD its length only", async () => {
    const call = await new Call(origin("hello_world")).over();
    expect(call.log).toEqual(["response 200", "body", "end"]);
    expect(call.bytes.length).toBe(call.head?.length as number);
    expect(call.fields).toContain("Content-Type: text/html");
    const head = await new Call(origin("hello_world"), { method: "HEAD" }).over();
    expect(head.log).toEqual(["response 200", "end"]);
    expect(head.head).toMatchObject({ hasBody: false, length: call.head?.length as number });
  });

  test("waits while paused, and says nothing after an abort", async () => {
    const call = new Call(origin("hello_world"));
    call.exchange.pause();
    await call.until("the head", () => call.head !== undefined);
    expect(call.isOver).toBe(false);
    call.exchange.resume();
    expect(call.isOver).toBe(true);
    const gone = new Call(origin("hello_world"), { method: "POST", length: 4 });
    gone.exchange.write(bytesOf("body"));
    gone.exchange.abort();
    await new Call(origin("hello_world")).over();
    expect(gone.log).toEqual([]);
  });
});
