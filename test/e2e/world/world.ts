// This file is a small internet of its own: loopback in a network namespace where ports 53, 80 and 443 are free, a name server that the system asks, and a CA.
// It runs inside of `unshare --net --mount` (see namespace.ts), so nothing of the machine's own network is touched.
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program, run, SEARCH_PATH } from "../../binary/program.ts";

/** A zone and its first records, as in a zone file: `www A 127.0.0.1`. */
export interface Zone {
  readonly name: string;
  readonly records: readonly string[];
}

export interface WorldOptions {
  readonly zones: readonly Zone[];
  /** The CA wants an account that it knows beforehand. */
  readonly hasExternalAccounts?: boolean;
  /** Of every hundred nonces the CA refuses so many. */
  readonly rejectedNonces?: number;
}

const LIFE_MS = 170_000;
const CA_HOST = "acme.ca.example";
const CA_PORT = 14_000;
const CA_MANAGEMENT_PORT = 15_000;
/** Of TSIG; the name server and whoever updates it know both. */
const TSIG_NAME = "tunl-key";

/** The world; leaves with everything it started. */
export class World implements AsyncDisposable {
  readonly path: string;
  /** Where the CA's directory is. */
  readonly caDirectory = `https://${CA_HOST}:${CA_PORT}/dir`;
  /** The root of the CA's own https certificate, PEM file. */
  readonly caFile: string;
  /** The root that visitors trust, PEM file. */
  readonly rootFile: string;
  /** The secret of TSIG as its file holds it. */
  readonly tsigFile: string;
  readonly tsigName = TSIG_NAME;
  readonly #programs: Program[] = [];
  readonly #tsigSecret = randomBytes(32).toString("base64");

  private constructor(path: string) {
    this.path = path;
    this.caFile = join(path, "ca", "root.pem");
    this.rootFile = join(path, "visitors-root.pem");
    this.tsigFile = join(path, "tsig.key");
  }

  static async start(options: WorldOptions): Promise<World> {
    const world = new World(mkdtempSync(join(tmpdir(), "tunl-world-")));
    try {
      await world.#start(options);
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a program that has to succeed. */
  async call(command: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(command, { environment: { PATH: SEARCH_PATH } });
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Changes a zone as its owner would: lines of nsupdate. */
  async update(zone: string, lines: readonly string[]): Promise<void> {
    const path = join(this.path, `update-${randomBytes(4).toString("hex")}`);
    const script = ["server 127.0.0.1", `zone ${zone}`, ...lines, "send", ""].join("\n");
    writeFileSync(path, script);
    await this.call(["nsupdate", "-y", `hmac-sha256:${TSIG_NAME}:${this.#tsigSecret}`, path]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs.toReversed()) await program[Symbol.asyncDispose]();
    rmSync(this.path, { recursive: true, force: true });
  }

  async #start(options: WorldOptions): Promise<void> {
    await this.call(["ip", "link", "set", "lo", "up"]);
    await this.#cover("/etc/hosts", "127.0.0.1 localhost\n");
    await this.#cover("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n");
    await this.#startNameServer([
      ...options.zones,
      { name: "ca.example", records: ["acme A 127.0.0.1"] },
    ]);
    await this.#startCa(options);
  }

  /** Puts a file of ours over one of the system's, in this mount namespace only. */
  async #cover(path: string, content: string): Promise<void> {
    const own = join(this.path, path.replaceAll("/", "_"));
    writeFileSync(own, content);
    await this.call(["mount", "--bind", own, path]);
  }

  async #startNameServer(zones: readonly Zone[]): Promise<void> {
    const directory = join(this.path, "named");
    mkdirSync(directory);
    writeFileSync(this.tsigFile, `${this.#tsigSecret}\n`, { mode: 0o600 });
    const parts = [
      `key "${TSIG_NAME}" { algorithm hmac-sha256; secret "${this.#tsigSecret}"; };`,
      "options {",
      `  directory "${directory}"; pid-file none; session-keyfile none; listen-on { 127.0.0.1; };`,
      "  listen-on-v6 { none; }; recursion no; dnssec-validation no; minimal-responses yes;",
      "};",
      "controls { };",
    ];
    for (const { name, records } of zones) {
      const file = join(directory, `${name}.zone`);
      const lines = [
        "$TTL 5",
        `@ IN SOA ns1.${name}. owner.${name}. 1 60 60 600 5`,
        "@ NS ns1",
        "ns1 A 127.0.0.1",
        ...records,
        "",
      ];
      writeFileSync(file, lines.join("\n"));
      parts.push(
        `zone "${name}" { type primary; file "${file}"; update-policy { grant ${TSIG_NAME} zonesub ANY; }; };`,
      );
    }
    const config = join(directory, "named.conf");
    writeFileSync(config, parts.join("\n"));
    const server = this.#program(["named", "-g", "-n", "1", "-c", config]);
    await server.line(/running$/);
  }

  async #startCa({ hasExternalAccounts = false, rejectedNonces = 0 }: WorldOptions): Promise<void> {
    const directory = join(this.path, "ca");
    mkdirSync(directory);
    const at = (name: string): string => join(directory, name);
    await this.call([
      ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-nodes", "-days", "2", "-subj", "/CN=test root", "-keyout", at("root.key")],
      ...["-out", this.caFile],
    ]);
    writeFileSync(at("extensions"), `subjectAltName=DNS:${CA_HOST}\n`);
    await this.call([
      ...["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-nodes", "-subj", `/CN=${CA_HOST}`, "-keyout", at("server.key")],
      ...["-out", at("server.csr")],
    ]);
    await this.call([
      ...["openssl", "x509", "-req", "-in", at("server.csr"), "-CA", this.caFile],
      ...["-CAkey", at("root.key"), "-CAcreateserial", "-days", "2"],
      ...["-extfile", at("extensions"), "-out", at("server.pem")],
    ]);
    const config = {
      pebble: {
        listenAddress: `127.0.0.1:${CA_PORT}`,
        managementListenAddress: `127.0.0.1:${CA_MANAGEMENT_PORT}`,
        certificate: at("server.pem"),
        privateKey: at("server.key"),
        httpPort: 80,
        tlsPort: 443,
        ocspResponderURL: "",
        externalAccountBindingRequired: hasExternalAccounts,
        externalAccountMACKeys: hasExternalAccounts ? { [EAB.keyId]: EAB.key } : {},
      },
    };
    writeFileSync(at("pebble.json"), JSON.stringify(config));
    const ca = this.#program(
      ["pebble", "-config", at("pebble.json"), "-dnsserver", "127.0.0.1:53"],
      {
        PEBBLE_VA_NOSLEEP: "1",
        PEBBLE_WFE_NONCEREJECT: String(rejectedNonces),
      },
    );
    await ca.line(/ACME directory available/);
    const root = await this.call([
      ...["curl", "-sS", "--cacert", this.caFile, "--retry", "5", "--retry-connrefused"],
      `https://${CA_HOST}:${CA_MANAGEMENT_PORT}/roots/0`,
    ]);
    writeFileSync(this.rootFile, root);
  }

  #program(
    command: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Program {
    const program = new Program(command, {
      environment: { PATH: SEARCH_PATH, ...environment },
      deadlineMs: LIFE_MS,
    });
    this.#programs.push(program);
    return program;
  }
}

/** The account that the CA knows beforehand, where it wants one. */
export const EAB = {
  keyId: "kid-1",
  key: createHash("sha256").update("an account of the tests").digest("base64url"),
} as const;
