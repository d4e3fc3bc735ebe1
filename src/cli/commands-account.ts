// This file is the rows of the table of commands for accounts, tunnels and names. product.md §2.3.
import type { CommandRow, Positional } from "./commands.ts";

const TUNNEL: Positional = { name: "NAME", about: "Name or UUID of the tunnel", isNeeded: true };

export const ACCOUNT_COMMANDS: readonly CommandRow[] = [
  {
    name: "login",
    summary: "Makes this machine an account that may create tunnels",
    positionals: [
      {
        name: "LINE",
        about: "What tunl edge invite --account printed on the edge; it works once",
        isNeeded: true,
        takesLine: true,
      },
    ],
    examples: ["tunl login tunl://example.com/FINGERPRINT/CODE"],
  },
  {
    name: "tunnel create",
    summary: "Makes a tunnel: its key is made here, registered at the edge, and kept in a file",
    positionals: [
      { name: "NAME", about: "1 to 56 of a-z, 0-9 and - between them", isNeeded: true },
    ],
    examples: [
      "tunl tunnel create my-tunnel",
      "tunl tunnel create my-tunnel --host myapp.example.com",
    ],
  },
  {
    name: "tunnel list",
    summary: "Lists the tunnels of the account",
    positionals: [],
    examples: ["tunl tunnel list", "tunl tunnel list --json"],
  },
  {
    name: "tunnel info",
    summary: "Shows keys, connectors and names of a tunnel",
    positionals: [TUNNEL],
    examples: ["tunl tunnel info my-tunnel"],
  },
  {
    name: "tunnel run",
    summary: "Runs the private end with its configuration file, as the tunnel named",
    positionals: [{ name: "NAME", about: "Name or UUID of the tunnel; as --tunnel" }],
    examples: ["tunl tunnel run my-tunnel", "tunl tunnel run"],
  },
  {
    name: "tunnel delete",
    summary: "Deletes tunnels with their keys, names and DNS records",
    positionals: [{ ...TUNNEL, isList: true }],
    examples: ["tunl tunnel delete my-tunnel", "tunl tunnel delete my-tunnel --force --yes"],
  },
  {
    name: "tunnel rotate",
    summary: "Renews this machine's key of a tunnel, or ends others at once",
    positionals: [TUNNEL],
    examples: [
      "tunl tunnel rotate my-tunnel",
      "tunl tunnel rotate my-tunnel --key nas",
      "tunl tunnel rotate my-tunnel --all --overlap 0",
    ],
  },
  {
    name: "tunnel token",
    summary: "Makes a static token: a key in one word, for containers",
    positionals: [TUNNEL],
    examples: [
      "tunl tunnel token my-tunnel --label nas --output ./tunl.token",
      "tunl tunnel token my-tunnel --ttl 30d --host myapp.example.com",
    ],
  },
  {
    name: "route dns",
    summary: "Gives a name to a tunnel: the grant, the DNS record, the certificate",
    positionals: [TUNNEL, { name: "HOST", about: "Full public name, or *.x", isNeeded: true }],
    examples: [
      "tunl route dns my-tunnel myapp.example.com",
      "tunl route dns my-tunnel shop.customer.org --timeout 1h",
    ],
  },
  {
    name: "route list",
    summary: "Lists names: who serves them, DNS, certificates",
    positionals: [{ name: "TUNNEL", about: "Names of this tunnel only" }],
    examples: ["tunl route list", "tunl route list my-tunnel --json"],
  },
  {
    name: "route delete",
    summary: "Takes a name from its tunnel; it is free again",
    positionals: [{ name: "HOST", about: "The name, such as myapp.example.com", isNeeded: true }],
    examples: ["tunl route delete myapp.example.com"],
  },
];
