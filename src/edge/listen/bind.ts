// This file is how a public port is bound: both address families, and errors that name who has the port. product.md §8.
import { readdir, readFile, readlink } from "node:fs/promises";
import type { Server } from "node:net";
import { TunlError } from "../../errors.ts";

/** Where to listen. Without a host: IPv6 and IPv4, or IPv4 alone where the machine has no IPv6. */
export interface ListenAddress {
  readonly host?: string;
  readonly port: number;
}

/** Codes of a machine that has no IPv6, by system. */
const NO_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EINVAL", "EPROTONOSUPPORT"]);

/**
 * Binds the server.
 *
 * @param option Command line option that moves this listener elsewhere, for the hint: `--listen`.
 * @throws TunlError `PORT_IN_USE`, `PORT_FORBIDDEN`, or `LISTEN_FAILED` for anything else, with what to do.
 */
export async function bind(server: Server, listen: ListenAddress, option: string): Promise<void> {
  try {
    await listenOnce(server, listen.host ?? "::", listen.port);
  } catch (error) {
    if (listen.host !== undefined || !NO_IPV6.has(codeOf(error)))
      throw await explain(error, listen, option);
    try {
      await listenOnce(server, "0.0.0.0", listen.port);
    } catch (second) {
      throw await explain(second, listen, option);
    }
  }
}

function listenOnce(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: false }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function explain(error: unknown, listen: ListenAddress, option: string): Promise<TunlError> {
  const where = `${formatHost(listen.host)}:${listen.port}`;
  switch (codeOf(error)) {
    case "EADDRINUSE": {
      const owner = await findListener(listen.port);
      return new TunlError("PORT_IN_USE", `${where} is used by ${owner ?? "another process"}`, {
        cause: error,
        hint: `Stop it, or use ${option} ${elsewhere(listen, option)}`,
      });
    }
    case "EACCES":
    case "EPERM":
      return new TunlError("PORT_FORBIDDEN", `Binding ${where} needs more rights`, {
        cause: error,
        hint: `Run with sudo, or setcap cap_net_bind_service=+ep ${process.execPath}`,
      });
    case "EADDRNOTAVAIL":
      return new TunlError(
        "LISTEN_FAILED",
        `Binding ${where} failed: this machine does not have that address`,
        { cause: error, hint: `Choose an address of this machine with ${option}, or none for all` },
      );
    default:
      return new TunlError("LISTEN_FAILED", `Binding ${where} failed: ${codeOf(error)}`, {
        cause: error,
        hint: `Choose an address of this machine with ${option}`,
      });
  }
}

/** The usual other port of each listener, on the same address; never the one that is taken. */
function elsewhere({ host, port }: ListenAddress, option: string): string {
  const usual = option === "--http" ? 8080 : 8443;
  return `${formatHost(host)}:${port === usual ? usual + 1 : usual}`;
}

function formatHost(host: string | undefined): string {
  if (host === undefined) return "";
  return host.includes(":") ? `[${host}]` : host;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : "unknown";
}

const LISTEN_STATE = "0A";

/** `nginx (pid 812)`, as far as /proc shows it: without root only processes of the same user. */
async function findListener(port: number): Promise<string | undefined> {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of (await readFile(table, "utf8").catch(() => "")).split("\n").slice(1)) {
      // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
      const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
      const isSame = Number.parseInt(local.split(":")[1] ?? "", 16) === port;
      if (isSame && state === LISTEN_STATE && inode !== undefined) inodes.add(`socket:[${inode}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    // A process that ended meanwhile, or belongs to somebody else, shows no descriptors.
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (!inodes.has(target)) continue;
      const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "a process");
      return `${name.trim()} (pid ${pid})`;
    }
  }
  return undefined;
}
