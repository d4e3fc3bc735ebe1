// This file is the flags of commands that need no configuration of their own.
import type { LoadInput } from "./load.ts";
import { logOptions } from "./load.ts";
import type { CommandName } from "./option.ts";
import { Settings } from "./settings.ts";

/** What such a command was given. */
export interface PlainFlags {
  readonly isJson: boolean;
  readonly isStrict: boolean;
  readonly isColored: boolean;
}

/** Reads and judges the flags. @throws TunlError `USAGE`. */
export function loadFlags(command: CommandName, input: LoadInput): PlainFlags {
  const { environment, home } = input.surroundings;
  const settings = new Settings({
    command,
    flags: input.flags,
    environment,
    directory: input.directory,
    home,
    placed: undefined,
  });
  return {
    isJson: settings.isOn("json"),
    isStrict: settings.isOn("strict"),
    isColored: logOptions(settings, input, false).isColored,
  };
}
