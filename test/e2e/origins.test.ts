import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../scripts/rig/ports.ts";
import { isInstalled, run, SEARCH_PATH } from "../binary/program.ts";
import { Home } from "../binary/tunl.ts";
import { HAS_NGINX, Nginx } from "./nginx.ts";
import { App, CAN_RUN, curl, echoed, type Echo, TestEdge, Tunnel, valuesOf } from "./rig.ts";

const HAS_OPENSSL = isInstalled("openssl");

describe.skipIf(!CAN_RUN)("origins", () => {
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

  async function echo(tunnel: Tunnel, flags: readonly string[] = []): Promise<Echo> {
    const { status, body } = await tunnel.get("/echo", flags);
    expect(status).toBe(200);
    return JSON.parse(body);
  }

  test.skipIf(!HAS_NGINX)(
    "nginx: files, ranges, conditions, redirects, its own errors",
    async () => {
      await using nginx = await Nginx.start();
      const bytes = Buffer.alloc(3 << 20, "nginx serves this file. ");
      writeFileSync(join(nginx.root, "file.txt"), bytes);
      await using tunnel = await Tunnel.start({ target: String(nginx.port), name: "nginx", edge });

      const whole = await tunnel.get("/file.txt");
      const sha256 = (text: string | Buffer): string =>
        createHash("sha256").update(text).digest("hex");
      expect([whole.status, sha256(whole.body)]).toEqual([200, sha256(bytes)]);
      expect(valuesOf(whole.fields, "server")[0]).toStartWith("nginx");
      expect(valuesOf(whole.fields, "content-length")).toEqual([String(bytes.length)]);

      const range = await tunnel.get("/file.txt", ["-r", "6-11"]);
      expect([range.status, range.body]).toEqual([206, "serves"]);
      expect(valuesOf(range.fields, "content-range")).toEqual([`bytes 6-11/${bytes.length}`]);

      const [tag = ""] = valuesOf(whole.fields, "etag");
      const unchanged = await tunnel.get("/file.txt", ["-H", `If-None-Match: ${tag}`]);
      expect([unchanged.status, unchanged.body]).toEqual([304, ""]);

      const head = await tunnel.get("/file.txt", ["-I"]);
      expect([head.status, valuesOf(head.fields, "content-length")]).toEqual([
        200,
        [String(bytes.length)],
      ]);
      // nginx makes absolute redirects of what the visitor called it: scheme http, its own port.
      const moved = await tunnel.get("/moved");
      expect([moved.status, valuesOf(moved.fields, "location").length]).toEqual([302, 1]);
      const gone = await tunnel.get("/gone");
      expect([gone.status, gone.body, valuesOf(gone.fields, "tunl-error")]).toEqual([
        410,
        "gone for good",
        [],
      ]);
      const many = await curl(edge, [
        "-w",
        "%{http_code} ",
        "-o",
        "/dev/null",
        tunnel.url("/?[1-50]"),
      ]);
      // curl writes only the first to -o; what counts is that all came.
      expect(many.stdout.match(/200 /g)?.length).toBe(50);
    },
  );

  test("a socket file", async () => {
    const path = join(files.path, "app.sock");
    await using _app = await App.start({ path });
    await using tunnel = await Tunnel.start({ target: `unix:${path}`, name: "socket", edge });
    const seen = await echo(tunnel, ["-d", "by a file"]);
    expect([seen.length, echoed(seen, "host")]).toEqual([
      9,
      [`socket.tunl.localhost:${edge.port}`],
    ]);
  });

  test("a socket file that is not there is 502 ORIGIN_REFUSED", async () => {
    const path = join(files.path, "absent.sock");
    await using tunnel = await Tunnel.start({ target: `unix:${path}`, name: "absent", edge });
    const { status, fields, body } = await tunnel.get("/");
    expect([status, valuesOf(fields, "tunl-error")]).toEqual([502, ["ORIGIN_REFUSED"]]);
    expect(body).not.toContain(path);
  });

  test("localhost is found where the service listens on ::1 only", async () => {
    await using app = await App.start({ host: "::1" });
    for (const [index, target] of [`${app.port}`, `http://localhost:${app.port}`].entries()) {
      await using tunnel = await Tunnel.start({ target, name: `six-${index}`, edge });
      expect((await tunnel.get("/bytes/3")).body).toBe("bbb");
    }
    expect.assertions(2);
  });

  test("--host-header: kept, the origin's own, or a given one", async () => {
    await using app = await App.start();
    const target = `http://127.0.0.1:${app.port}`;
    const given: readonly (readonly [flags: string[], host: (visited: string) => string])[] = [
      [[], (visited) => visited],
      [["--host-header", "origin"], () => `127.0.0.1:${app.port}`],
      [["--host-header", "dev.internal"], () => "dev.internal"],
    ];
    for (const [index, [flags, expected]] of given.entries()) {
      await using tunnel = await Tunnel.start({ target, name: `host-${index}`, flags, edge });
      const visited = `${tunnel.host}:${edge.port}`;
      const origin = `https://${visited}`;
      const seen = await echo(tunnel, ["-H", `Origin: ${origin}`]);
      expect([echoed(seen, "host"), echoed(seen, "x-forwarded-host")]).toEqual([
        [expected(visited)],
        [visited],
      ]);
      // A dev server compares Origin with its Host; a stranger's Origin stays one.
      expect(echoed(seen, "origin")).toEqual([index === 1 ? target : origin]);
      const foreign = await echo(tunnel, ["-H", "Origin: https://evil.example"]);
      expect(echoed(foreign, "origin")).toEqual(["https://evil.example"]);
    }
    expect.assertions(5 * given.length);
  });

  test("nobody listens: 502 within 1.5 s, and it works once the service is up", async () => {
    const port = await freePort();
    await using tunnel = await Tunnel.start({ target: String(port), name: "later", edge });
    const startedAt = performance.now();
    const { status, fields } = await tunnel.get("/");
    const ms = performance.now() - startedAt;
    expect([status, valuesOf(fields, "tunl-error")]).toEqual([502, ["ORIGIN_REFUSED"]]);
    expect(ms).toBeLessThan(1_500);
    await using _app = await App.start({ port });
    expect((await tunnel.get("/bytes/2")).body).toBe("bb");
  });

  test("a service that restarts costs a moment, not an error", async () => {
    const first = await App.start();
    const { port } = first;
    await using tunnel = await Tunnel.start({ target: String(port), name: "restarts", edge });
    expect((await tunnel.get("/bytes/2")).status).toBe(200);
    await first[Symbol.asyncDispose]();
    const [reply, app] = await Promise.all([tunnel.get("/bytes/4"), App.start({ port })]);
    await using _app = app;
    expect([reply.status, reply.body]).toEqual([200, "bbbb"]);
  });

  // The second time with the variable by which the runtime would trust everybody: the same results (S-25).
  const trusting = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };
  describe.skipIf(!HAS_OPENSSL).each([
    ["https", "", {}],
    ["https, whatever the environment says", "-trusting", trusting],
  ] as const)("%s", (_, suffix, environment) => {
    let secure: App;
    let cert: string;

    beforeAll(async () => {
      const key = join(files.path, "origin.key");
      cert = join(files.path, "origin.pem");
      const { code, stderr } = await run(
        [
          ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
          ...["-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"],
          ...["-addext", "subjectAltName=DNS:localhost"],
        ],
        { environment: { PATH: SEARCH_PATH } },
      );
      if (code !== 0) throw new Error(`openssl ended with ${code}: ${stderr}`);
      secure = await App.start({ key, cert });
    });

    afterAll(async () => {
      await secure?.[Symbol.asyncDispose]();
    });

    function connect(label: string, host: string, flags: readonly string[] = []): Promise<Tunnel> {
      const target = `https://${host}:${secure.port}`;
      return Tunnel.start({ target, name: label + suffix, flags, edge, environment });
    }

    test("a certificate that nobody vouches for is 502 ORIGIN_TLS", async () => {
      await using tunnel = await connect("unknown", "localhost");
      const { status, fields } = await tunnel.get("/");
      expect([status, valuesOf(fields, "tunl-error")]).toEqual([502, ["ORIGIN_TLS"]]);
    });

    test("--ca makes it good, for its own name only", async () => {
      await using good = await connect("vouched", "localhost", ["--ca", cert]);
      expect((await good.get("/bytes/3")).body).toBe("bbb");
      await using wrong = await connect("misnamed", "127.0.0.1", ["--ca", cert]);
      expect(valuesOf((await wrong.get("/")).fields, "tunl-error")).toEqual(["ORIGIN_TLS"]);
      const named = ["--ca", cert, "--origin-server-name", "localhost"];
      await using renamed = await connect("renamed", "127.0.0.1", named);
      expect((await renamed.get("/bytes/3")).body).toBe("bbb");
    });

    test("--no-tls-verify takes any, and says so at the start", async () => {
      await using tunnel = await connect("unverified", "127.0.0.1", ["--no-tls-verify"]);
      expect((await tunnel.get("/bytes/3")).body).toBe("bbb");
      expect(tunnel.connector.output).toContain("is not verified");
    });
  });
});
