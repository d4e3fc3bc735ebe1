// This file is applications of three kinds behind servers that others wrote: each says what it is told of the fields of a request.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../scripts/rig/ports.ts";
import { eventually, isInstalled, Program, SEARCH_PATH } from "../binary/program.ts";
import { within } from "../within.ts";

/** Names of variables and their values, as an application sees them. */
export type Told = Readonly<Record<string, string>>;

export interface Application {
  readonly name: string;
  readonly isThere: boolean;
  /** What it is told by each of these requests, whole ones that end their connection. */
  ask(requests: readonly Uint8Array[]): Promise<Told[]>;
}

const PYTHON = "/usr/bin/python3";
const APACHE_MODULES = "/usr/lib/apache2/modules";
const isRoot = process.getuid?.() === 0;

const program = (name: string): string =>
  fileURLToPath(new URL(`programs/${name}`, import.meta.url));

async function askOne(port: number, request: Uint8Array): Promise<Told> {
  const socket = connect({ port, host: "127.0.0.1" });
  try {
    let answer = "";
    socket.on("data", (bytes: Buffer) => (answer += bytes.toString("latin1")));
    await within(once(socket, "connect"), "the application");
    socket.write(request);
    await within(once(socket, "end"), "the end of the answer");
    if (!/^HTTP\/1\.\d 200 /.test(answer)) throw new Error(`The application answered ${answer}`);
    return Object.fromEntries(
      [...answer.matchAll(/^(HTTP_[^=\r\n]*)=(.*?)\r?$/gm)].map(([, name = "", value = ""]) => [
        name,
        value,
      ]),
    );
  } finally {
    socket.destroy();
  }
}

/** Runs a server, asks, and ends it. */
async function asking(
  command: readonly string[],
  findPort: (server: Program) => Promise<number>,
  requests: readonly Uint8Array[],
): Promise<Told[]> {
  await using server = new Program(command, { environment: { PATH: SEARCH_PATH } });
  try {
    const port = await findPort(server);
    const told: Told[] = [];
    for (const request of requests) told.push(await askOne(port, request));
    return told;
  } finally {
    // Killed outright, a server with children would leave them.
    server.signal("SIGTERM");
    await within(server.ended, "the end of the server");
  }
}

/** Resolves once somebody listens. */
async function listening(port: number): Promise<number> {
  return await eventually(async () => {
    const socket = connect({ port, host: "127.0.0.1" });
    try {
      await once(socket, "connect");
      return port;
    } catch {
      return undefined; // Not yet: the server says nothing when it is ready.
    } finally {
      socket.destroy();
    }
  }, "a listening server");
}

/** Not the model with processes: at its end that one signals its whole group, the tests in it. */
const apacheConfiguration = (home: string, port: number): string => `ServerRoot ${home}
DefaultRuntimeDir ${home}
PidFile ${home}/apache.pid
ErrorLog ${home}/error.log
${["mpm_event", "authz_core", "alias", "cgi"]
  .map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`)
  .join("\n")}
${isRoot ? "User www-data\nGroup www-data\n" : ""}Listen 127.0.0.1:${port}
ServerName applications
StartServers 1
ServerLimit 1
ThreadsPerChild 4
MaxRequestWorkers 4
ScriptAlias / ${home}/env.cgi/
`;

export const APPLICATIONS: readonly Application[] = [
  {
    name: "WSGI",
    isThere: existsSync(PYTHON) || isInstalled("python3"),
    ask: (requests) =>
      asking(
        [PYTHON, program("wsgi.py")],
        (server) =>
          server.find((line) => {
            const port = /^listening (\d+)$/.exec(line)?.[1];
            return port === undefined ? undefined : Number(port);
          }, "listening"),
        requests,
      ),
  },
  {
    name: "PHP",
    isThere: isInstalled("php", "php-cli"),
    ask: async (requests) => {
      const port = await freePort();
      const command = ["php", "-S", `127.0.0.1:${port}`, program("env.php")];
      return await asking(command, () => listening(port), requests);
    },
  },
  {
    name: "CGI",
    isThere: isInstalled("apache2", "apache2-bin"),
    ask: async (requests) => {
      const home = mkdtempSync(join(tmpdir(), "tunl-cgi-"));
      try {
        // The server gives up its rights before it runs the script.
        chmodSync(home, 0o755);
        const script = join(home, "env.cgi");
        writeFileSync(script, "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nexec env\n");
        chmodSync(script, 0o755);
        const port = await freePort();
        writeFileSync(join(home, "apache.conf"), apacheConfiguration(home, port));
        const command = ["apache2", "-DFOREGROUND", "-f", join(home, "apache.conf")];
        return await asking(command, () => listening(port), requests);
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    },
  },
];
