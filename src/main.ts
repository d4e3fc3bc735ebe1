// This file is the program: it knows which file holds which command, and loads that one only.
import { run } from "./cli/index.ts";

const code = await run(process.argv.slice(2), {
  edge: async () => (await import("./cli/edge.ts")).default,
  "edge invite": async () => (await import("./cli/invite.ts")).default,
  "edge grant": async () => (await import("./cli/grant.ts")).default,
  "edge revoke": async () => (await import("./cli/revoke.ts")).default,
  "edge repair": async () => (await import("./cli/repair.ts")).default,
  "edge check": async () => (await import("./cli/edge-check.ts")).default,
  connect: async () => (await import("./cli/connect.ts")).default,
  login: async () => (await import("./cli/login.ts")).default,
  "tunnel create": async () => (await import("./cli/tunnel-create.ts")).default,
  "tunnel list": async () => (await import("./cli/tunnel-list.ts")).list,
  "tunnel info": async () => (await import("./cli/tunnel-list.ts")).info,
  "tunnel delete": async () => (await import("./cli/tunnel-delete.ts")).default,
  "tunnel rotate": async () => (await import("./cli/tunnel-rotate.ts")).default,
  "tunnel token": async () => (await import("./cli/tunnel-token.ts")).default,
  "route dns": async () => (await import("./cli/route-dns.ts")).default,
  "route list": async () => (await import("./cli/route.ts")).list,
  "route delete": async () => (await import("./cli/route.ts")).remove,
  "tunnel run": async () => (await import("./cli/tunnel-run.ts")).default,
  "ingress validate": async () => (await import("./cli/ingress-validate.ts")).default,
  "ingress rule": async () => (await import("./cli/ingress-rule.ts")).default,
  "config check": async () => (await import("./cli/config-check.ts")).default,
  status: async () => (await import("./cli/status.ts")).default,
  version: async () => (await import("./cli/version.ts")).default,
});
process.exit(code);
