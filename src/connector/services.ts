// This file is the rules of a connector to what answers them: equal services with equal settings share one origin, and so its connections. product.md §3.3, §3.4.
import type { IngressOptions, IngressRule } from "../config/index.ts";
import type { Deadlines } from "../deadlines.ts";
import { compileExpression } from "../expression.ts";
import type { OriginTrouble } from "./events.ts";
import { Ingress, type Rule } from "./ingress.ts";
import {
  HONOURED,
  IdleAccount,
  makeOrigin,
  type Origin,
  type OriginSurroundings,
  type SocketAccount,
  TrustedRoots,
} from "./origin/index.ts";
import { Troubles } from "./trouble.ts";
import { isServed, type ServedService } from "./unserved.ts";

/** What a rule leads to. */
export interface Service {
  readonly origin: Origin;
  /** What its owner is told when it fails. */
  readonly troubles: Troubles;
}

export interface ServicesOptions {
  readonly ingress: IngressOptions;
  readonly deadlines: Deadlines;
  readonly sockets: SocketAccount;
  /** Lines that every request to a service gets besides its own. */
  readonly addedFields: Uint8Array;
  readonly onTrouble: (trouble: OriginTrouble) => void;
  readonly onBug: (error: unknown) => void;
}

/** The rules of a process and all of their services. */
export class Services {
  readonly ingress: Ingress<Service>;
  readonly #byKey = new Map<string, Service>();
  /** Numbers for texts of roots: they are long, and stand in many keys. */
  readonly #pools = new Map<string, number>();
  readonly #options: ServicesOptions;
  readonly #surroundings: OriginSurroundings;

  /** @throws TunlError `HOST_HEADER_INVALID`, `CA_POOL_INVALID`, `EXPRESSION_INVALID`; nothing was dialled or kept. */
  constructor(options: ServicesOptions) {
    const { ingress, deadlines, sockets, addedFields, onBug } = options;
    this.#options = options;
    this.#surroundings = {
      deadlines,
      sockets,
      addedFields,
      onBug,
      idle: new IdleAccount(mostIdle(ingress.rules)),
      roots: new TrustedRoots(),
    };
    this.ingress = new Ingress(ingress.rules.map((rule) => this.#rule(rule)));
  }

  /** Connections to origins kept for later. */
  get idleConnections(): number {
    return this.#surroundings.idle?.count ?? 0;
  }

  /** Origins in all. */
  get count(): number {
    return this.#byKey.size;
  }

  close(): void {
    for (const { origin } of this.#byKey.values()) origin.close();
  }

  #rule(rule: IngressRule): Rule<Service> {
    const { hostname, path, allowAmbiguousPaths, service } = rule;
    if (!isServed(rule)) throw new Error(`BUG: "${service.url}" is no service of this build`);
    return {
      hostname,
      path: path === undefined ? undefined : compileExpression(path),
      allowAmbiguousPaths,
      service: this.#service(rule.service, rule),
    };
  }

  #service(target: ServedService, { originRequest }: IngressRule): Service {
    const key = JSON.stringify([
      target.url,
      ...HONOURED.map((name) =>
        name === "caPool" ? this.#poolNumber(originRequest.caPool) : (originRequest[name] ?? null),
      ),
    ]);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const { ingress, onTrouble } = this.#options;
    const service = {
      origin: makeOrigin(target, originRequest, this.#surroundings),
      troubles: new Troubles(
        {
          target,
          keepsHost: originRequest.hostHeader.kind === "keep",
          source: ingress.file === undefined ? "flags" : "file",
        },
        onTrouble,
      ),
    };
    this.#byKey.set(key, service);
    return service;
  }

  #poolNumber(caPool: string | undefined): number {
    if (caPool === undefined) return 0;
    const known = this.#pools.get(caPool);
    if (known !== undefined) return known;
    this.#pools.set(caPool, this.#pools.size + 1);
    return this.#pools.size;
  }
}

/** `keepAliveConnections` bounds each origin and all of them: the most that any rule asks for (product.md §3.4). */
function mostIdle(rules: readonly IngressRule[]): number {
  return rules.reduce(
    (most, { originRequest }) => Math.max(most, originRequest.keepAliveConnections),
    0,
  );
}
