// This file is Debian's bind9 as the name server of zones: its own configuration in a temporary directory, a port of the system's choice.
import { createSocket } from "node:dgram";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, isInstalled, Program, run, SEARCH_PATH } from "../../binary/program.ts";

export const HAS_NAMED = isInstalled("named", "bind9") && isInstalled("nsupdate", "bind9-dnsutils");

/** Keys that may update every zone; the third has another secret at the server. */
export const KEYS = {
  "tunl-256": { algorithm: "hmac-sha256", secret: "c2VjcmV0IG9mIDMyIGJ5dGVzIGZvciB0aGUgdGVzdHM=" },
  "tunl-512": { algorithm: "hmac-sha512", secret: "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3Rz" },
} as const;

const LIFE_MS = 600_000;
/** How long a question waits where the server is sure to answer: on a busy machine it may not run for a while. */
export const PATIENT_MS = 10_000;

/** What a server is to serve. */
export interface NamedOptions {
  /** Zone to lines of its file below SOA and NS, such as `www A 192.0.2.1`. */
  readonly zones: Readonly<Record<string, string>>;
  /** Further lines of a zone's configuration, such as `allow-update { none; };` in place of the usual. */
  readonly policy?: string;
}

/** A running named on 127.0.0.1. */
export class Named implements AsyncDisposable {
  readonly port: number;
  /** Private directory with the key files `tunl-256.key`, `tunl-512.key`. */
  readonly directory: string;
  #process: Program;
  readonly #file: string;

  private constructor(port: number, directory: string, file: string) {
    this.port = port;
    this.directory = directory;
    this.#file = file;
    this.#process = this.#run();
  }

  static async start(options: NamedOptions): Promise<Named> {
    const directory = mkdtempSync(join(tmpdir(), "tunl-named-"));
    const port = await freeDnsPort();
    for (const [zone, lines] of Object.entries(options.zones))
      writeFileSync(join(directory, `${zone}.zone`), zoneFile(zone, lines));
    for (const [name, { algorithm, secret }] of Object.entries(KEYS))
      writeKey(join(directory, `${name}.key`), name, algorithm, secret);
    const file = join(directory, "named.conf");
    writeFileSync(file, configuration(directory, port, options));
    const named = new Named(port, directory, file);
    try {
      await named.#ready();
      return named;
    } catch (error) {
      await named[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** As `TUNL_DNS_SERVERS` names it. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Changes a zone by Debian's own program. @param lines Such as `add www.example.com 60 A 192.0.2.1`. */
  async update(...lines: readonly string[]): Promise<void> {
    const { algorithm, secret } = KEYS["tunl-256"];
    const script = join(this.directory, `update-${crypto.randomUUID()}`);
    const text = lines.map((line) => `update ${line}`).join("\n");
    writeFileSync(script, `server 127.0.0.1 ${this.port}\n${text}\nsend\n`);
    const command = ["nsupdate", "-v", "-y", `${algorithm}:tunl-256:${secret}`, script];
    const { code, stderr } = await run(command, { environment: { PATH: SEARCH_PATH } });
    if (code !== 0) throw new Error(`nsupdate ended with ${code}: ${stderr}`);
  }

  /** What Debian's dig says, one line for each record. */
  async dig(name: string, type: string): Promise<readonly string[]> {
    const command = ["dig", "@127.0.0.1", "-p", `${this.port}`, "+short", name, type];
    const { stdout } = await run(command, { environment: { PATH: SEARCH_PATH } });
    return stdout.split("\n").filter((line) => line !== "");
  }

  /** Stops answering; sockets stay open. */
  freeze(): Promise<void> {
    return this.#process.freeze();
  }

  thaw(): void {
    this.#process.thaw();
  }

  /** Ends the server; its zones stay for `restart`. */
  async stop(): Promise<void> {
    this.#process.signal("SIGTERM");
    await this.#process.ended;
  }

  async restart(): Promise<void> {
    this.#process = this.#run();
    await this.#ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #run(): Program {
    return new Program(["named", "-g", "-n", "1", "-c", this.#file], {
      environment: { PATH: SEARCH_PATH },
      deadlineMs: LIFE_MS,
    });
  }

  async #ready(): Promise<void> {
    await this.#process.line(/ running$/);
    await eventually(
      async () => ((await this.dig("version.bind", "CH")) ? true : undefined),
      "named",
    );
  }
}

/** A private key file as tsig-keygen writes it. */
export function writeKey(path: string, name: string, algorithm: string, secret: string): void {
  writeFileSync(path, `key "${name}" {\n\talgorithm ${algorithm};\n\tsecret "${secret}";\n};\n`);
  chmodSync(path, 0o600);
}

/** A port that is free for UDP and TCP. */
export async function freeDnsPort(): Promise<number> {
  for (;;) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const socket = createSocket("udp4");
    const isFree = await new Promise<boolean>((resolve) => {
      socket.once("error", () => resolve(false));
      socket.bind(port, "127.0.0.1", () => resolve(true));
    });
    socket.close();
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}

function zoneFile(zone: string, lines: string): string {
  return `$TTL 60
$ORIGIN ${zone}.
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
ns1 A 127.0.0.1
${lines}
`;
}

function configuration(directory: string, port: number, { zones, policy }: NamedOptions): string {
  const keys = Object.entries(KEYS)
    .map(
      ([name, { algorithm, secret }]) =>
        `key "${name}" { algorithm ${algorithm}; secret "${secret}"; };`,
    )
    .join("\n");
  const grants = Object.keys(KEYS).map((name) => `grant ${name} zonesub ANY;`);
  const allowed = policy ?? `update-policy { ${grants.join(" ")} };`;
  const sections = Object.keys(zones)
    .map((zone) => `zone "${zone}" { type primary; file "${directory}/${zone}.zone"; ${allowed} };`)
    .join("\n");
  return `options {
  directory "${directory}";
  pid-file "${directory}/named.pid";
  session-keyfile none;
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  notify no;
  empty-zones-enable no;
  minimal-responses yes;
};
controls { };
${keys}
${sections}
`;
}
