// This file is the failed validations of the last hour on the disk, `acme/<ca>/failures.json`: a restart does not make a CA forget them. R-19.
import { join } from "node:path";
import { makePrivateDirectory, readSecret, writeFileAtomic } from "../../../identity/index.ts";
import type { Logger } from "../../../log.ts";
import type { CaAddress } from "./account.ts";
import type { Allowance } from "./attempt.ts";
import { fieldsOf } from "./client.ts";
import type { FailedValidations, Failures } from "./failed-validations.ts";
import { parseJson } from "./transport.ts";

/** The file of one CA. */
export class FailureFile {
  readonly #folder: string;
  readonly #path: string;

  constructor(stateDirectory: string, { folder }: CaAddress) {
    this.#folder = join(stateDirectory, "acme", folder);
    this.#path = join(this.#folder, "failures.json");
  }

  /** What an earlier process left; nothing where that cannot be read, which costs no more than a few tries. */
  async load(): Promise<Failures> {
    const text = await readSecret(this.#path);
    const entries = Object.entries(fieldsOf(parseJson(text ?? "")));
    return new Map(entries.map(([name, times]) => [name, numbersOf(times)]));
  }

  /** @throws the system's error. */
  async save(failures: Failures): Promise<void> {
    await makePrivateDirectory(this.#folder);
    await writeFileAtomic(this.#path, `${JSON.stringify(Object.fromEntries(failures))}\n`);
  }
}

export interface FailureLogOptions {
  readonly failures: FailureFile;
  readonly validations: FailedValidations;
  readonly log: Logger;
  /** Wall clock, milliseconds since 1970. */
  readonly clock: () => number;
}

/** Failed validations as they happen: counted over restarts, written one after the other. */
export class FailureLog implements Allowance {
  readonly #options: FailureLogOptions;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: FailureLogOptions) {
    this.#options = options;
  }

  /** Counts those of an earlier process. */
  async open(): Promise<void> {
    const { failures, validations, log } = this.#options;
    try {
      validations.remember(await failures.load());
    } catch (error) {
      log.warn("certificate", `Reading the failed validations failed: ${String(error)}`);
    }
  }

  mayValidate(id: string): boolean {
    const { validations, clock } = this.#options;
    return validations.allowedAt(id, clock()) <= clock();
  }

  failed(id: string): void {
    const { failures, validations, log, clock } = this.#options;
    validations.failed(id, clock());
    const all = validations.all(clock());
    this.#writing = this.#writing.then(async () => {
      try {
        await failures.save(all);
      } catch (error) {
        // Counted in memory all the same.
        log.debug("certificate", `Storing the failed validations failed: ${String(error)}`);
      }
    });
  }

  /** Resolves when all is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
  }
}

function numbersOf(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "number") : [];
}
