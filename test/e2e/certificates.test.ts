// This file is certificates by ACME, from the edge that orders them to curl that trusts the CA alone: real Pebble, the compiled executable.
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { freePort } from "../../scripts/rig/ports.ts";
import { within } from "../within.ts";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { EXTERNAL_ACCOUNT, HAS_PEBBLE, Pebble } from "../pebble.ts";
import { CertificateStorage } from "../../src/edge/certificates/acme/storage.ts";
import { type Ended, eventually, isInstalled, run, SEARCH_PATH } from "../binary/program.ts";
import { Home, type Running, TUNL, tunl } from "../binary/tunl.ts";
import { answered, App, CAN_RUN, curl, DOMAIN, type EdgeSetup, TestEdge, Tunnel } from "./rig.ts";

/** The line that says a certificate of this name is there. */
function certified(process: Running, name: string): Promise<unknown> {
  return process.find((line) => {
    if (!line.startsWith("{")) return undefined;
    const { event, name: of, msg } = JSON.parse(line);
    const isIt = event === "certificate" && of === name && String(msg).includes("expires in");
    return isIt ? msg : undefined;
  }, `a certificate of ${name}`);
}

/** Offers a server name, as a stranger would; resolves with the alert it gets, or what it is shown. */
function offer(port: number, servername: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
  socket.on("secureConnect", () => {
    resolve(`certificate of ${socket.getPeerCertificate().subjectaltname}`);
    socket.destroy();
  });
  socket.on("error", (error: Error) => resolve(error.message));
  return within(promise, `an alert for ${servername}`);
}

describe.skipIf(!CAN_RUN || !HAS_PEBBLE)("certificates by ACME", () => {
  let app: App;
  beforeAll(async () => {
    app = await App.start();
  });
  afterAll(() => app?.[Symbol.asyncDispose]());

  test("a claimed name is ordered by TLS-ALPN-01, its first visitor waits, and a restart needs no CA", async () => {
    using home = new Home();
    const [tlsPort, httpPort] = [await freePort(), await freePort()];
    await using pebble = await Pebble.start({ tlsPort, httpPort });
    const setup: EdgeSetup = {
      ...{ tls: "acme", port: tlsPort, home: home.path },
      flags: ["--agree-tos", "--acme-ca", pebble.directory, "--hold", "0"],
      settings: `certificates: {caFile: ${pebble.caFile}}\n`,
    };
    const visit = async (edge: TestEdge, tunnel: Tunnel): Promise<unknown> => {
      const root = { ca: await pebble.rootFile(), port: edge.port };
      const { status, body } = answered(await curl(root, ["-i", tunnel.url("/bytes/3")]));
      return [status, body];
    };
    {
      await using edge = await TestEdge.start(setup);
      await certified(edge.process, DOMAIN);
      await using tunnel = await Tunnel.start({ target: `${app.port}`, edge });
      // The order runs: this visitor is the first.
      expect(await visit(edge, tunnel)).toEqual([200, "bbb"]);
      await tunnel.connector.line(/app\.tunl\.localhost, ready in/);
      // Names of strangers: one alert, no order.
      const orders = count(pebble, "POST /order-plz");
      const strangers = Array.from({ length: 300 }, (_, index) => `n${index}.${DOMAIN}`);
      const shown = new Set(await Promise.all(strangers.map((name) => offer(edge.port, name))));
      expect([...shown].filter((text) => text.startsWith("certificate"))).toEqual([]);
      expect(await offer(edge.port, `app.${DOMAIN}`)).toContain(`DNS:app.${DOMAIN}`);
      expect([orders, count(pebble, "POST /order-plz")]).toEqual([2, 2]);
      const { stdout } = await tunl(["status", "--json"], edge);
      expect(stdout).toContain(`"name": "app.${DOMAIN}"`);
    }
    // Long since on the disk.
    const folder = join(home.path, "state/certs", `app.${DOMAIN}`);
    expect(readdirSync(folder).sort()).toEqual(["cert.pem", "key.pem", "meta.json"]);
    const issuer = await pebble.rootFile();
    await pebble.stop();
    await using edge = await TestEdge.start(setup);
    expect(await offer(edge.port, `app.${DOMAIN}`)).toContain(`DNS:app.${DOMAIN}`);
    const ended = await curl({ ca: issuer, port: edge.port }, [
      "-i",
      `https://app.${DOMAIN}:${edge.port}/`,
    ]);
    // Nobody serves it now, and the certificate is good.
    expect(answered(ended).status).toBe(503);
  }, 30_000);

  test("HTTP-01 with an account of the CA's web page: the proof comes before the redirect", async () => {
    using home = new Home();
    const keyFile = join(home.path, "eab.key");
    writeFileSync(keyFile, `${EXTERNAL_ACCOUNT.key}\n`, { mode: 0o600 });
    const [tlsPort, httpPort] = [await freePort(), await freePort()];
    await using pebble = await Pebble.start({ tlsPort, httpPort, wantsExternalAccount: true });
    await using edge = await TestEdge.start({
      ...{ tls: "acme", port: tlsPort, hasPlain: true, plainPort: httpPort },
      flags: ["--yes", "--acme-ca", pebble.directory],
      settings: `certificates:
  caFile: ${pebble.caFile}
  challenge: http-01
  minVersion: "1.3"
  eab: {keyId: ${EXTERNAL_ACCOUNT.keyId}, keyFile: ${keyFile}}
`,
    });
    await certified(edge.process, DOMAIN);
    const url = `http://${DOMAIN}:${httpPort}/.well-known/acme-challenge/unknown`;
    const stranger = answered(await curl({ ca: pebble.caFile, port: httpPort }, ["-i", url]));
    expect(stranger.status).toBe(404);
    expect(edge.process.output).toContain("agreed to by --yes");
    // certificates.minVersion is for visitors: an old one is refused, a new one served.
    const root = { ca: await pebble.rootFile(), port: tlsPort };
    const page = `https://${DOMAIN}:${tlsPort}/`;
    expect(answered(await curl(root, ["-i", page])).status).toBe(404);
    const old = await curl(root, ["--tls-max", "1.2", page]);
    expect([old.code, old.stderr]).toEqual([35, expect.stringMatching(/alert/i)]);
  }, 30_000);

  test("terms that nobody agrees to: exit 2 with their address and what to do, and nothing is listened on", async () => {
    using home = new Home();
    await using pebble = await Pebble.start();
    writeFileSync(
      join(home.path, "edge.yml"),
      `certificates: {caFile: ${pebble.caFile}, directories: ["${pebble.directory}"]}\n`,
      { mode: 0o600 },
    );
    const ports = ["--listen", "127.0.0.1:0", "--http", "off"];
    const words = ["edge", "--domain", DOMAIN, ...ports];
    const { code, stderr } = await tunl(words, { home: home.path });
    expect(code).toBe(2);
    expect(stderr).toContain(
      "its terms of service (data:text/plain,Do%20what%20thou%20wilt) are not agreed to",
    );
    expect(stderr).toContain("--agree-tos");
    using stranger = new Home();
    const own = await tunl([...words, "--acme-ca", pebble.directory], { home: stranger.path });
    expect([own.code, own.stderr]).toEqual([
      5,
      expect.stringContaining("with certificates.caFile, or start with --agree-tos if you know"),
    ]);
    await pebble.stop();
    const down = await tunl(words, { home: home.path });
    // Not the user's doing: exit 5, which a service manager starts again after.
    expect([down.code, down.stderr.includes("cannot be asked for its terms")]).toEqual([5, true]);
    expect(down.stderr).toContain("Or start with --agree-tos if you know and accept them");
  }, 30_000);

  test.skipIf(!isInstalled("script", "bsdutils"))(
    "terms are asked for on a terminal, once: no is exit 2, yes is remembered",
    async () => {
      using home = new Home();
      await using pebble = await Pebble.start();
      writeFileSync(
        join(home.path, "edge.yml"),
        `certificates: {caFile: ${pebble.caFile}, directories: ["${pebble.directory}"]}\n`,
        { mode: 0o600 },
      );
      // A port that is taken, so that an edge whose question was answered ends as well: exit 6.
      using taken = Bun.listen({
        ...{ hostname: "127.0.0.1", port: 0 },
        socket: { data: () => undefined },
      });
      const words = `edge --domain ${DOMAIN} --listen 127.0.0.1:${taken.port} --http off`.split(
        " ",
      );
      const answer = async (word: string): Promise<Ended> =>
        run(["sh", "-c", `echo ${word} | script -qefc '${[TUNL, ...words].join(" ")}' /dev/null`], {
          directory: home.path,
          environment: { PATH: SEARCH_PATH, HOME: home.path, TUNL_HOME: home.path, TERM: "xterm" },
        });
      const question =
        "Accept its terms of service (data:text/plain,Do%20what%20thou%20wilt)? (Y/n)";
      const no = await answer("n");
      expect([no.code, no.stdout.includes(question)]).toEqual([2, true]);
      const yes = await answer("y");
      expect([yes.code, yes.stdout.includes(question)]).toEqual([6, true]);
      expect((await tunl(words, { home: home.path })).code).toBe(6);
    },
    30_000,
  );

  test("a CA that is away from the start keeps no link out; status says why there is no certificate, and when the next try comes", async () => {
    const away = await freePort();
    await using edge = await TestEdge.start({
      ...{ tls: "acme" },
      flags: ["--agree-tos", "--acme-ca", `https://127.0.0.1:${away}/dir`],
    });
    await edge.process.line(
      /The CA at 127\.0\.0\.1:\d+ cannot be reached: connection refused; next try in/,
    );
    await using tunnel = await Tunnel.start({ target: `${app.port}`, edge });
    await tunnel.connector.line(/No certificate for app\.tunl\.localhost: The CA at/);
    const { stdout } = await tunl(["status"], edge);
    for (const name of [DOMAIN, tunnel.host])
      expect(stdout).toMatch(
        new RegExp(
          `^certificate +${name}  failed  The CA at .* cannot be reached.*next try at`,
          "m",
        ),
      );
    expect(await offer(edge.port, tunnel.host)).not.toContain("certificate of");
  }, 30_000);

  test("port 80 taken by somebody else: it is said, and names are proven by other ways", async () => {
    using home = new Home();
    const [tlsPort, httpPort] = [await freePort(), await freePort()];
    await using pebble = await Pebble.start({ tlsPort, httpPort });
    using _ = Bun.listen({
      hostname: "127.0.0.1",
      port: httpPort,
      socket: { data: () => undefined },
    });
    await using edge = await TestEdge.start({
      ...{ tls: "acme", port: tlsPort, hasPlain: true, plainPort: httpPort, home: home.path },
      flags: ["--agree-tos", "--acme-ca", pebble.directory],
      settings: `certificates: {caFile: ${pebble.caFile}}\n`,
    });
    await certified(edge.process, DOMAIN);
    expect(edge.process.output).toContain("names are proven by other ways than HTTP-01");
    const storage = new CertificateStorage(join(home.path, "state"));
    const stored = await eventually(async () => {
      const found = await storage.load(DOMAIN);
      return found.kind === "whole" ? found.certificate : undefined;
    }, "the stored certificate");
    expect(stored.challenge).toBe("tls-alpn-01");
  }, 30_000);
});

/** Requests of a kind in the log of the CA. */
function count({ process }: Pebble, line: string): number {
  return process.output.split("\n").filter((each) => each.includes(line)).length;
}
