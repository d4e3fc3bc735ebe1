import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { connect } from "node:tls";
import { freePort } from "../../scripts/rig/ports.ts";
import { isInstalled, Program, run, SEARCH_PATH } from "../binary/program.ts";
import { naughtyStrings } from "../naughty.ts";
import { within } from "../within.ts";
import { answered, CAN_RUN, curl, DOMAIN, TestEdge, Tunnel, valuesOf } from "./rig.ts";
import { Visitor } from "./visitor.ts";

const HAS_OPENSSL = isInstalled("openssl");

describe.skipIf(!CAN_RUN)("answers of the edge itself", () => {
  let edge: TestEdge;

  beforeAll(async () => {
    edge = await TestEdge.start({ flags: ["--hold", "0", "--log-level", "debug"] });
  });

  afterAll(async () => {
    await edge?.[Symbol.asyncDispose]();
  });

  const url = (host: string): string => `https://${host}:${edge.port}/`;

  test("a name that the certificate covers and nobody serves: 404 in the visitor's language", async () => {
    const ask = async (accept: string): Promise<[number, string, string]> => {
      const ended = await curl(edge, ["-i", "-H", `Accept: ${accept}`, url(`nobody.${DOMAIN}`)]);
      const { status, fields, body } = answered(ended);
      expect(valuesOf(fields, "tunl-error")).toEqual(["NO_ROUTE"]);
      expect(valuesOf(fields, "x-tunl-request-id")[0]).toMatch(/^[0-9a-f]{32}$/);
      expect(valuesOf(fields, "cache-control")).toEqual(["no-store"]);
      return [status, valuesOf(fields, "content-type")[0] ?? "", body];
    };
    const [status, type, html] = await ask("text/html");
    expect([status, type, html.startsWith("<!doctype html>")]).toEqual([
      404,
      "text/html; charset=utf-8",
      true,
    ]);
    const [, jsonType, json] = await ask("application/json");
    expect(jsonType).toStartWith("application/json");
    expect(JSON.stringify(JSON.parse(json))).toContain("NO_ROUTE");
    const [, textType, text] = await ask("*/*");
    expect([textType, text.trimEnd().includes("\n")]).toEqual(["text/plain; charset=utf-8", false]);
  });

  test("a name without a certificate here gets a TLS alert, not a default certificate [CVE-2018-19148]", async () => {
    const { code, stderr } = await curl(edge, [url("elsewhere.example")]);
    expect(code).toBe(35);
    expect(stderr).toContain("unrecognized name");
    // An address has no name in TLS at all.
    const nameless = await curl(edge, [`https://127.0.0.1:${edge.port}/`]);
    expect([nameless.code, nameless.stderr.includes("unrecognized name")]).toEqual([35, true]);
  });

  test.skipIf(!HAS_OPENSSL)("openssl sees the alert, and no certificate", async () => {
    const ask = (name: string): Promise<{ stdout: string; stderr: string }> =>
      run(
        [
          ...["openssl", "s_client", "-connect", `127.0.0.1:${edge.port}`],
          ...["-servername", name, "-CAfile", edge.ca, "-verify_return_error"],
        ],
        { environment: { PATH: SEARCH_PATH } },
      );
    const unknown = await ask("elsewhere.example");
    expect(unknown.stderr).toContain("tlsv1 unrecognized name");
    expect(unknown.stdout).toContain("no peer certificate available");
    const known = await ask(`any.${DOMAIN}`);
    expect(known.stdout).toContain("Verify return code: 0 (ok)");
    expect(known.stdout).toContain("TLSv1.3");
  });

  test("plain HTTP on the port of TLS is told so", async () => {
    const ended = await curl(edge, ["-i", `http://any.${DOMAIN}:${edge.port}/`]);
    const { status, body } = answered(ended);
    expect([status, body.toLowerCase().includes("tls")]).toEqual([400, true]);
  });

  test("the plain port redirects what is served, same target, and knows nothing else", async () => {
    await using both = await TestEdge.start({ hasPlain: true });
    await using _tunnel = await Tunnel.start({ target: "http_status:204", edge: both });
    const { http } = await both.process.event("listening");
    const port = Number(String(http).split(":").at(-1));
    const ask = async (name: string): Promise<[number, string[]]> => {
      const ended = await curl({ ca: both.ca, port }, ["-i", `http://${name}.${DOMAIN}/a%2Fb?c=1`]);
      const { status, fields } = answered(ended);
      return [status, valuesOf(fields, "location")];
    };
    expect(await ask("app")).toEqual([308, [`https://app.${DOMAIN}:${both.port}/a%2Fb?c=1`]]);
    expect(await ask("nobody")).toEqual([404, []]);
  });

  test("a name whose connector is gone: 503 with Retry-After", async () => {
    await using tunnel = await Tunnel.start({ target: "http_status:204", name: "leaves", edge });
    expect((await tunnel.get("/")).status).toBe(204);
    tunnel.connector.signal("SIGTERM");
    expect((await tunnel.connector.ended).code).toBe(0);
    const { status, fields } = await tunnel.get("/");
    expect([status, valuesOf(fields, "tunl-error")]).toEqual([503, ["TUNNEL_OFFLINE"]]);
    expect(valuesOf(fields, "retry-after")).toEqual(["5"]);
  });

  test("HEAD has the fields of GET and nothing behind them", async () => {
    const target = url(`nobody.${DOMAIN}`);
    const got = answered(await curl(edge, ["-i", target]));
    const head = answered(await curl(edge, ["-i", "-I", target]));
    expect([head.status, head.body]).toEqual([404, ""]);
    const names = (fields: typeof got.fields): string[] => fields.map(([name]) => name);
    expect(names(head.fields)).toEqual(names(got.fields));
    expect(valuesOf(head.fields, "content-length")).toEqual([String(got.body.length)]);
    expect(valuesOf(head.fields, "proxy-status")).toEqual(["edge; error=destination_not_found"]);
    // Bytes behind the head would be the next answer of this connection.
    using visitor = await Visitor.open(edge, `nobody.${DOMAIN}`);
    const request = `/ HTTP/1.1\r\nHost: ${visitor.authority}\r\n\r\n`;
    visitor.send(`HEAD ${request}GET ${request}`);
    await visitor.head();
    expect((await visitor.answer()).body).toContain("NO_ROUTE");
  });

  test("nothing that a visitor sends comes back but the hostname [S-70]", async () => {
    const strings = ["<script>alert(1)</script>", ...naughtyStrings()];
    using visitor = await Visitor.open(edge, `nobody.${DOMAIN}`);
    const ask = async (text: string): Promise<string> => {
      const bytes = Buffer.from(text).subarray(0, 300);
      const path = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
      const value = bytes
        .toString("latin1")
        .replaceAll(/[\0-\x1f\x7f]/g, "")
        .trim();
      visitor.send(
        `GET /${path}?q=${path} HTTP/1.1\r\nHost: ${visitor.authority}\r\nAccept: text/html\r\n` +
          `User-Agent: ${value}\r\nReferer: ${value}\r\nCookie: a=${value}\r\nX-Forwarded-Host: ${value}\r\n\r\n`,
      );
      const { status, body } = await visitor.answer();
      expect([text, status]).toEqual([text, 404]);
      return body.replace(/<dd>[0-9a-f]{32}<\/dd>/, "<dd>ID</dd>");
    };
    const plain = await ask("harmless");
    expect(plain).toContain(`<span class="host">nobody.${DOMAIN}</span>`);
    for (const text of strings) expect(await ask(text)).toBe(plain);
  });

  test("an origin that fails shows nothing of what is inside", async () => {
    const port = await freePort();
    const label = "desk-of-somebody";
    const target = `http://127.0.0.1:${port}`;
    await using tunnel = await Tunnel.start({
      target,
      name: "fails",
      edge,
      flags: ["--label", label],
    });
    for (const accept of ["text/html", "application/json", "*/*"]) {
      const answer = await tunnel.get("/inside", ["-H", `Accept: ${accept}`]);
      expect([answer.status, valuesOf(answer.fields, "tunl-error")]).toEqual([
        502,
        ["ORIGIN_REFUSED"],
      ]);
      const [id = ""] = valuesOf(answer.fields, "x-tunl-request-id");
      expect(answer.body).toContain(id);
      const all = JSON.stringify(answer).replaceAll(id, "");
      for (const secret of [String(port), label, "127.0.0.1", "localhost:", "/inside", "ECONN"])
        expect(all).not.toContain(secret);
    }
  });

  test("a Host that is not the connection's: 421", async () => {
    const ended = await curl(edge, ["-i", "-H", "Host: elsewhere.example", url(`app.${DOMAIN}`)]);
    const { status, fields } = answered(ended);
    expect([status, valuesOf(fields, "tunl-error")]).toEqual([421, ["WRONG_CONNECTION"]]);
    // The owner finds it by the id that the visitor was shown.
    const [id = ""] = valuesOf(fields, "x-tunl-request-id");
    const found = await edge.process.find(
      (line) => (line.includes(id) ? JSON.parse(line) : undefined),
      "the request id",
    );
    expect(found).toMatchObject({ event: "visitor", code: "WRONG_CONNECTION", requestId: id });
  });
});

describe.skipIf(!CAN_RUN)("malformed requests", () => {
  let origin: RecordingOrigin;
  let tunnel: Tunnel;

  beforeAll(async () => {
    origin = await RecordingOrigin.start();
    tunnel = await Tunnel.start({ target: `http://127.0.0.1:${origin.port}` });
  });

  afterAll(async () => {
    await tunnel?.[Symbol.asyncDispose]();
    origin?.close();
  });

  /** Sends bytes as they are, and reads until the edge closes. */
  function send(text: string): Promise<string> {
    const { host, edge } = tunnel;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const ca = readFileSync(edge.ca);
    const socket = connect({ host: "127.0.0.1", port: edge.port, servername: host, ca });
    let seen = "";
    socket.on("data", (bytes: Buffer) => (seen += bytes.toString("latin1")));
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve(seen));
    socket.on("error", reject);
    socket.on("secureConnect", () => socket.write(Buffer.from(text, "latin1")));
    return within(promise, "the end of the connection").finally(() => socket.destroy());
  }

  const host = (): string => `${tunnel.host}:${tunnel.edge.port}`;

  // HOST stands for the right one. Each of these, but for its fault, would reach the origin.
  const CASES: readonly (readonly [what: string, status: number, text: string])[] = [
    ["a bare line feed", 400, "GET / HTTP/1.1\nHost: HOST\n\n"],
    ["a bare carriage return in a value", 400, "GET / HTTP/1.1\r\nHost: HOST\r\nX-A: a\rb\r\n\r\n"],
    ["a blank before the colon", 400, "GET / HTTP/1.1\r\nHost : HOST\r\n\r\n"],
    ["a folded line", 400, "GET / HTTP/1.1\r\nHost: HOST\r\nX-A: a\r\n b\r\n\r\n"],
    ["a NUL in a value", 400, "GET / HTTP/1.1\r\nHost: HOST\r\nX-A: a\0b\r\n\r\n"],
    ["an empty field name", 400, "GET / HTTP/1.1\r\nHost: HOST\r\n: a\r\n\r\n"],
    ["no Host", 400, "GET / HTTP/1.1\r\nX-A: a\r\n\r\n"],
    ["two Hosts, even if equal", 400, "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n"],
    ["a Host with a user", 400, "GET / HTTP/1.1\r\nHost: a@HOST\r\n\r\n"],
    ["a Host as an address", 400, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"],
    [
      "a target of another authority",
      400,
      "GET https://other.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
    ],
    ["two blanks in the request line", 400, "GET  / HTTP/1.1\r\nHost: HOST\r\n\r\n"],
    ["raw bytes above 7F in the target", 400, "GET /\xe9 HTTP/1.1\r\nHost: HOST\r\n\r\n"],
    ["a fragment in the target", 400, "GET /#top HTTP/1.1\r\nHost: HOST\r\n\r\n"],
    ["a backslash in the path", 400, "GET /\\.. HTTP/1.1\r\nHost: HOST\r\n\r\n"],
    [
      "two lengths, even if equal",
      400,
      "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    ],
    ["a list of lengths", 400, "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1, 1\r\n\r\nx"],
    ["a length with a sign", 400, "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: +1\r\n\r\nx"],
    [
      "length and chunks together",
      400,
      "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "a coding that is not exactly chunked",
      400,
      "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ],
    [
      "a look-alike of a framing field",
      400,
      "POST / HTTP/1.1\r\nHost: HOST\r\nContent_Length: 1\r\nContent-Length: 0\r\n\r\n",
    ],
    [
      "chunks in HTTP/1.0",
      400,
      "POST / HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "Connection names an end-to-end field",
      400,
      "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: Authorization\r\nAuthorization: a\r\n\r\n",
    ],
    ["no HTTP at all", 400, "HELO there\r\n\r\n"],
    ["HTTP/0.9", 400, "GET /\r\n\r\n"],
    ["CONNECT", 405, "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n"],
    ["TRACE", 405, "TRACE / HTTP/1.1\r\nHost: HOST\r\n\r\n"],
    [
      "an expectation that nobody knows",
      417,
      "GET / HTTP/1.1\r\nHost: HOST\r\nExpect: tea\r\n\r\n",
    ],
    ["another version", 505, "GET / HTTP/2.0\r\nHost: HOST\r\n\r\n"],
  ];

  test.each(CASES)("%s: %d, and the origin sees nothing", async (_, status, text) => {
    const before = origin.connections;
    const reply = await send(text.replaceAll("HOST", host()));
    const [head = "", ...others] = reply.split(/(?=HTTP\/1\.1 )/);
    expect(head).toStartWith(`HTTP/1.1 ${status} `);
    expect(head.toLowerCase()).toContain("connection: close");
    // One answer: what stood behind the fault is no second request.
    expect([others, origin.connections]).toEqual([[], before]);
  });

  test("a request hidden behind a fault is not answered", async () => {
    const before = origin.connections;
    const hidden = `GET /hidden HTTP/1.1\r\nHost: ${host()}\r\n\r\n`;
    const reply = await send(
      `POST / HTTP/1.1\r\nHost: ${host()}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    );
    expect(reply.match(/HTTP\/1\.1 /g)?.length).toBe(1);
    expect(origin.connections).toBe(before);
  });

  test("a chunk that is none never becomes a whole request", async () => {
    const reply = await send(
      `POST /half HTTP/1.1\r\nHost: ${host()}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`,
    );
    expect(reply === "" || reply.startsWith("HTTP/1.1 400 ")).toBe(true);
    // The head was good, so the origin may have seen it; the last chunk it has not.
    expect(origin.text).not.toContain("\r\n0\r\n");
  });

  test("the same origin does see a request that is well-formed", async () => {
    const before = origin.connections;
    const reply = await send(`GET /good HTTP/1.1\r\nHost: ${host()}\r\nConnection: close\r\n\r\n`);
    expect(reply).toStartWith("HTTP/1.1 200 ");
    expect(origin.connections).toBe(before + 1);
    expect(origin.text).toContain("GET /good HTTP/1.1\r\n");
  });

  test.skipIf(!HAS_OPENSSL)("openssl s_client is answered as everybody is", async () => {
    await using client = new Program(
      [
        ...[
          "sh",
          "-c",
          'printf "GET / HTTP/1.1\\nHost: x\\n\\n" | exec openssl s_client "$@"',
          "sh",
        ],
        ...["-quiet", "-connect", `127.0.0.1:${tunnel.edge.port}`],
        ...["-servername", tunnel.host, "-CAfile", tunnel.edge.ca],
      ],
      { environment: { PATH: SEARCH_PATH } },
    );
    await client.line(/^HTTP\/1\.1 400 /);
  });
});

/** An origin that keeps all bytes it ever got, and answers each connection once. */
class RecordingOrigin {
  readonly port: number;
  readonly #server: Server;
  readonly #record: { connections: number; text: string };

  private constructor(port: number, server: Server, record: { connections: number; text: string }) {
    this.port = port;
    this.#server = server;
    this.#record = record;
  }

  static async start(): Promise<RecordingOrigin> {
    const record = { connections: 0, text: "" };
    const server = createServer((socket: Socket) => {
      record.connections += 1;
      socket.on("data", (bytes) => {
        record.text += bytes.toString("latin1");
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
      });
      // The connector closes by reset where a request was cut.
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("A TCP server has a port");
    return new RecordingOrigin(address.port, server, record);
  }

  get connections(): number {
    return this.#record.connections;
  }

  get text(): string {
    return this.#record.text;
  }

  close(): void {
    this.#server.close();
  }
}
