// This file is what commands of an account run with: their values, the edge they mean, where its files lie. product.md §2.3.
import { hostname } from "node:os";
import { VERSION } from "./build.ts";
import { logOptions, type LoadInput } from "./load.ts";
import type { CommandName } from "./option.ts";
import { places } from "./paths.ts";
import { Settings } from "./settings.ts";
import type { LogOptions } from "./types.ts";
import type { Address } from "./values.ts";

/** What every command of an account needs to know. */
export interface AccountOptions {
  readonly version: string;
  /** Name of this machine. */
  readonly label: string;
  /** undefined: the one logged in to last. */
  readonly edge: Address | undefined;
  /** Directory of the files `<host>[_port]/`. */
  readonly edgesDirectory: string;
  /** What `~` means. */
  readonly home: string;
  /** How long an edge that is away is dialled. */
  readonly waitMs: number;
  readonly isJson: boolean;
  /** True: questions are answered with yes. */
  readonly isYes: boolean;
  readonly log: LogOptions;
  /** The values that only this command has. */
  readonly settings: Settings;
}

/** Reads what a command of an account runs with. No file is read: flags and variables are all. @throws TunlError `USAGE`. */
export function loadAccount(command: CommandName, input: LoadInput): AccountOptions {
  const { flags, surroundings, directory } = input;
  const { edges, home } = places(surroundings);
  const { environment } = surroundings;
  const settings = new Settings({
    command,
    flags,
    environment,
    directory,
    home,
    placed: undefined,
  });
  return {
    version: VERSION,
    label: hostname(),
    edge: settings.address("edge"),
    edgesDirectory: edges,
    home,
    waitMs: settings.number("wait") ?? 0,
    isJson: settings.isOn("json"),
    isYes: settings.isOn("yes"),
    log: logOptions(settings, input, false),
    settings,
  };
}
