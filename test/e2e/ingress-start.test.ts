// This file is the start of a connector with a configuration file: what it refuses whole, what it says, and what it does with little. product.md §3.2, §3.3, §4.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../binary/program.ts";
import { tunl } from "../binary/tunl.ts";
import { answered, App, CAN_RUN, curl, DOMAIN, TestEdge, valuesOf } from "./rig.ts";
import { Ruled } from "./ruled.ts";

describe.skipIf(!CAN_RUN)("starting with a file", () => {
  const started = new AsyncDisposableStack();
  let edge: TestEdge;
  let ruled: Ruled;
  let app: App;

  beforeAll(async () => {
    edge = started.use(await TestEdge.start());
    app = started.use(await App.start());
    const [joined, connector] = await Ruled.start({
      edge,
      config: `ingress: [{hostname: app.${DOMAIN}, service: "http://localhost:${app.port}"}, {service: "http_status:404"}]\n`,
    });
    ruled = started.use(joined);
    connector.signal("SIGTERM");
    await connector.ended;
  });

  afterAll(async () => {
    await started.disposeAsync();
  });

  async function status(label: string): Promise<unknown> {
    const answer = await curl(edge, ["-i", `https://${label}.${DOMAIN}:${edge.port}/`]);
    const { status: code, fields } = answered(answer);
    return [code, ...valuesOf(fields, "tunl-error")];
  }

  describe("is refused whole", () => {
    const good = `{hostname: app.${DOMAIN}, service: "http_status:200"}`;
    const last = `{service: "http_status:404"}`;

    test.each([
      [
        "tcp",
        `{hostname: ssh.${DOMAIN}, service: "ssh://localhost:22"}`,
        /config.yml:1:\d+ Service "ssh:\/\/localhost:22", a TCP service, is not in this version yet/,
      ],
      [
        "bastion",
        `{hostname: b.${DOMAIN}, service: bastion}`,
        /config.yml:1:\d+ .*is not in this version yet/,
      ],
      [
        "socks-proxy",
        `{hostname: s.${DOMAIN}, service: socks-proxy}`,
        /config.yml:1:\d+ .*is not in this version yet/,
      ],
      [
        "access.required",
        `{hostname: a.${DOMAIN}, service: "http_status:200", originRequest: {access: {required: true, teamName: t}}}`,
        /config.yml:1:\d+ .*required is not in this version yet/,
      ],
      [
        "a caPool that is not there",
        `{hostname: c.${DOMAIN}, service: "https://localhost", originRequest: {caPool: /nowhere/ca.pem}}`,
        /\/nowhere\/ca\.pem/,
      ],
    ])("%s", async (_, rule, text) => {
      ruled.write(`ingress: [${good}, ${rule}, ${last}]\n`);
      const { code, stderr, stdout } = await tunl(["tunnel", "run"], { home: ruled.home.path });
      expect([code, stdout]).toEqual([3, ""]);
      expect(stderr).toMatch(text);
      // Nothing was begun: no socket, no name announced.
      expect(sockets()).toEqual([]);
    });

    test("a credentials file that is not there", async () => {
      ruled.write(`credentials-file: /nowhere/key.json\ningress: [${last}]\n`);
      const { code, stderr } = await tunl(["tunnel", "run"], { home: ruled.home.path });
      expect(code).toBe(3);
      expect(stderr).toContain("/nowhere/key.json");
      expect(sockets()).toEqual([]);
    });
  });

  function sockets(): string[] {
    const directory = join(ruled.home.path, "run");
    return existsSync(directory) ? readdirSync(directory) : [];
  }

  test("without rules every request is answered 503", async () => {
    ruled.write("label: nothing\n");
    const connector = ruled.run(["connect", "--name", "app"]);
    expect(await connector.event("route")).toMatchObject({ service: "http_status:503" });
    expect(await status("app")).toEqual([503]);
    connector.signal("SIGTERM");
    expect((await connector.ended).code).toBe(0);
  });

  test("the one-service form serves names of flags", async () => {
    ruled.write(`url: http://localhost:${app.port}\nhttp-host-header: one.internal\n`);
    const connector = ruled.run(["tunnel", "run", "--host", `app.${DOMAIN}`]);
    expect(await connector.event("route")).toMatchObject({
      service: `http://localhost:${app.port}`,
    });
    expect(await status("app")).toEqual([200]);
    connector.signal("SIGTERM");
    await connector.ended;
  });

  test("names of flags: a wildcard is served one label deep, a foreign one is refused", async () => {
    // A tunnel of its own in a home of its own: a home means the tunnel it joined last.
    const [apart, connector] = await Ruled.start({
      edge,
      config: `url: http://localhost:${app.port}\n`,
      invite: ["--host", `*.pre.${DOMAIN}`],
      flags: ["--host", `*.pre.${DOMAIN}`],
    });
    await using home = apart;
    expect(await connector.event("route")).toMatchObject({
      url: `https://*.pre.${DOMAIN}:${edge.port}`,
      service: `http://localhost:${app.port}`,
    });
    expect(await status("x.pre")).toEqual([200]);
    const deep = await curl(edge, [`https://y.x.pre.${DOMAIN}:${edge.port}/`]);
    expect(deep.code).not.toBe(0);
    connector.signal("SIGTERM");
    await connector.ended;
    // Proof of a foreign name is not what a flag can give: the only name refused ends it.
    const foreign = home.run(["connect", String(app.port), "--host", "shop.example.org"]);
    const { code, stderr } = await foreign.ended;
    expect(code).toBe(4);
    expect(stderr).toContain("HOSTNAME_NOT_GRANTED");
  });

  test("label, pidfile, logfile and grace-period are those of the file; SIGHUP opens the log anew", async () => {
    const log = join(ruled.home.path, "connector.log");
    const pidfile = join(ruled.home.path, "connector.pid");
    ruled.write(`
label: from-the-file
pidfile: ${pidfile}
logfile: ${log}
loglevel: debug
grace-period: 1s
ha-connections: 4
retries: 5
protocol: quic
ingress:
  - {hostname: app.${DOMAIN}, service: "http_status:204"}
  - service: http_status:404
`);
    const connector = ruled.run(["tunnel", "run"]);
    await eventually(() => (existsSync(pidfile) ? true : undefined), "the pid file");
    expect(readFileSync(pidfile, "utf8")).toBe(`${connector.pid}\n`);
    const lines = (file: string): Record<string, unknown>[] =>
      readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line));
    expect(lines(log).find(({ event }) => event === "start")).toMatchObject({
      label: "from-the-file",
    });
    const text = JSON.stringify(lines(log));
    expect(text).toContain("This version keeps one link");
    // Known and without effect: a line each, for who looks for it.
    for (const key of ["retries", "protocol"])
      expect(lines(log)).toContainEqual(
        expect.objectContaining({ level: "debug", msg: expect.stringContaining(key) }),
      );
    renameSync(log, `${log}.1`);
    connector.signal("SIGHUP");
    await eventually(() => (existsSync(log) ? true : undefined), "the new log");
    connector.signal("SIGTERM");
    expect((await connector.ended).code).toBe(0);
    expect(lines(log).at(-1)).toMatchObject({ event: "stopped" });
    expect(lines(log).find(({ event }) => event === "draining")).toMatchObject({ graceMs: 1_000 });
    expect(existsSync(pidfile)).toBe(false);
  });
});
