// This file is what a new user does wrong, done as a person does it: run inside of a namespace by mistakes.test.ts, it prints what was typed and read.
import { createServer } from "node:http";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Machine, READY, start, type } from "./terminal.ts";
import { World } from "./world.ts";

const DOMAIN = "example.com";

await using world = await World.start({
  zones: [
    { name: DOMAIN, records: ["@ A 127.0.0.1"] },
    { name: "customer.org", records: ["www A 192.0.2.1"] },
  ],
});
/** No certificate is valid so late. The command itself forks, so a signal would reach it and not the edge. */
const fake = await world.call(["faketime", "-f", "+4000d", "env"]);
const LATE = ["env", ...fake.split("\n").filter((line) => /^(?:LD_PRELOAD|FAKETIME)=/.test(line))];
let machines = 0;
/** A machine of its own, so that no mistake helps another. */
function machine(prompt: string): Machine {
  machines += 1;
  const home = join(world.path, `machine-${machines}`);
  mkdirSync(home, { mode: 0o700 });
  return { prompt, home };
}
const vps = (): Machine => machine("root@vps:~#");
const laptop = (): Machine => machine("you@home:~$");
function title(text: string): void {
  console.log(`\n# ${text}`);
}
function write(at: Machine, name: string, lines: readonly string[]): void {
  writeFileSync(join(at.home, name), `${lines.join("\n")}\n`, { mode: 0o600 });
}
const CA = [`certificates: {directories: ["${world.caDirectory}"], caFile: ${world.caFile}}`];
const EDGE = ["edge", "--domain", DOMAIN];
const AGREED = [...EDGE, "--agree-tos", "--public-address", "127.0.0.1"];

title("terms not agreed");
{
  const at = vps();
  write(at, "edge.yml", CA);
  await type(at, EDGE, { code: 2 });
}

title("port 80 taken");
{
  const taker = createServer().listen(80);
  const at = vps();
  write(at, "edge.yml", CA);
  await using edge = await start(at, AGREED, /ready/);
  edge.signal("SIGTERM");
  await edge.ended;
  await new Promise((resolve) => taker.close(resolve));
}

title("the clock is wrong");
{
  const at = vps();
  write(at, "edge.yml", CA);
  await using edge = await start(at, AGREED, /clock/i, { through: LATE });
  edge.signal("SIGTERM");
  await edge.ended;
}

const server = vps();
write(server, "edge.yml", CA);
title("no DNS yet");
await using edge = await start(server, AGREED, READY);
const home = laptop();
const line = /tunl:\/\/\S+/.exec(await type(server, ["edge", "invite", "--account"]))?.[0] ?? "";
await type(home, ["login", line]);
const created = await type(home, ["tunnel", "create", "my-tunnel"]);
const id = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(created)?.[0] ?? "";
await type(home, ["route", "dns", "my-tunnel", `shop.${DOMAIN}`, "--timeout", "2s"], { code: 8 });

title("a login line used twice, and given to the wrong command");
await type(laptop(), ["login", line], { code: 4 });
const join_ = /tunl:\/\/\S+/.exec(await type(server, ["edge", "invite"]))?.[0] ?? "";
await type(laptop(), ["login", join_], { code: 4 });

title("a name of somebody else's zone, and one that another tunnel has");
await type(home, ["route", "dns", "my-tunnel", "shop.customer.org", "--timeout", "2s"], {
  code: 4,
});
const colleague = laptop();
const second = /tunl:\/\/\S+/.exec(await type(server, ["edge", "invite", "--account"]))?.[0] ?? "";
await type(colleague, ["login", second]);
await type(colleague, ["tunnel", "create", "my-tunnel"], { code: 7 });

title("not logged in, no such tunnel");
await type(laptop(), ["tunnel", "list"], { code: 2 });
await type(home, ["tunnel", "run", "other-tunnel"], { code: 2 });
await type(home, ["tunnel", "info", "other-tunnel"], { code: 7 });
await type(home, ["tunnel", "delete", "my-tunnel"], { code: 2 });

title("credentials of another edge: this one was rebuilt");
edge.signal("SIGTERM");
await edge.ended;
{
  const rebuilt = vps();
  write(rebuilt, "edge.yml", CA);
  await using other = await start(rebuilt, AGREED, /ready/);
  await type(home, ["connect", "8000", "--wait", "3s"], { code: 4 });
  await type(home, ["tunnel", "list"], { code: 4 });
  other.signal("SIGTERM");
  await other.ended;
}

title("the edge is not there");
await type(home, ["tunnel", "list"], { code: 5 });

title("files of cloudflared");
{
  const at = laptop();
  write(at, "cloudflared.json", [
    '{"AccountTag":"a","TunnelSecret":"c2VjcmV0","TunnelID":"6a1f0000-0000-4000-8000-000000000000"}',
  ]);
  write(at, "config.yml", [
    "tunnel: 6a1f0000-0000-4000-8000-000000000000",
    "credentials-file: cloudflared.json",
    "ingress:",
    "  - service: http_status:404",
  ]);
  await type(at, ["tunnel", "run"], { code: 3 });
}

/** What people write, and what it is called. */
const FILES: readonly (readonly [what: string, lines: readonly string[]])[] = [
  ["a tab", ["ingress:", "\t- hostname: app.example.com", "\t  service: http://localhost:8000"]],
  [
    "an unquoted *",
    [
      "ingress:",
      "  - hostname: *.example.com",
      "    service: http://localhost:8000",
      "  - service: http_status:404",
    ],
  ],
  [
    "a service with a path",
    [
      "ingress:",
      "  - hostname: app.example.com",
      "    service: http://localhost:8000/app",
      "  - service: http_status:404",
    ],
  ],
  [
    "no last rule",
    ["ingress:", "  - hostname: app.example.com", "    service: http://localhost:8000"],
  ],
  [
    "no scheme, a key misspelt, a duration without a unit",
    [
      "ingress:",
      "  - hostname: app.example.com",
      "    service: localhost:8000",
      "    originRequest: {noTlsVerify: true, connectTimeout: 30}",
      "  - service: http_status:404",
    ],
  ],
];
for (const [what, lines] of FILES) {
  title(`config.yml: ${what}`);
  const at = laptop();
  write(at, "config.yml", [`tunnel: ${id}`, ...lines]);
  await type(at, ["ingress", "validate"], { code: 3 });
}
