// This file is what the owners at both ends are told when something is not as they think: origin, names, domains, certificates.
import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { renameSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { freePort } from "../../scripts/rig/ports.ts";
import { isInstalled } from "../binary/program.ts";
import { EDGE, Home, Running, tunl } from "../binary/tunl.ts";
import {
  answered,
  CAN_RUN,
  curl,
  DOMAIN,
  startConnector,
  TestEdge,
  Tunnel,
  valuesOf,
} from "./rig.ts";

const HAS_OPENSSL = isInstalled("openssl");

describe.skipIf(!CAN_RUN)("what owners are told", () => {
  test("the connector names an origin that does not listen, once, and the status the visitor got", async () => {
    const port = await freePort();
    await using tunnel = await Tunnel.start({
      target: `http://127.0.0.1:${port}`,
      flags: ["--access-log", "on"],
    });
    for (let count = 0; count < 3; count++) expect((await tunnel.get("/")).status).toBe(502);
    const trouble = await tunnel.connector.event("origin.error");
    expect(trouble).toMatchObject({
      level: "warn",
      code: "ORIGIN_REFUSED",
      msg: `Nothing listens on 127.0.0.1:${port}`,
      hint: "Start your app; the next request tries again",
    });
    const request = await tunnel.connector.event("request");
    expect(request["status"]).toBe(502);
    await tunnel.connector[Symbol.asyncDispose]();
    const { stderr } = await tunnel.connector.ended;
    expect(stderr.split('"origin.error"')).toHaveLength(2);
  });

  test("a dev server that checks Host: its 403 passes, and its owner reads the way out", async () => {
    const server = createServer((request, response) => {
      const isKnown = /^(?:localhost|127\.0\.0\.1):/.test(request.headers.host ?? "");
      response.writeHead(isKnown ? 200 : 403).end(isKnown ? "welcome" : "Blocked request");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      await using tunnel = await Tunnel.start({ target });
      const { status, body, fields } = await tunnel.get("/");
      expect([status, body, valuesOf(fields, "tunl-error")]).toEqual([403, "Blocked request", []]);
      expect(await tunnel.connector.event("origin.error")).toMatchObject({
        level: "warn",
        code: "ORIGIN_HOST_CHECK",
        host: tunnel.host,
        hint: "Allow the name in your dev server, or use --host-header origin",
      });
      const flags = ["--host-header", "origin"];
      await using obeyed = await Tunnel.start({ target, flags, name: "obeyed", edge: tunnel.edge });
      expect((await obeyed.get("/")).body).toBe("welcome");
      expect(obeyed.connector.output).not.toContain("ORIGIN_HOST_CHECK");
    } finally {
      server.close();
    }
  });

  test("a line for one name serves that name without --host", async () => {
    await using edge = await TestEdge.start();
    using home = new Home();
    const line = await edge.invite(["--host", `shop.${DOMAIN}`]);
    await using connector = startConnector("http_status:204", ["--join", line], {
      home: home.path,
    });
    expect((await connector.event("route"))["url"]).toBe(`https://shop.${DOMAIN}:${edge.port}`);
    const { status } = answered(await curl(edge, ["-i", `https://shop.${DOMAIN}:${edge.port}/`]));
    expect(status).toBe(204);
  });

  test("a line for a name that nobody can claim is not made", async () => {
    await using edge = await TestEdge.start();
    for (const [host, text] of [
      [DOMAIN, `"${DOMAIN}" is this edge's own domain or above it`],
      [`www.${DOMAIN}`, `"www.${DOMAIN}" has a reserved label`],
    ] as const) {
      const { code, stdout, stderr } = await tunl(["edge", "invite", "--host", host], edge);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toContain(text);
    }
    expect.assertions(5);
    // A name outside of the domains can be claimed, and is served once its owner has proven it.
    expect(await edge.invite(["--host", "app.example.org"])).toContain("/");
  });

  test("a login line for an account that is there says that it makes another one", async () => {
    await using edge = await TestEdge.start();
    using first = new Home();
    using second = new Home();
    const invite = ["edge", "invite", "--account", "--name", "bob"];
    const login = async (home: Home, stdout: string): Promise<string> => {
      const line = /tunl:\/\/\S+/.exec(stdout)?.[0] ?? "";
      return (await tunl(["login", line], { home: home.path })).stderr;
    };
    const made = await tunl(invite, edge);
    expect(made.stdout).not.toContain("another");
    expect(await login(first, made.stdout)).toContain(
      `logged.in as "bob", may create tunnels and claim any free label of ${DOMAIN}`,
    );
    const again = await tunl(invite, edge);
    expect(again.stdout).toEndWith(
      '\nAn account "bob" is there already: this line makes another one, which has none of its tunnels\n',
    );
    const { stdout } = await tunl([...invite, "--json"], edge);
    expect(JSON.parse(stdout)).toMatchObject({ name: "bob", isAnother: true });
    expect(await login(second, again.stdout)).toContain('logged.in as "bob-2", may create');
  });

  test("a line for every name below the domain is made", async () => {
    await using edge = await TestEdge.start();
    expect(await edge.invite(["--host", `*.${DOMAIN}`])).toContain("/");
  });

  test("an edge that stops loses no link", async () => {
    using home = new Home();
    await using edge = await TestEdge.start();
    const line = await edge.invite();
    await using connector = new Running(
      ["connect", "http_status:204", "--join", line, "--log-format", "json"],
      { home: home.path },
    );
    await connector.event("connected");
    edge.process.signal("SIGTERM");
    await edge.process.ended;
    expect((await edge.process.event("disconnected"))["msg"]).toContain("The edge stop");
    expect(edge.process.output).not.toContain("link.lost");
  });

  test("an edge that loses a domain says so", async () => {
    using home = new Home();
    {
      const flags = ["--domain", "other.localhost"];
      await using first = await TestEdge.start({ home: home.path, flags });
      first.process.signal("SIGTERM");
      await first.process.ended;
    }
    await using edge = await TestEdge.start({ home: home.path });
    const warning = await edge.process.event("domain");
    expect(warning["level"]).toBe("warn");
    expect(warning["msg"]).toContain("other.localhost");
  });
});

/** A pair signed by itself. */
function make(pair: { cert: string; key: string; days: number; names: string }): void {
  const { cert, key, days, names } = pair;
  execFileSync(
    "openssl",
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days ${days} -subj /CN=x -addext subjectAltName=${names} -keyout ${key} -out ${cert}`.split(
      " ",
    ),
    { stdio: "ignore" },
  );
}

describe.skipIf(!CAN_RUN || !HAS_OPENSSL)("certificates of the owner", () => {
  test("what they do not name, and one that ends soon, is told at the start; a renewed pair is served without a restart", async () => {
    using home = new Home();
    const [cert, key] = [join(home.path, "site.pem"), join(home.path, "site.key")];
    make({ cert, key, days: 3, names: `DNS:${DOMAIN}` });
    const command = EDGE.map((word) => (word === "internal" ? "files" : word));
    await using edge = new Running([...command, "--cert", cert, "--key", key], { home: home.path });
    const texts: unknown[] = [];
    await edge.find((line) => {
      if (line.includes('"certificate"')) texts.push(JSON.parse(line).msg);
      return texts.length === 2 ? true : undefined;
    }, "two warnings");
    expect(texts[0]).toContain(`No certificate names *.${DOMAIN}:`);
    expect(texts[1]).toContain("expires on");
    // Renewed while it runs: served without a restart.
    const port = Number((await edge.event("ready"))["port"]);
    const next = { cert: `${cert}.new`, key: `${key}.new` };
    make({ ...next, days: 90, names: `DNS:${DOMAIN},DNS:*.${DOMAIN}` });
    for (const path of [key, cert]) renameSync(`${path}.new`, path);
    await edge.line(/is new, serves/);
    const visit = await curl({ ca: cert, port }, ["-i", `https://app.${DOMAIN}:${port}/`]);
    expect(answered(visit).status).toBe(404);
  });
});
