// Helpers of the certificate tests: a directory that is removed again, and a log that is kept.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Logger, type LogRecord } from "../../../src/log.ts";

export function temporaryDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "tunl-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export function memoryLog(): { readonly log: Logger; readonly records: LogRecord[] } {
  const records: LogRecord[] = [];
  return { records, log: new Logger((record) => records.push(record), "trace") };
}
