// This file is a connector that can be killed and started again with the same key.
import { Home, type Running } from "../binary/tunl.ts";
import { DOMAIN, startConnector } from "./rig.ts";

export class Connector implements AsyncDisposable {
  readonly host: string;
  readonly #home = new Home();
  readonly #name: string;
  readonly #target: string;
  #process: Running | undefined;

  /** @param port Of the origin. */
  constructor(name: string, port: number) {
    this.#name = name;
    this.#target = `${port}`;
    this.host = `${name}.${DOMAIN}`;
  }

  get home(): string {
    return this.#home.path;
  }

  /** @param line A join line, the first time. */
  async start(line?: string): Promise<void> {
    const flags = ["--name", this.#name, ...(line === undefined ? [] : ["--join", line])];
    this.#process = startConnector(this.#target, flags, { home: this.#home.path });
    await this.#process.event("route");
  }

  kill(): void {
    this.#process?.signal("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#home[Symbol.dispose]();
  }
}
