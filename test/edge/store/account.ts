// This file is accounts in a store for its tests: somebody logged in, and what he makes.
import { generateKey, type SigningKey } from "../../../src/identity/index.ts";
import type { MadeTunnel, Store, TunnelOrder } from "../../../src/edge/store/index.ts";
import { TUNNEL_CODE } from "./fixture.ts";

/** An account with one key. */
export class Account {
  readonly store: Store;
  readonly id: string;
  readonly key: SigningKey;

  private constructor(store: Store, id: string, key: SigningKey) {
    this.store = store;
    this.id = id;
    this.key = key;
  }

  static async login(store: Store, scope: readonly string[] = [], name = "you"): Promise<Account> {
    const makes = { kind: "account", name } as const;
    const { code } = await store.createCode({ ...TUNNEL_CODE, makes, scope });
    const key = generateKey();
    const wish = { kind: "account", name, label: "laptop" } as const;
    const outcome = await store.enrol({ publicKey: key.publicKey, code, ...wish });
    if (outcome.state !== "enrolled") throw new Error(`Login was refused: ${outcome.reason}`);
    return new Account(store, outcome.owner.id, key);
  }

  create(name: string, more: Partial<TunnelOrder> = {}): Promise<MadeTunnel> {
    const { publicKey } = generateKey();
    const order = { name, publicKey, label: name, hosts: [], ...more };
    return this.store.tunnels.create(this.key.publicKey, order);
  }

  /** A further key of a tunnel; undefined for the time that it lasts for ever. */
  async addKey(
    tunnel: string,
    label: string,
    ttlMs?: number,
    hosts: readonly string[] = [],
  ): Promise<SigningKey> {
    const key = generateKey();
    await this.store.tunnels.addKey(this.key.publicKey, {
      ...{ tunnel, publicKey: key.publicKey, label, kind: "token", hosts, ttlMs },
    });
    return key;
  }
}
