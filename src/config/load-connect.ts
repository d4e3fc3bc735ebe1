// This file is the way from flags, variables and `config.yml` to what a connector runs with. product.md §2.2, §3.2, §4, §5.
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { TunlError } from "../errors.ts";
import { VERSION } from "./build.ts";
import { joinLine } from "./checks.ts";
import { checkFile, readText } from "./files.ts";
import { readConnectorFile } from "./ingress/file.ts";
import type { ConnectorFile } from "./ingress/file.ts";
import {
  CaPools,
  findConnectorFile,
  judgeCredentials,
  ownPlace,
  searchedPlaces,
} from "./ingress/place.ts";
import { ORIGIN_DRAFT } from "./ingress/origin.ts";
import { parseTarget } from "./ingress/target.ts";
import type { IngressOptions, OriginRequestOptions } from "./ingress/types.ts";
import { isOn, logOptions, must, shortEnough } from "./load.ts";
import type { Loaded, LoadInput } from "./load.ts";
import { flagText } from "./option.ts";
import { OPTIONS } from "./options.ts";
import { places, showPath } from "./paths.ts";
import { ConfigError } from "./report.ts";
import type { Problem, Source } from "./report.ts";
import { Settings, usage } from "./settings.ts";
import { tokenSource } from "./token-source.ts";
import type { ConnectorOptions } from "./types.ts";
import { resolvePath } from "./values.ts";

/** The commands that run a connector. */
export type ConnectCommand = "connect" | "tunnel run";

/** A file of the connector that was found and read. */
interface Given {
  readonly path: string;
  readonly source: Source;
  readonly file: ConnectorFile;
  readonly problems: Problem[];
}

/**
 * Reads what `tunl connect` and `tunl tunnel run` run with.
 *
 * @param target TARGET; undefined: what the configuration file says.
 * @throws TunlError `USAGE`, `BAD_JOIN_LINE`, `TARGET_INVALID`, `TARGET_UNSUPPORTED`, `SOCKET_PATH_TOO_LONG`;
 *   ConfigError for a file that is wrong, with all that is wrong in it.
 */
export function loadConnect(
  input: LoadInput,
  target: string | undefined,
  pid: number,
  command: ConnectCommand = "connect",
): Loaded<ConnectorOptions> {
  const found = places(input.surroundings);
  const given = readGiven(input, target);
  if (given === undefined && target === undefined)
    throw nothingToServe(input, command, input.flags.get("tunnel")?.[0]);
  const settings = new Settings({
    command,
    flags: input.flags,
    environment: input.surroundings.environment,
    directory: input.directory,
    home: found.home,
    placed:
      given === undefined
        ? undefined
        : { file: given.file, of: "config.yml", directory: dirname(given.path) },
  });
  const pools = new CaPools();
  const ingress = ingressOf(settings, { given, target, pools });
  const typedCredentials = settings.text("credentials");
  const credentials = given?.file.credentials;
  const token = tokenSource(settings, input.surroundings.environment, given?.file.token);
  if (given !== undefined) {
    given.problems.push(...settings.problems, ...pools.problems);
    const isSure = typedCredentials ?? settings.text("join") ?? token;
    if (isSure === undefined) given.problems.push(...judgeCredentials(given.file, found.home));
    if (given.problems.some(({ severity }) => severity === "error"))
      throw new ConfigError(given.source, given.problems);
  }
  const family = settings.text("edge-ip");
  const options: ConnectorOptions = {
    version: VERSION,
    ingress,
    join: token === undefined ? joinLine(settings) : undefined,
    token,
    edge: settings.address("edge"),
    tunnel: settings.text("tunnel"),
    isTunnelTyped: isTyped(settings, "tunnel"),
    credentialsPath: typedCredentials ?? credentials?.file?.path,
    credentialsText: typedCredentials === undefined ? credentials?.contents : undefined,
    fingerprint: given?.file.fingerprint,
    name: settings.text("name"),
    hosts: settings.texts("host"),
    edgeFamily: family === "4" ? 4 : family === "6" ? 6 : "auto",
    waitMs: settings.number("wait"),
    forMs: settings.number("for"),
    graceMs: must(settings, "grace"),
    label: settings.text("label") ?? hostname(),
    edgesDirectory: found.edges,
    controlPath: shortEnough(
      join(found.sockets, `connect-${pid}.sock`),
      "Set a shorter TUNL_HOME or XDG_RUNTIME_DIR",
    ),
    pidPath: settings.text("pidfile"),
    accessLog: isOn(settings.text("access-log"), input.isTerminal),
    tags: given?.file.tags ?? [],
    mostLinks: given?.file.mostLinks,
    kernelTuning: given?.file.kernelTuning ?? true,
  };
  return {
    options,
    // Rules mean several names or several services: request lines for people say which.
    log: logOptions(settings, input, ingress.rules.length > 1),
    configName: given?.source.name,
    ...(given !== undefined && {
      warnings: { source: given.source, problems: given.problems },
      notes: given.file.notes,
    }),
  };
}

/** `--config`, or without TARGET the first file of the search order; never one of the working directory (S-76). */
function readGiven(
  { flags, surroundings, directory }: LoadInput,
  target: string | undefined,
): Given | undefined {
  const { home } = surroundings;
  const typed = flags.get("config")?.at(-1) ?? surroundings.environment["TUNL_CONFIG"];
  const chosen =
    typed === undefined || typed === "" ? undefined : resolvePath(typed, { directory, home });
  const path = chosen ?? (target === undefined ? findConnectorFile(surroundings) : undefined);
  if (path === undefined) return undefined;
  const source = { name: showPath(path, home), text: readText(path, showPath(path, home)) };
  const mode = checkFile(path, "config", "This file").map((problem) => ({
    ...problem,
    hint: `Run chmod o-w ${showPath(path, home)}`,
  }));
  const file = readConnectorFile(source.text, {
    directory: dirname(path),
    home,
    isJson: false,
    isStarting: true,
  });
  const problems = [...mode, ...file.problems];
  // Where nothing could be read, nothing else can be said.
  if (!file.isReadable) throw new ConfigError(source, problems);
  return { path, source, file, problems };
}

function nothingToServe(
  { surroundings }: LoadInput,
  command: ConnectCommand,
  tunnel: string | undefined,
): TunlError {
  const as = tunnel === undefined ? "" : ` --tunnel ${tunnel}`;
  return usage({
    message: `tunl ${command} has no TARGET, and there is no config.yml in ${searchedPlaces(surroundings)}`,
    hint: `Say what to serve, such as tunl connect 8000${as}, or write ${ownPlace(surroundings)}`,
  });
}

/** TARGET, or the rules of the file. */
function ingressOf(
  settings: Settings,
  {
    given,
    target,
    pools,
  }: { given: Given | undefined; target: string | undefined; pools: CaPools },
): IngressOptions {
  if (target !== undefined || given === undefined) {
    if (given?.file.hasIngress === true)
      given.problems.push({
        severity: "warning",
        code: "NO_EFFECT",
        message: `The rules of this file have no effect beside TARGET ${JSON.stringify(target)}`,
      });
    const origin = pools.origin(given?.file.origin ?? ORIGIN_DRAFT);
    const rule = {
      hostname: "",
      path: undefined,
      service: parseTarget(target ?? ""),
      originRequest: withFlags(settings, origin),
      allowAmbiguousPaths: false,
    };
    return { rules: [rule], file: undefined };
  }
  const rules = given.file.rules.map((draft) => pools.rule(draft));
  if (!given.file.hasIngress)
    return {
      rules: rules.map((rule) => ({
        ...rule,
        originRequest: withFlags(settings, rule.originRequest),
      })),
      file: given.path,
    };
  refuseOriginFlags(settings, given.source.name);
  return { rules, file: given.path };
}

/** Flags about the one service, over what the file says of it. */
function withFlags(settings: Settings, origin: OriginRequestOptions): OriginRequestOptions {
  const ca = settings.text("ca");
  const host = settings.text("host-header");
  const isHostTyped = isTyped(settings, "host-header");
  return {
    ...origin,
    ...(isHostTyped && {
      hostHeader:
        host === "keep" || host === "origin"
          ? { kind: host }
          : { kind: "value", value: host ?? "" },
    }),
    ...(ca !== undefined && { caPool: readText(ca, "--ca") }),
    originServerName: settings.text("origin-server-name") ?? origin.originServerName,
    noTlsVerify: isTyped(settings, "tls-verify")
      ? !settings.isOn("tls-verify")
      : origin.noTlsVerify,
  };
}

const ORIGIN_KEYS: Readonly<Record<string, string>> = {
  "host-header": "httpHostHeader",
  "tls-verify": "noTLSVerify",
  ca: "caPool",
  "origin-server-name": "originServerName",
};

/** With several rules nobody knows which one a flag means. */
function refuseOriginFlags(settings: Settings, name: string): void {
  for (const [flag, key] of Object.entries(ORIGIN_KEYS)) {
    if (!isTyped(settings, flag)) continue;
    const option = OPTIONS.find((row) => row.flag === flag);
    throw usage({
      message: `${option === undefined ? flag : flagText(option)} is for one TARGET, and ${name} has rules`,
      hint: `Write ${key} in originRequest of a rule, or of the top level for every rule`,
    });
  }
}

function isTyped(settings: Settings, flag: string): boolean {
  const origin = settings.origin(flag);
  return origin === "flag" || origin === "variable";
}
