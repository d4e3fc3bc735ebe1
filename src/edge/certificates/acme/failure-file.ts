// This file is the failed validations of the last hour on the disk, `acme/<ca>/failures.json`: a restart does not make a CA forget them. R-19.
import { join } from "node:path";
import { makePrivateDirectory, readSecret, writeFileAtomic } from "../../../identity/index.ts";
import type { CaAddress } from "./account.ts";
import { fieldsOf } from "./client.ts";
import { parseJson } from "./transport.ts";

/** When validations of a name failed, wall clock, milliseconds since 1970. */
export type Failures = ReadonlyMap<string, readonly number[]>;

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

function numbersOf(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "number") : [];
}
