// This file is one connector with many rules: which service each request comes to, and with which settings. product.md §3.3, §3.4; S-25, S-30, S-37, S-63.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { freePort } from "../../scripts/rig/ports.ts";
import { isInstalled, run, SEARCH_PATH } from "../binary/program.ts";
import { Home, type Running, tunl } from "../binary/tunl.ts";
import { HAS_NGINX, Nginx } from "./nginx.ts";
import {
  type Answer,
  answered,
  App,
  CAN_RUN,
  curl,
  DOMAIN,
  type Echo,
  echoed,
  TestEdge,
  valuesOf,
} from "./rig.ts";
import { Ruled } from "./ruled.ts";

const HAS_OPENSSL = isInstalled("openssl");
/** Request lines are part of what is asked for. */
const FLAGS = ["--access-log", "on"];
const WS_CLIENT = fileURLToPath(new URL("programs/ws-client.mjs", import.meta.url));

describe.skipIf(!CAN_RUN || !HAS_OPENSSL)("a connector with rules", () => {
  const started = new AsyncDisposableStack();
  let edge: TestEdge;
  let ruled: Ruled;
  let connector: Running;
  /** The one that was started first: tests run in any order, and one of them replaces `connector`. */
  let first: Running;
  let tunnel: string;
  let app: App;
  let socketPath: string;
  let ports: { app: number; api: number; tls: number; nginx: number; dead: number };

  beforeAll(async () => {
    const files = started.use(new Home());
    edge = started.use(await TestEdge.start());
    const [key, cert] = [join(files.path, "key.pem"), join(files.path, "cert.pem")];
    const made = await run(
      [
        ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ...["-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"],
        ...["-addext", "subjectAltName=DNS:localhost"],
      ],
      { environment: { PATH: SEARCH_PATH } },
    );
    if (made.code !== 0) throw new Error(`openssl ended with ${made.code}: ${made.stderr}`);
    socketPath = join(files.path, "app.sock");
    const start = async (setup: Parameters<typeof App.start>[0]): Promise<App> =>
      started.use(await App.start(setup));
    const [one, api, tls] = await Promise.all([
      start({}),
      start({}),
      start({ key, cert }),
      start({ path: socketPath }),
      start({ path: `${socketPath}.tls`, key, cert }),
    ]);
    app = one;
    const nginx = HAS_NGINX ? started.use(await Nginx.start()).port : one.port;
    const dead = await freePort();
    ports = { app: one.port, api: api.port, tls: tls.port, nginx, dead };
    [ruled, connector] = await Ruled.start({
      edge,
      invite: ["--host", `*.${DOMAIN}`],
      flags: FLAGS,
      // By which the runtime would trust everybody: the rules say whom (S-25).
      environment: { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
      config: `
label: rules
tag: [site=berlin, rack=a-7]
originRequest:
  connectTimeout: 5s
ingress:
  - {hostname: app.${DOMAIN}, path: ^/echo/api(/|$), service: "http://localhost:${api.port}", originRequest: {httpHostHeader: api.internal}}
  - {hostname: app.${DOMAIN}, path: ^/ws/, service: "ws://localhost:${one.port}"}
  - {hostname: app.${DOMAIN}, path: ^/secret, service: "http_status:403"}
  - {hostname: app.${DOMAIN}, service: "http://localhost:${one.port}"}
  - {hostname: secure.${DOMAIN}, service: "https://localhost:${tls.port}", originRequest: {caPool: ${cert}}}
  - {hostname: unverified.${DOMAIN}, service: "https://127.0.0.1:${tls.port}", originRequest: {noTLSVerify: true}}
  - {hostname: renamed.${DOMAIN}, service: "https://127.0.0.1:${tls.port}", originRequest: {caPool: ${cert}, originServerName: localhost}}
  - {hostname: matched.${DOMAIN}, service: "wss://127.0.0.1:${tls.port}", originRequest: {caPool: ${cert}, matchSNItoHost: true, httpHostHeader: localhost}}
  - {hostname: strict.${DOMAIN}, service: "https://localhost:${tls.port}"}
  - {hostname: socket.${DOMAIN}, service: "unix:${socketPath}", originRequest: {httpHostHeader: socket.internal}}
  - {hostname: sealed.${DOMAIN}, service: "unix+tls:${socketPath}.tls", originRequest: {caPool: ${cert}}}
  - {hostname: hello.${DOMAIN}, service: hello_world}
  - {hostname: gone.${DOMAIN}, service: "http_status:410"}
  - {hostname: sized.${DOMAIN}, service: "http://localhost:${one.port}", originRequest: {disableChunkedEncoding: true}}
  - {hostname: nginx.${DOMAIN}, service: "http://127.0.0.1:${nginx}"}
  - {hostname: dead.${DOMAIN}, service: "http://127.0.0.1:${dead}"}
  - {hostname: lax.${DOMAIN}, path: ^/echo/x, service: "http://localhost:${api.port}", allowAmbiguousPaths: true}
  - {hostname: lax.${DOMAIN}, service: "http://localhost:${one.port}"}
  - {hostname: "*.dev.${DOMAIN}", service: "http://localhost:${one.port}"}
  - {hostname: www.${DOMAIN}, service: "http://localhost:${one.port}"}
  - {hostname: mail.${DOMAIN}, service: "http://localhost:${one.port}"}
  - service: http_status:404
`,
    });
    started.use(ruled);
    first = connector;
    await connector.find(
      (line) => line.includes(`"https://*.dev.${DOMAIN}`) || undefined,
      "the last of its routes",
    );
    tunnel = String((await connector.event("joined"))["tunnel"]);
  });

  afterAll(async () => {
    await started.disposeAsync();
  });

  const url = (label: string, path = "/"): string =>
    `https://${label}.${DOMAIN}:${edge.port}${path}`;

  async function get(label: string, path: string, flags: readonly string[] = []): Promise<Answer> {
    // Paths go out as they stand here.
    return answered(await curl(edge, ["-i", "--path-as-is", ...flags, url(label, path)]));
  }

  async function echo(label: string, path = "/echo", flags: readonly string[] = []): Promise<Echo> {
    const { status, body } = await get(label, path, flags);
    if (status !== 200) throw new Error(`${label} answered ${status}: ${body}`);
    return JSON.parse(body);
  }

  const errorOf = ({ status, fields }: Answer): unknown => [
    status,
    ...valuesOf(fields, "tunl-error"),
  ];

  describe("where requests go", () => {
    test("by path, and to the next rule where none matches", async () => {
      const host = (seen: Echo): string[] => echoed(seen, "host");
      expect(host(await echo("app", "/echo/api/x"))).toEqual(["api.internal"]);
      expect(host(await echo("app", "/echo/%61pi"))).toEqual(["api.internal"]);
      expect(host(await echo("app", "/echo/apis"))).toEqual([`app.${DOMAIN}:${edge.port}`]);
      expect(host(await echo("app", "/echo?x=/echo/api"))).toEqual([`app.${DOMAIN}:${edge.port}`]);
      // An answer of a rule is no error of tunl's.
      expect(errorOf(await get("app", "/secret/x"))).toEqual([403]);
    });

    test.each([
      ["secure", 200, "bbb"],
      ["unverified", 200, "bbb"],
      ["renamed", 200, "bbb"],
      ["matched", 200, "bbb"],
      ["socket", 200, "bbb"],
      ["sealed", 200, "bbb"],
      ["sized", 200, "bbb"],
      ["gone", 410, ""],
      ["a.dev", 200, "bbb"],
    ])("%s: %d", async (label, status, body) => {
      const answer = await get(label, "/bytes/3");
      expect([errorOf(answer), answer.body]).toEqual([[status], body]);
    });

    test("the built-in page", async () => {
      expect((await get("hello", "/")).body).toContain("The tunnel works");
    });

    test.skipIf(!HAS_NGINX)("nginx", async () => {
      const { status, fields, body } = await get("nginx", "/index.html");
      expect([status, body]).toEqual([200, "<h1>nginx</h1>\n"]);
      expect(valuesOf(fields, "server")[0]).toStartWith("nginx");
      expect(errorOf(await get("nginx", "/gone"))).toEqual([410]);
    });

    test("WebSocket through a rule by path", async () => {
      const task = { url: url("app", "/ws/echo").replace("https", "wss"), ca: edge.ca };
      const { code, stdout, stderr } = await run(
        ["node", WS_CLIENT, JSON.stringify({ ...task, do: "echo", count: 50 })],
        { environment: { PATH: SEARCH_PATH } },
      );
      if (code !== 0) throw new Error(stderr);
      expect(JSON.parse(stdout)).toMatchObject({ messages: 50, wrong: 0, code: 1000 });
    });

    test("all at once, and nobody gets another one's answer", async () => {
      const wanted: readonly (readonly [
        label: string,
        path: string,
        status: number,
        body: RegExp,
      ])[] = [
        ["app", "/bytes/1", 200, /^b$/],
        ["app", "/echo/api", 200, /api.internal/],
        ["app", "/secret", 403, /^$/],
        ["secure", "/bytes/2", 200, /^bb$/],
        ["unverified", "/bytes/3", 200, /^bbb$/],
        ["socket", "/echo", 200, /socket.internal/],
        ["hello", "/", 200, /The tunnel works/],
        ["gone", "/", 410, /^$/],
        ["x.dev", "/bytes/4", 200, /^bbbb$/],
        ["strict", "/", 502, /./],
      ];
      const rounds = Array.from({ length: 6 }, () => wanted).flat();
      const answers = await Promise.all(rounds.map(([label, path]) => get(label, path)));
      for (const [index, { status, body }] of answers.entries()) {
        const [label, path, code, form] = rounds[index] as (typeof wanted)[number];
        expect([label, path, status]).toEqual([label, path, code]);
        expect(body).toMatch(form);
      }
    });

    test("two labels below a wildcard are not below its certificate", async () => {
      const { code } = await curl(edge, [url("a.b.dev")]);
      expect(code).not.toBe(0);
    });
  });

  test("a path that can be read in two ways is refused where a rule decides by it, and only there (S-37)", async () => {
    for (const path of ["/x/../secret", "/%2e%2e/secret", "//secret", "/a%2f..%2fsecret"]) {
      expect([path, errorOf(await get("app", path))]).toEqual([path, [400, "BAD_PATH"]]);
      expect([path, errorOf(await get("gone", path))]).toEqual([path, [410]]);
    }
    expect(connector.output).toContain("Refused a path that two programs may read differently");
    expect((await echo("lax", "/echo/x/../y")).url).toBe("/echo/x/../y");
    expect((await echo("sized", "/echo/..%2fy")).url).toBe("/echo/..%2fy");
  });

  describe("what the service is told", () => {
    test("its own Host, the visitor's beside it, and the tags", async () => {
      for (const [label, path, host] of [
        ["app", "/echo/api", "api.internal"],
        ["socket", "/echo", "socket.internal"],
        ["matched", "/echo", "localhost"],
      ] as const) {
        const seen = await echo(label, path);
        expect(echoed(seen, "host")).toEqual([host]);
        expect(echoed(seen, "x-forwarded-host")).toEqual([`${label}.${DOMAIN}:${edge.port}`]);
        expect(echoed(seen, "x-tunl-tag-site")).toEqual(["berlin"]);
        expect(echoed(seen, "x-tunl-tag-rack")).toEqual(["a-7"]);
      }
    });

    test("no tag of the visitor's (S-30)", async () => {
      const forged = ["-H", "X-Tunl-Tag-Site: paris", "-H", "x_tunl_tag_other: 1"];
      const seen = await echo("app", "/echo", forged);
      expect(echoed(seen, "x-tunl-tag-site")).toEqual(["berlin"]);
      expect(JSON.stringify(seen.headers)).not.toContain("paris");
      expect(JSON.stringify(seen.headers).toLowerCase()).not.toContain("other");
    });

    test("a length instead of chunks where chunks are not wanted", async () => {
      const chunked = ["-X", "POST", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-"];
      const body = "x".repeat(100_000);
      const send = async (label: string): Promise<Echo> => {
        const file = join(ruled.home.path, "body");
        await Bun.write(file, body);
        return echo(label, "/echo", [...chunked.slice(0, -1), `@${file}`]);
      };
      const sized = await send("sized");
      expect([echoed(sized, "content-length"), echoed(sized, "transfer-encoding")]).toEqual([
        ["100000"],
        [],
      ]);
      const plain = await send("app");
      expect([echoed(plain, "content-length"), echoed(plain, "transfer-encoding")]).toEqual([
        [],
        ["chunked"],
      ]);
      expect(sized.sha256).toBe(plain.sha256);
    });

    test("above 1 MiB of unknown length it is asked for (411)", async () => {
      const file = join(ruled.home.path, "large");
      await Bun.write(file, Buffer.alloc((1 << 20) + 1));
      const flags = [
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "Expect:",
        "--data-binary",
        `@${file}`,
      ];
      expect(errorOf(await get("sized", "/echo", flags))).toEqual([411, "LENGTH_REQUIRED"]);
      expect((await echo("sized", "/echo", ["--data-binary", `@${file}`])).length).toBe(
        (1 << 20) + 1,
      );
    });
  });

  describe("what its owner is told", () => {
    test("routes by rule, what is not verified, and the name that was not given", async () => {
      const routes = first.output
        .split("\n")
        .filter((line) => line.includes('"event":"route"'))
        .map((line) => JSON.parse(line))
        .filter((route) => String(route.url).includes(`//app.${DOMAIN}`));
      expect(routes.map(({ service, expression }) => [service, expression])).toEqual([
        [`http://localhost:${ports.api}`, "^/echo/api(/|$)"],
        [`http://localhost:${ports.app}`, "^/ws/"],
        ["http_status:403", "^/secret"],
        [`http://localhost:${ports.app}`, undefined],
      ]);
      expect(await first.event("notice")).toMatchObject({
        msg: `The certificate of https://127.0.0.1:${ports.tls} is not verified`,
      });
      const refused = await first.find(
        (line) =>
          line.includes('"event":"refused"') && line.includes(`www.${DOMAIN}`)
            ? JSON.parse(line)
            : undefined,
        "the refusal of www",
      );
      expect(refused).toMatchObject({ code: "HOSTNAME_NOT_GRANTED" });
      expect(String(refused["hint"])).toMatch(
        /on the edge tunl edge grant rules www\.tunl\.localhost, or tunl route dns rules www\.tunl\.localhost /,
      );
    });

    test("which service failed, in words for a file", async () => {
      expect(errorOf(await get("dead", "/"))).toEqual([502, "ORIGIN_REFUSED"]);
      expect(errorOf(await get("strict", "/"))).toEqual([502, "ORIGIN_TLS"]);
      const trouble = (code: string): Promise<Record<string, unknown>> =>
        connector.find((line) => {
          if (!line.includes('"origin.error"') || !line.includes(code)) return undefined;
          return JSON.parse(line);
        }, code);
      expect(await trouble("ORIGIN_REFUSED")).toMatchObject({
        service: `http://127.0.0.1:${ports.dead}`,
        host: `dead.${DOMAIN}`,
      });
      const tls = await trouble("ORIGIN_TLS");
      expect(tls["service"]).toBe(`https://localhost:${ports.tls}`);
      expect(String(tls["hint"])).toContain("noTLSVerify: true");
    });

    test("which rule and service a request came to", async () => {
      const after = connector.lineCount;
      await get("app", "/echo/api");
      expect(await connector.event("request", { after })).toMatchObject({
        service: `http://localhost:${ports.api}`,
        rule: 0,
      });
    });

    test("all of it by tunl status", async () => {
      const { stdout } = await tunl(["status", "--json"], { home: ruled.home.path });
      const [status] = JSON.parse(stdout).connectors;
      expect(status.rules).toBe(22);
      const routes: { host: string; service: string; path?: string }[] = status.routes;
      expect(routes.filter(({ host }) => host === `app.${DOMAIN}`)).toHaveLength(4);
      expect(routes.find(({ host }) => host === `*.dev.${DOMAIN}`)).toMatchObject({
        service: `http://localhost:${ports.app}`,
      });
      expect(routes.some(({ host }) => host === `www.${DOMAIN}`)).toBe(false);
      const text = (await tunl(["status"], { home: ruled.home.path })).stdout;
      expect(text).toContain(`path ^/echo/api(/|$) -> http://localhost:${ports.api}`);
    });
  });

  test("a name of the tunnel without a rule comes to the catch-all, until a rule has it", async () => {
    // Another process of the same tunnel claims it, and goes.
    const other = ruled.run(["connect", String(ports.app), "--host", `extra.${DOMAIN}`]);
    await other.event("route");
    expect((await get("extra", "/bytes/3")).body).toBe("bbb");
    other.signal("SIGTERM");
    await other.ended;
    expect(errorOf(await get("extra", "/bytes/3"))).toEqual([404]);
  });

  test("a rule outside the grants answers nothing, and as soon as it is granted everything", async () => {
    expect(errorOf(await get("mail", "/bytes/3"))).toEqual([404, "NO_ROUTE"]);
    // A reserved label: only the owner of the edge gives it.
    const words = ["edge", "grant", tunnel, `mail.${DOMAIN}`];
    const granted = await tunl(words, { home: edge.home });
    expect([granted.code, granted.stderr]).toEqual([0, expect.any(String)]);
    const { status, body } = await get("mail", "/bytes/3");
    expect([status, body]).toEqual([200, "bbb"]);
  });

  test("replicas: one is enough, whichever it is", async () => {
    const second = ruled.run(["tunnel", "run", tunnel, ...FLAGS]);
    await second.find((line) => line.includes(`"https://*.dev.${DOMAIN}`) || undefined, "routes");
    connector.signal("SIGTERM");
    await connector.ended;
    // Tests run in any order: whatever comes next asks the one that is left.
    expect((await get("app", "/bytes/3")).body).toBe("bbb");
    expect((await get("secure", "/bytes/3")).body).toBe("bbb");
    connector = second;
  });
});
