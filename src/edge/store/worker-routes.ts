// This file is changes to names by the DNS as the edge asks for them: judged by the snapshot, decided in the worker. product.md §6.
import { decideClaim, type NameRules } from "../route/index.ts";
import { canonicalPattern, notGranted } from "./asked.ts";
import { taken } from "./hostnames.ts";
import type { By, HostProof, HostRow, MadeRecord } from "./records.ts";
import type { Snapshot } from "./snapshot.ts";
import type { RouteChanges } from "./store.ts";
import type { WorkerLine } from "./worker-line.ts";

export class WorkerRoutes implements RouteChanges {
  readonly #line: WorkerLine;
  readonly #snapshot: Snapshot;
  readonly #rules: NameRules;
  readonly #wallClock: () => number;

  constructor(line: WorkerLine, snapshot: Snapshot, rules: NameRules, wallClock: () => number) {
    this.#line = line;
    this.#snapshot = snapshot;
    this.#rules = rules;
    this.#wallClock = wallClock;
  }

  async claim(by: Uint8Array, tunnel: string, text: string): Promise<HostRow> {
    const host = canonicalPattern(text);
    const scope = this.#snapshot.key(by)?.scope ?? [];
    const name = this.#snapshot.tunnel(tunnel)?.name;
    const decision = decideClaim(this.#snapshot, this.#rules, { tunnel, name, scope, host });
    if (decision === "notGranted") throw notGranted(host, this.#rules, name);
    if (decision === "taken") throw taken(host);
    return await this.#line.call("claimRoute", { by, tunnel, host }, this.#wallClock());
  }

  release(by: By, text: string): Promise<HostRow | undefined> {
    return this.#line.call("releaseRoute", { by, host: canonicalPattern(text) }, this.#wallClock());
  }

  setProof(
    { host, tunnel }: Pick<HostRow, "host" | "tunnel">,
    proof: HostProof,
  ): Promise<HostRow | undefined> {
    return this.#line.call("setProof", { host, tunnel, proof }, this.#wallClock());
  }

  async keepRecord(record: Omit<MadeRecord, "createdAt">): Promise<void> {
    await this.#line.call("keepRecord", record, this.#wallClock());
  }

  async forgetRecord(record: Pick<MadeRecord, "name" | "type" | "value">): Promise<void> {
    const { name, type, value } = record;
    await this.#line.call("forgetRecord", { name, type, value }, this.#wallClock());
  }

  records(): Promise<readonly MadeRecord[]> {
    return this.#line.call("listRecords", undefined, this.#wallClock());
  }
}
