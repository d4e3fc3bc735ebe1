// This file is a real CA for tests: pebble, and pebble-challtestsrv as the DNS it looks names up in. Debian package pebble.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../scripts/rig/ports.ts";
import { makeLeaf, makeRoot } from "../src/edge/certificates/internal-ca.ts";
import { eventually, isInstalled, Program, SEARCH_PATH } from "./binary/program.ts";

/** False: the tests skip, one line has named the package. */
export const HAS_PEBBLE = [
  isInstalled("pebble"),
  isInstalled("pebble-challtestsrv", "pebble"),
].every(Boolean);

/** Long enough for any file of tests, short enough that nothing is left behind for ever, ms. */
const LIFE_MS = 900_000;
const DAY_MS = 86_400_000;

/** An account at the CA's "web page": what `certificates.eab` names. */
export const EXTERNAL_ACCOUNT = {
  keyId: "kid-1",
  key: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
};

export interface PebbleSetup {
  /** Where Pebble knocks for HTTP-01 and TLS-ALPN-01, on 127.0.0.1. */
  readonly httpPort?: number;
  readonly tlsPort?: number;
  /** So many of a hundred good nonces are rejected; 0 if absent. */
  readonly rejects?: number;
  /** True: accounts must be bound to `EXTERNAL_ACCOUNT`. */
  readonly wantsExternalAccount?: boolean;
  /** `ip:port` of the DNS server in which Pebble looks; its own, where every name is 127.0.0.1, if absent. */
  readonly dnsServer?: string;
  /** Port of an earlier one, whose certificates are kept too; the system chooses if absent. */
  readonly again?: Pebble;
}

/**
 * A CA that signs what it could validate.
 *
 * For few orders at a time: with dozens the store of pebble 2.4 locks itself up (a reader of its mutex waits behind a
 * writer that waits for that reader), and no request is answered any more.
 */
export class Pebble implements AsyncDisposable {
  /** For `--acme-ca`. */
  readonly directory: string;
  /** For `certificates.caFile`: the root of the CA's own HTTPS. */
  readonly caFile: string;
  readonly port: number;
  readonly process: Program;
  readonly #folder: string;
  readonly #managementPort: number;
  readonly #names: Names | undefined;
  readonly #ownsFolder: boolean;

  private constructor(parts: {
    port: number;
    managementPort: number;
    folder: string;
    ownsFolder: boolean;
    process: Program;
    names: Names | undefined;
  }) {
    this.port = parts.port;
    this.directory = `https://localhost:${parts.port}/dir`;
    this.caFile = join(parts.folder, "root.pem");
    this.process = parts.process;
    this.#folder = parts.folder;
    this.#ownsFolder = parts.ownsFolder;
    this.#managementPort = parts.managementPort;
    this.#names = parts.names;
  }

  static async start(setup: PebbleSetup = {}): Promise<Pebble> {
    const {
      httpPort,
      tlsPort,
      rejects = 0,
      wantsExternalAccount = false,
      dnsServer,
      again,
    } = setup;
    const folder = again === undefined ? await makeFolder() : again.#folder;
    const names = dnsServer === undefined ? await Names.start() : undefined;
    const port = again?.port ?? (await freePort());
    const managementPort = await freePort();
    const config = {
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${managementPort}`,
        certificate: join(folder, "pebble.pem"),
        privateKey: join(folder, "pebble.key"),
        httpPort: httpPort ?? (await freePort()),
        tlsPort: tlsPort ?? (await freePort()),
        externalAccountBindingRequired: wantsExternalAccount,
        ...(wantsExternalAccount && {
          externalAccountMACKeys: { [EXTERNAL_ACCOUNT.keyId]: EXTERNAL_ACCOUNT.key },
        }),
      },
    };
    const path = join(folder, "pebble.json");
    writeFileSync(path, JSON.stringify(config));
    const process = new Program(
      ["pebble", "-config", path, "-dnsserver", dnsServer ?? (names as Names).server],
      {
        directory: folder,
        deadlineMs: LIFE_MS,
        environment: {
          PATH: SEARCH_PATH,
          PEBBLE_VA_NOSLEEP: "1",
          PEBBLE_WFE_NONCEREJECT: `${rejects}`,
          // Otherwise half of the orders are not validated again, by chance.
          PEBBLE_AUTHZREUSE: "0",
        },
      },
    );
    const ownsFolder = again === undefined;
    const pebble = new Pebble({ port, managementPort, folder, ownsFolder, process, names });
    try {
      await process.line(/ACME directory available/);
      await pebble.#untilReady();
      return pebble;
    } catch (error) {
      await pebble[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** It says that its directory is available a moment before it listens. */
  async #untilReady(): Promise<void> {
    const ca = await Bun.file(this.caFile).text();
    await eventually(
      () =>
        fetch(this.directory, { tls: { ca } }).then(
          ({ ok }) => ok || undefined,
          () => undefined,
        ),
      "the directory of pebble",
    );
  }

  /** PEM root of the certificates that this run of Pebble signs. */
  async root(): Promise<string> {
    const ca = await Bun.file(this.caFile).text();
    const url = `https://localhost:${this.#managementPort}/roots/0`;
    const response = await fetch(url, { tls: { ca } });
    if (!response.ok) throw new Error(`Pebble has no root: ${response.status}`);
    return await response.text();
  }

  /** Writes the root of its certificates to a file, and names it: for curl. */
  async rootFile(): Promise<string> {
    const path = join(this.#folder, "issuer.pem");
    writeFileSync(path, await this.root());
    return path;
  }

  /** Files of its own HTTPS, for whoever stands before it. */
  get pair(): { readonly cert: string; readonly key: string } {
    return { cert: join(this.#folder, "pebble.pem"), key: join(this.#folder, "pebble.key") };
  }

  /** The names in which it looks. @throws where it looks elsewhere. */
  get names(): Names {
    if (this.#names === undefined) throw new Error("This Pebble looks in another DNS server");
    return this.#names;
  }

  /** Ends the process; the folder stays for the one that comes after it. */
  async stop(): Promise<void> {
    await this.process[Symbol.asyncDispose]();
    await this.#names?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.#ownsFolder) rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The DNS of a test: every name is 127.0.0.1, and TXT records are what somebody put there. */
export class Names implements AsyncDisposable {
  /** `ip:port` of its DNS. */
  readonly server: string;
  readonly #process: Program;
  readonly #managementPort: number;

  private constructor(server: string, process: Program, managementPort: number) {
    this.server = server;
    this.#process = process;
    this.#managementPort = managementPort;
  }

  static async start(): Promise<Names> {
    const server = `127.0.0.1:${await freePort()}`;
    const managementPort = await freePort();
    const process = new Program(
      [
        ...["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""],
        ...["-dns01", server, "-management", `127.0.0.1:${managementPort}`],
        ...["-http01", "", "-https01", "", "-tlsalpn01", ""],
      ],
      { deadlineMs: LIFE_MS, environment: { PATH: SEARCH_PATH } },
    );
    const names = new Names(server, process, managementPort);
    await process.line(/Starting management server/).catch(async (error: unknown) => {
      await names[Symbol.asyncDispose]();
      throw error;
    });
    await names.#untilReady();
    return names;
  }

  /** Adds a TXT value to a name. */
  async addTxt(host: string, value: string): Promise<void> {
    await this.#post("set-txt", { host: `${host}.`, value });
  }

  async clearTxt(host: string): Promise<void> {
    await this.#post("clear-txt", { host: `${host}.` });
  }

  /** Gives a name other addresses: wrong DNS. */
  async setAddresses(host: string, addresses: readonly string[]): Promise<void> {
    await this.#post("add-a", { host: `${host}.`, addresses });
  }

  async clearAddresses(host: string): Promise<void> {
    await this.#post("clear-a", { host: `${host}.` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }

  async #untilReady(): Promise<void> {
    await eventually(
      () =>
        this.clearTxt("nothing.test").then(
          () => true,
          () => undefined,
        ),
      "pebble-challtestsrv",
    );
  }

  async #post(path: string, body: object): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.#managementPort}/${path}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`pebble-challtestsrv: ${path} is ${response.status}`);
  }
}

/** Pebble's own HTTPS, signed by a root of its own. */
async function makeFolder(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "tunl-pebble-"));
  const now = Date.now();
  const root = await makeRoot(now);
  const leaf = await makeLeaf(root, ["localhost"], {
    notBefore: now - DAY_MS,
    notAfter: now + DAY_MS,
  });
  writeFileSync(join(folder, "root.pem"), root.cert);
  writeFileSync(join(folder, "pebble.pem"), leaf.cert);
  writeFileSync(join(folder, "pebble.key"), leaf.key);
  chmodSync(join(folder, "pebble.key"), 0o600);
  return folder;
}
