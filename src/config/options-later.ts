// This file is the rows of the option table that this build does not have: known names, refused by name. product.md, first paragraph.
import { CONNECT, EDGE } from "./option.ts";
import type { CommandName, Option } from "./option.ts";

/** Known flags that this build does not have: names, not yet rows. */
export const LATER_FLAGS: readonly Option[] = [
  ...laterFlags(1, EDGE, "resume"),
  ...laterFlags(2, EDGE, "metrics dashboard trusted-proxy proxy-protocol tcp-ports udp-ports"),
  ...laterFlags(1, CONNECT, "links ha proxy"),
  ...laterFlags(
    2,
    CONNECT,
    "bind http2-origin passthrough private exclusive tcp udp basic-auth-file allow-ip login allow-email inspect metrics",
  ),
  ...laterFlags(1, ["status"], "watch"),
  ...laterFlags(1, ["version"], "licenses"),
];

/** Known keys that this build does not have; a group stands for everything in it. */
export const LATER_KEYS: readonly Option[] = [
  ...laterKeys(1, "install resume hosts"),
  ...laterKeys(
    2,
    "dns.exec dns.self adminTokenFile adminRemote ports policies identity mail trustedProxies proxyProtocol limits.requests limits.bandwidth metrics dashboard",
  ),
  ...laterKeys(3, "store"),
];

function laterFlags(phase: 1 | 2 | 3, commands: readonly CommandName[], names: string): Option[] {
  return names.split(" ").map((flag) => ({
    flag,
    commands,
    kind: "text",
    about: "",
    phase,
    isBuilt: false,
  }));
}

function laterKeys(phase: 1 | 2 | 3, names: string): Option[] {
  return names
    .split(" ")
    .map((key) => ({ key, commands: [], kind: "text", about: "", phase, isBuilt: false }));
}
