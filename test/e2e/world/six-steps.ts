// This file is the six steps of the tutorials, done as a person does them: run inside of a namespace by six-steps.test.ts, it prints what was typed and read.
import { createServer } from "node:http";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Machine, start, type, visit } from "./terminal.ts";
import { World } from "./world.ts";

const DOMAIN = "example.com";
const HOST = `myapp.${DOMAIN}`;
const PAGE = "hello from my laptop";

/** `http-01`, `tls-alpn-01` or `dns-01`. */
const challenge = process.argv[2] ?? "http-01";
/** A name server that the edge may update makes records and wildcards; else the owner of the zone made one before. */
const isProvided = challenge === "dns-01";

await using world = await World.start({
  zones: [
    { name: DOMAIN, records: isProvided ? ["@ A 127.0.0.1"] : ["@ A 127.0.0.1", "* A 127.0.0.1"] },
  ],
});
const server: Machine = { prompt: "root@vps:~#", home: join(world.path, "vps") };
const home: Machine = { prompt: "you@home:~$", home: join(world.path, "home") };
for (const machine of [server, home]) mkdirSync(machine.home, { mode: 0o700 });
const origin = createServer((_, response) => response.end(PAGE)).listen(8_000, "127.0.0.1");

const provider = [
  `dns: {provider: rfc2136, rfc2136: {server: "127.0.0.1:53", keyName: ${world.tsigName}, keyFile: ${world.tsigFile}}}`,
];
writeFileSync(
  join(server.home, "edge.yml"),
  [
    "certificates:",
    `  directories: [${world.caDirectory}]`,
    `  caFile: ${world.caFile}`,
    `  challenge: ${challenge}`,
    ...(isProvided ? provider : []),
    "",
  ].join("\n"),
  { mode: 0o600 },
);

// 1 and 2: the executable is there, and the edge's owner makes a line.
await using edge = await start(
  server,
  [
    "edge",
    "--domain",
    DOMAIN,
    "--agree-tos",
    "--email",
    `owner@${DOMAIN}`,
    "--public-address",
    "127.0.0.1",
  ],
  /ready/,
);
const invitation = await type(server, ["edge", "invite", "--account"]);
const line = /tunl:\/\/\S+/.exec(invitation)?.[0] ?? "";
await type(home, ["login", line]);
// 3
const created = await type(home, ["tunnel", "create", "my-tunnel"]);
const id = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(created)?.[0] ?? "my-tunnel";
// 4: as the tutorials have it.
writeFileSync(
  join(home.home, "config.yml"),
  [
    `tunnel: ${id}`,
    `credentials-file: ${join(home.home, "edges", DOMAIN, `${id}.json`)}`,
    "",
    "ingress:",
    `  - hostname: ${HOST}`,
    "    service: http://localhost:8000",
    "  - service: http_status:404",
    "",
  ].join("\n"),
  { mode: 0o600 },
);
await type(home, ["ingress", "validate"]);
// 5
await type(home, ["route", "dns", "my-tunnel", HOST]);
// 6
await using connector = await start(
  home,
  ["tunnel", "run", "my-tunnel"],
  new RegExp(`https://${HOST}`),
);
await visit(world.rootFile, `https://${HOST}/`);
await visit(
  world.rootFile,
  "-o",
  "/dev/null",
  "-w",
  "%{http_code} %{redirect_url}\\n",
  `http://${HOST}/page`,
);
await visit(world.rootFile, `https://stranger.${DOMAIN}/`);
await type(home, ["tunnel", "list"]);
await type(home, ["route", "list"]);

connector.signal("SIGTERM");
await connector.ended;
edge.signal("SIGTERM");
await edge.ended;
origin.close();
