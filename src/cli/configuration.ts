// This file is what is said about a configuration file that is used: its name, and what in it is not as it may seem. product.md §4, §5.
import { type ConnectorOptions, type Loaded, mostUrgent, problemFields } from "../config/index.ts";
import type { Output } from "./output.ts";

/** Says which file a connector uses, its warnings, and at level debug what stands in it without effect. */
export function tellConfiguration(output: Output, loaded: Loaded<ConnectorOptions>): void {
  const { configName, options, warnings, notes } = loaded;
  if (configName === undefined) return;
  const count = options.ingress.rules.length;
  const rules =
    options.ingress.file === undefined ? "" : `, ${count} rule${count === 1 ? "" : "s"}`;
  output.log.info("config", `${configName}${rules}`, { file: configName });
  if (warnings !== undefined) {
    const { source, problems } = warnings;
    const shown = mostUrgent(problems);
    for (const problem of shown) {
      const { message, ...fields } = problemFields(source, problem);
      const { line, column } = fields;
      const place = line === undefined ? configName : `${configName}:${line}:${column}`;
      output.log.warn("config.warning", `${place} ${message}`, fields);
    }
    const rest = problems.length - shown.length;
    if (rest > 0) output.log.warn("config.warning", `and ${rest} more`, { file: configName });
  }
  for (const note of notes ?? []) output.log.debug("config", note, { file: configName });
}
