// This file is the way from the user's words to what a command runs with: read, parse, validate, look at every named file. product.md §4.
import { dirname, join } from "node:path";
import { TunlError } from "../errors.ts";
import { certificateOptions } from "./certificates.ts";
import { checkListeners } from "./checks.ts";
import { readDns } from "./dns.ts";
import { readEdgeFile } from "./edge.ts";
import type { EdgeFile } from "./edge.ts";
import { checkFile, findFile, readText } from "./files.ts";
import { COMMAND_NAMES } from "./option.ts";
import type { CommandName } from "./option.ts";
import { MAX_SOCKET_PATH, places, showPath } from "./paths.ts";
import type { Places, Surroundings } from "./paths.ts";
import { ConfigError } from "./report.ts";
import type { Problem, Source } from "./report.ts";
import { Settings, usage } from "./settings.ts";
import type { Flags, PlacedFile } from "./settings.ts";
import type {
  EdgeOptions,
  InviteOptions,
  LogOptions,
  NameOptions,
  OwnerOptions,
  RepairOptions,
} from "./types.ts";
import { resolvePath } from "./values.ts";
import { VERSION } from "./build.ts";

/** What a command was given, and where. */
export interface LoadInput {
  readonly flags: Flags;
  readonly surroundings: Surroundings;
  /** Where the command was typed. */
  readonly directory: string;
  /** True when a person is watching stderr. */
  readonly isTerminal: boolean;
}

/** What a command runs with. */
export interface Loaded<Options> {
  readonly options: Options;
  readonly log: LogOptions;
  /** The configuration file that was used, as shown to people. */
  readonly configName: string | undefined;
  /** What is worth knowing about that file and lets the program start. */
  readonly warnings?: { readonly source: Source; readonly problems: readonly Problem[] };
  /** What stands in it without effect; for level debug. */
  readonly notes?: readonly string[];
}

interface Reading {
  readonly settings: Settings;
  readonly places: Places;
  readonly placed: (PlacedFile & { readonly file: EdgeFile }) | undefined;
  readonly source: Source | undefined;
  readonly problems: Problem[];
}

/**
 * Reads what `tunl edge` runs with.
 *
 * @throws TunlError `USAGE` (flag, variable, both listeners on one port), ConfigError `CONFIG_INVALID` (file),
 *   `SOCKET_PATH_TOO_LONG`.
 */
export function loadEdge(input: LoadInput): Loaded<EdgeOptions> {
  const reading = read("edge", input);
  const { settings, problems } = reading;
  const certificates = certificateOptions({ ...reading, directory: input.directory });
  const dns = readDns({ ...reading, environment: input.surroundings.environment });
  finish(reading, problems);
  checkListeners(settings);
  const options: EdgeOptions = {
    version: VERSION,
    domains: [...new Set(settings.texts("domains"))],
    stateDirectory: settings.text("state") ?? reading.places.state,
    adminPath: adminPath(reading),
    listen: settings.address("listen") ?? { host: undefined, port: 443 },
    http: settings.address("http"),
    certificates,
    minVersion: settings.text("certificates.minVersion") === "1.3" ? "TLSv1.3" : "TLSv1.2",
    holdMs: must(settings, "hold"),
    graceMs: must(settings, "grace"),
    kernelTuning: settings.text("kernelTuning") !== "off",
    limits: {
      connectionsPerIp: settings.number("limits.connectionsPerIp"),
      connectorsPerTunnel: must(settings, "limits.connectorsPerTunnel"),
      memory: settings.number("limits.memory"),
      acceptPerIp: acceptLimit(reading),
      concurrent: must(settings, "limits.concurrent"),
      bodyBytes: settings.number("limits.bodyBytes"),
      headerBytes: must(settings, "limits.headerBytes"),
      headerFields: must(settings, "limits.headerFields"),
      targetBytes: must(settings, "limits.targetBytes"),
    },
    timeouts: {
      clientHelloMs: must(settings, "timeouts.clientHello"),
      handshakeMs: must(settings, "timeouts.handshake"),
      headMs: must(settings, "timeouts.head"),
      idleMs: must(settings, "timeouts.idle"),
      bodyIdleMs: must(settings, "timeouts.bodyIdle"),
      firstByteMs: must(settings, "timeouts.firstByte"),
      writeStallMs: must(settings, "timeouts.writeStall"),
      upgradeIdleMs: must(settings, "timeouts.upgradeIdle"),
    },
    names: nameOptions(reading),
    dns,
    accessLog: isOn(settings.text("log.access"), input.isTerminal),
  };
  return { options, log: logOptions(settings, input, true), configName: reading.source?.name };
}

/** Reads what `tunl edge invite` asks for. @throws as `loadOwner`. */
export function loadInvite(input: LoadInput): InviteOptions {
  const reading = read("edge invite", input);
  const { settings } = reading;
  const isAccount = settings.isOn("account");
  const [given, other] = isAccount ? ["scope", "host"] : ["host", "scope"];
  if (settings.texts(other as string).length > 0) {
    throw usage({
      message: `--${other} is given ${isAccount ? "with" : "without"} --account`,
      hint: `Write --${given} for ${isAccount ? "what an account's tunnels may claim" : "the names of a join line"}`,
    });
  }
  return {
    adminPath: adminPath(reading),
    isJson: settings.isOn("json"),
    name: settings.text("name"),
    hosts: settings.texts(given as string),
    ttlMs: must(settings, "ttl"),
    uses: must(settings, "uses"),
    isAccount,
  };
}

/** Reads what `tunl edge repair` works on. @throws TunlError `USAGE`, ConfigError. */
export function loadRepair(input: LoadInput): RepairOptions {
  const { settings, places: found } = read("edge repair", input);
  return {
    stateDirectory: settings.text("state") ?? found.state,
    isJson: settings.isOn("json"),
    isYes: settings.isOn("yes"),
  };
}

/** Commands that only need to know where to ask. */
export type OwnerCommand = "status" | "edge grant" | "edge revoke";

/** Reads where the control sockets are. @throws TunlError `USAGE`, `SOCKET_PATH_TOO_LONG`, ConfigError. */
export function loadOwner(command: OwnerCommand, input: LoadInput): OwnerOptions {
  const reading = read(command, input);
  const { settings, places: found } = reading;
  const isChosen = settings.origin("admin") !== undefined;
  return {
    adminPath: adminPath(reading),
    isJson: settings.isOn("json"),
    socketDirectory: isChosen ? undefined : found.sockets,
  };
}

/** Commands that read `edge.yml`. */
const OF_EDGE: readonly CommandName[] = COMMAND_NAMES.filter(
  (name) => name === "status" || name.split(" ")[0] === "edge",
);

function read(command: CommandName, { flags, surroundings, directory }: LoadInput): Reading {
  const found = places(surroundings);
  const isEdge = OF_EDGE.includes(command);
  const typed =
    flags.get("config")?.at(-1) ?? (isEdge ? surroundings.environment["TUNL_CONFIG"] : undefined);
  const chosen =
    typed === undefined || typed === ""
      ? undefined
      : resolvePath(typed, { directory, home: found.home });
  const path = isEdge ? (chosen ?? findFile(found.config, ["edge.yml", "edge.yaml"])) : undefined;
  const source =
    path === undefined
      ? undefined
      : { name: showPath(path, found.home), text: readText(path, showPath(path, found.home)) };
  // The place in front of these problems is the path of this very file.
  const problems: Problem[] =
    path === undefined
      ? []
      : checkFile(path, "config", "This file").map((problem) => ({
          ...problem,
          hint: `Run chmod o-w ${showPath(path, found.home)}`,
        }));
  const file = source === undefined ? undefined : readEdgeFile(source.text);
  const placed =
    file === undefined || path === undefined
      ? undefined
      : { file, of: "edge.yml" as const, directory: dirname(path) };
  const settings = new Settings({
    command,
    flags,
    environment: surroundings.environment,
    directory,
    home: found.home,
    placed,
  });
  const reading: Reading = {
    settings,
    places: found,
    placed,
    source,
    problems: [...problems, ...(file?.problems ?? []), ...settings.problems],
  };
  // The other commands need two keys of the file: what else is wrong in it is the edge's business.
  if (command !== "edge" && file?.isReadable === false) finish(reading, reading.problems);
  return reading;
}

/** All or nothing: with one error the configuration is not used at all. */
function finish({ source }: Reading, problems: readonly Problem[]): void {
  if (source !== undefined && problems.length > 0) throw new ConfigError(source, problems);
}

function nameOptions({ settings, placed }: Reading): NameOptions {
  return {
    reserved: settings.texts("names.reserved"),
    claim: settings.text("names.claim") as NameOptions["claim"],
    style: settings.isOn("names.random")
      ? (settings.text("names.style") as NameOptions["style"])
      : undefined,
    keepMs: must(settings, "names.keep"),
    fixed: placed?.file.grants ?? [],
  };
}

function acceptLimit({ settings, placed }: Reading): EdgeOptions["limits"]["acceptPerIp"] {
  if (placed?.file.values.has("limits.acceptPerIp")) return undefined;
  return {
    perSecond: must(settings, "limits.acceptPerIp.rate"),
    burst: must(settings, "limits.acceptPerIp.burst"),
  };
}

function adminPath({ settings, places: found }: Reading): string {
  // Where no runtime directory exists the socket lies in the state directory, and that may have been chosen.
  const isInState = found.sockets === found.state;
  const directory = isInState ? (settings.text("state") ?? found.state) : found.sockets;
  return shortEnough(
    settings.text("admin") ?? join(directory, "edge.sock"),
    "Choose a shorter one with --admin unix:PATH",
  );
}

export function shortEnough(path: string, hint: string): string {
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_SOCKET_PATH) return path;
  throw new TunlError(
    "SOCKET_PATH_TOO_LONG",
    `Path of the control socket has ${bytes} bytes, allowed ${MAX_SOCKET_PATH}: "${path}"`,
    { hint },
  );
}

/** Where log lines of a command go and how they look. */
export function logOptions(
  settings: Settings,
  { isTerminal, surroundings }: LoadInput,
  showsHosts: boolean,
): LogOptions {
  const file = settings.text("log.file");
  const format = settings.text("log.format") ?? "auto";
  const automatic = isTerminal && file === undefined ? "pretty" : "text";
  const { NO_COLOR, FORCE_COLOR } = surroundings.environment;
  const isForced = FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0";
  // https://no-color.org: set and not empty; a flag is the user's last word.
  const isRefused = (NO_COLOR !== undefined && NO_COLOR !== "") || FORCE_COLOR === "0";
  const isAsked = settings.origin("color") === "default" ? !isRefused : settings.isOn("color");
  return {
    level: levelOf(settings.text("log.level")),
    format: format === "pretty" || format === "text" || format === "json" ? format : automatic,
    file,
    isColored: isAsked && (isForced || (isTerminal && file === undefined)),
    showsHosts,
  };
}

function levelOf(text: string | undefined): LogOptions["level"] {
  return text === "error" || text === "warn" || text === "debug" || text === "trace"
    ? text
    : "info";
}

export function isOn(word: string | undefined, isTerminal: boolean): boolean {
  return word === "on" || (word !== "off" && isTerminal);
}

export function must(settings: Settings, name: string): number {
  const value = settings.number(name);
  if (value === undefined) throw new TunlError("BUG", `BUG: ${name} has no default`);
  return value;
}
