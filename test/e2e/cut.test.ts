import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, Program, SEARCH_PATH } from "../binary/program.ts";
import { Home } from "../binary/tunl.ts";
import { App, CAN_RUN, startConnector, TestEdge, Tunnel } from "./rig.ts";

/** What `begin` of the app sends before nothing more comes. */
const PART = 10_000;

interface Form {
  /** Framing of the origin's response. */
  readonly how: "length" | "chunked" | "close";
  /** Flags of curl. */
  readonly flags: readonly string[];
}

/** Framing of the origin, and of the visitor by its version: 1.0 gets a body that ends with the connection. */
const FORMS = [
  { how: "length", flags: [] },
  { how: "length", flags: ["--http1.0"] },
  { how: "chunked", flags: [] },
  { how: "chunked", flags: ["--http1.0"] },
  { how: "close", flags: [] },
  { how: "close", flags: ["--http1.0"] },
] as const satisfies readonly Form[];

describe.skipIf(!CAN_RUN)("a cut response never looks whole (S-11)", () => {
  let edge: TestEdge;
  let files: Home;

  beforeAll(async () => {
    edge = await TestEdge.start();
    files = new Home();
  });

  afterAll(async () => {
    await edge?.[Symbol.asyncDispose]();
    files?.[Symbol.dispose]();
  });

  test("the origin is killed", async () => {
    await using app = await App.start();
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "killed", edge });
    // Without length and chunks its FIN is the end that HTTP gives it: nobody can tell the difference.
    const begun = await beginAll(
      tunnel,
      files.path,
      FORMS.filter(({ how }) => how !== "close"),
    );
    app.process.signal("SIGKILL");
    await expectCut(begun);
  });

  test("the origin resets the connection", async () => {
    await using app = await App.start();
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "reset", edge });
    await expectCut(await beginAll(tunnel, files.path, FORMS, "reset"));
  });

  test("the connector is killed, and the tunnel comes back with a new one", async () => {
    await using app = await App.start();
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "torn", edge });
    const begun = await beginAll(tunnel, files.path, FORMS);
    tunnel.connector.signal("SIGKILL");
    await expectCut(begun);
    await using next = startConnector(String(app.port), ["--name", "torn"], { home: tunnel.home });
    await next.event("route");
    expect((await tunnel.get("/bytes/3")).body).toBe("bbb");
  });

  test("the connector is told to stop and its grace ends", async () => {
    await using app = await App.start();
    await using tunnel = await Tunnel.start({
      target: String(app.port),
      name: "graceless",
      flags: ["--grace", "300ms"],
      edge,
    });
    const begun = await beginAll(tunnel, files.path, FORMS);
    tunnel.connector.signal("SIGTERM");
    await expectCut(begun);
    expect((await tunnel.connector.ended).code).toBe(0);
  });

  test("the edge is told to stop and its grace ends", async () => {
    await using app = await App.start();
    await using own = await TestEdge.start({ flags: ["--grace", "300ms"] });
    await using tunnel = await Tunnel.start({ target: String(app.port), name: "edge", edge: own });
    const begun = await beginAll(tunnel, files.path, FORMS);
    own.process.signal("SIGTERM");
    await expectCut(begun);
    expect((await own.process.ended).code).toBe(0);
  });

  test.each(["length", "chunked"])(
    "a visitor who leaves an upload of %s leaves an unfinished request at the origin (S-10)",
    async (how) => {
      await using app = await App.start();
      await using tunnel = await Tunnel.start({
        target: String(app.port),
        name: `left-${how}`,
        edge,
      });
      const path = join(files.path, "upload");
      writeFileSync(path, Buffer.alloc(4 << 20, "u"));
      await using visitor = new Program(
        [
          ...["curl", "-sS", "--cacert", edge.ca, "--limit-rate", "200k", "-H", "Expect:"],
          ...(how === "chunked" ? ["-H", "Transfer-Encoding: chunked"] : []),
          ...["--data-binary", `@${path}`, "--connect-to", `::127.0.0.1:${edge.port}`],
          tunnel.url("/upload"),
        ],
        { environment: { PATH: SEARCH_PATH } },
      );
      await app.process.line(/^upload begun$/);
      visitor.signal("SIGKILL");
      await app.process.line(/^upload cut$/);
      expect(app.process.output).not.toContain("upload whole");
      // The tunnel itself took no harm.
      expect((await tunnel.get("/bytes/3")).body).toBe("bbb");
    },
  );
});

interface Begun {
  readonly visitors: readonly Program[];
  readonly paths: readonly string[];
}

/** One download of each form, each come as far as it will. */
async function beginAll(
  tunnel: Tunnel,
  directory: string,
  forms: readonly Form[],
  end = "",
): Promise<Begun> {
  const { ca, port } = tunnel.edge;
  const paths = forms.map((_, index) => join(directory, `${tunnel.host}-${index}`));
  const visitors = forms.map(
    ({ how, flags }, index) =>
      new Program(
        [
          ...["curl", "-sSN", "--cacert", ca, "-o", paths[index] as string, ...flags],
          ...["--connect-to", `::127.0.0.1:${port}`, tunnel.url(`/begin/${how}/${end}`)],
        ],
        { environment: { PATH: SEARCH_PATH } },
      ),
  );
  await eventually(
    () => (paths.every((path) => sizeOf(path) === PART) ? true : undefined),
    "the first part of every response",
  );
  return { visitors, paths };
}

/** Every curl says that something is missing, and has exactly what the origin sent. */
async function expectCut({ visitors, paths }: Begun): Promise<void> {
  for (const [index, visitor] of visitors.entries()) {
    const { code, stderr } = await visitor.ended;
    // 18: fewer bytes than announced. 56: the connection failed while receiving. 137 would be our own deadline.
    expect([index, [18, 56].includes(code), code, stderr !== ""]).toEqual([
      index,
      true,
      code,
      true,
    ]);
    expect(readFileSync(paths[index] as string, "latin1")).toBe("x".repeat(PART));
  }
  expect(visitors.length).toBeGreaterThan(0);
}

/** Length of a file, 0 while it is not there. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
