// This file is how a program gets a network and mounts of its own, where the system allows it.
import { isInstalled } from "../../binary/program.ts";

const UNSHARE = [
  "unshare",
  "--net",
  "--mount",
  ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"]),
];

/** What stands before the command of a program that gets its own network and mounts. */
export const IN_NAMESPACE: readonly string[] = UNSHARE;

/** Every program of a world; each that is missing is said with its Debian package. */
const PROGRAMS: readonly (readonly [program: string, debianPackage: string])[] = [
  ["ip", "iproute2"],
  ["named", "bind9"],
  ["nsupdate", "bind9-dnsutils"],
  ["pebble", "pebble"],
  ["openssl", "openssl"],
  ["curl", "curl"],
];

/** True if worlds can be made here; else a line says what is missing. */
export function canMakeWorlds(): boolean {
  if (process.platform !== "linux") {
    console.warn("Skipped: network namespaces are of Linux");
    return false;
  }
  const areThere = PROGRAMS.map(([program, name]) => isInstalled(program, name));
  if (areThere.includes(false)) return false;
  const isAllowed = Bun.spawnSync([
    ...UNSHARE,
    "mount",
    "--bind",
    "/etc/hosts",
    "/etc/hosts",
  ]).success;
  if (!isAllowed) console.warn("Skipped: network and mount namespaces are not allowed here");
  return isAllowed;
}
