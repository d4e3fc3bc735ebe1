// This file is rows by whom they belong to, so that a list of one owner's rows never walks through those of all.

/** A group that is empty is forgotten. */
export class Groups<Row> {
  readonly #groups = new Map<string, Map<string, Row>>();

  of(group: string): Iterable<Row> {
    return this.#groups.get(group)?.values() ?? [];
  }

  set(group: string, key: string, row: Row): void {
    const rows = this.#groups.get(group);
    if (rows === undefined) this.#groups.set(group, new Map([[key, row]]));
    else rows.set(key, row);
  }

  delete(group: string, key: string): void {
    const rows = this.#groups.get(group);
    if (rows?.delete(key) && rows.size === 0) this.#groups.delete(group);
  }
}
