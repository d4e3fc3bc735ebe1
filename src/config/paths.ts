// This file is where files live when nobody says otherwise. product.md §5.
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { TunlError } from "../errors.ts";

/** What the places depend on; an argument, so that tests need no other user. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
  readonly platform: string;
  readonly home: string;
}

/** Directories, absolute. */
export interface Places {
  readonly config: string;
  readonly state: string;
  /** Control sockets: `edge.sock`, `connect-<pid>.sock`. */
  readonly sockets: string;
  /** The connector's files, one directory per edge. */
  readonly edges: string;
  /** Home of `~`. */
  readonly home: string;
}

/** Longest path of a unix socket in bytes: `sun_path` of 108 with its final NUL, unix(7). */
export const MAX_SOCKET_PATH = 107;

/** The surroundings of this process. */
export function surroundings(): Surroundings {
  return {
    environment: process.env,
    isRoot: process.getuid?.() === 0,
    platform: process.platform,
    home: homedir(),
  };
}

/**
 * Chooses the directories.
 *
 * @throws TunlError `USAGE` for a relative TUNL_HOME: nothing is ever looked up in the working directory (S-76).
 */
export function places({ environment, isRoot, platform, home }: Surroundings): Places {
  const own = environment["TUNL_HOME"];
  if (own !== undefined && own !== "") {
    if (!isAbsolute(own)) {
      throw new TunlError("USAGE", `TUNL_HOME is "${own}", expected an absolute path`, {
        hint: `Set TUNL_HOME=${resolve(own)}`,
      });
    }
    return {
      config: own,
      state: join(own, "state"),
      sockets: join(own, "run"),
      edges: join(own, "edges"),
      home,
    };
  }
  if (isRoot) {
    const isMac = platform === "darwin";
    const config = isMac ? "/usr/local/etc/tunl" : "/etc/tunl";
    const state = isMac ? "/usr/local/var/tunl" : "/var/lib/tunl";
    return {
      config,
      state,
      sockets: isMac ? "/var/run/tunl" : "/run/tunl",
      edges: join(config, "edges"),
      home,
    };
  }
  const config = join(absolute(environment["XDG_CONFIG_HOME"]) ?? join(home, ".config"), "tunl");
  const state = join(
    absolute(environment["XDG_STATE_HOME"]) ?? join(home, ".local", "state"),
    "tunl",
  );
  const runtime = absolute(environment["XDG_RUNTIME_DIR"]);
  return {
    config,
    state,
    sockets: runtime === undefined ? state : join(runtime, "tunl"),
    edges: join(config, "edges"),
    home,
  };
}

/**
 * Directories in which the connector's file is looked for, in this order: the user's, the system's, cloudflared's. The
 * working directory is never one of them (S-76).
 */
export function connectorDirectories(surroundings: Surroundings): readonly string[] {
  const { environment, home, platform } = surroundings;
  const own = places(surroundings).config;
  // TUNL_HOME moves everything: what lies elsewhere on this machine belongs to somebody else then.
  if ((environment["TUNL_HOME"] ?? "") !== "") return [own];
  const system = platform === "darwin" ? "/usr/local/etc/tunl" : "/etc/tunl";
  const all = [
    own,
    system,
    join(home, ".cloudflared"),
    "/etc/cloudflared",
    "/usr/local/etc/cloudflared",
  ];
  return [...new Set(all)];
}

/** Writes a path the way people do: with `~` for the home directory. */
export function showPath(path: string, home: string): string {
  return home !== "/" && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}

/** The XDG base directory specification: relative values are invalid and ignored. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
