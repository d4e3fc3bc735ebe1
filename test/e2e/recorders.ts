// This file is origins that say what they took each request for: servers of other makers, some in front of Node as proxies (S-12).
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../scripts/rig/ports.ts";
import { eventually, isInstalled, Program, SEARCH_PATH } from "../binary/program.ts";
import { Home } from "../binary/tunl.ts";

const LIFE_MS = 600_000;

/** One request as a server understood it. A proxy's own log knows no body. */
export interface Seen {
  /** Value of `X-Item`, which the test sent. */
  readonly item: string | null;
  readonly method: string;
  readonly target: string;
  readonly host: string | null;
  readonly length?: number;
  readonly sha256?: string;
  /** Field `X-Tunl-Request-Id`. */
  readonly id?: string | null;
}

/** What a proxy wrote in its own log, and what it answered. */
export interface Logged extends Seen {
  readonly status: number;
}

/** A program that records requests, directly or behind a proxy. */
export interface Recorder extends AsyncDisposable {
  readonly port: number;
  /** Every request that reached the recording program so far. */
  seen(): readonly Seen[];
  /** Whatever it saw that was no request. */
  faults(): readonly string[];
  /** The proxy's own view; absent where there is no proxy. */
  logged?(): readonly Logged[];
}

export interface RecorderKind {
  readonly name: string;
  /** Requests that it answers by itself, most with an error: by name of the item, the status. */
  readonly declines: Readonly<Record<string, number>>;
  /** Targets that a proxy passes on in another form: by name of the item. Its own log has them as they came. */
  readonly rewrites: Readonly<Record<string, string>>;
  readonly isInstalled: boolean;
  start(): Promise<Recorder>;
}

const scriptOf = (name: string): string =>
  fileURLToPath(new URL(`programs/${name}`, import.meta.url));

/** A recording program of ours on another maker's HTTP server. */
class RecordingProgram implements Recorder {
  readonly process: Program;
  readonly port: number;

  private constructor(process: Program, port: number) {
    this.process = process;
    this.port = port;
  }

  static async start(command: readonly string[]): Promise<RecordingProgram> {
    const process = new Program(command, {
      environment: { PATH: SEARCH_PATH },
      deadlineMs: LIFE_MS,
    });
    const port = await process
      .find((line) => /^listening (\d+)$/.exec(line)?.[1], "listening")
      .catch(async (error: unknown) => {
        await process[Symbol.asyncDispose]();
        throw error;
      });
    return new RecordingProgram(process, Number(port));
  }

  #after(word: string): string[] {
    const lines = this.process.output.split("\n");
    return lines.flatMap((line) => (line.startsWith(word) ? [line.slice(word.length)] : []));
  }

  seen(): readonly Seen[] {
    return this.#after("request ").map((line): Seen => JSON.parse(line));
  }

  faults(): readonly string[] {
    return this.#after("fault ");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

/** How a proxy is started and how its log is read. */
interface ProxyKind {
  readonly name: string;
  readonly program: string;
  readonly debianPackage: string;
  readonly declines: RecorderKind["declines"];
  readonly rewrites?: RecorderKind["rewrites"];
  configuration(where: { home: string; port: number; recorder: number; log: string }): string;
  command(file: string, log: string): readonly string[];
  /** One line of its log. */
  read(line: string): Logged | undefined;
}

/** A proxy in front of a recording Node. */
class Proxy implements Recorder {
  readonly port: number;
  readonly #kind: ProxyKind;
  readonly #process: Program;
  readonly #behind: RecordingProgram;
  readonly #home: Home;
  readonly #log: string;

  private constructor(
    kind: ProxyKind,
    process: Program,
    behind: RecordingProgram,
    home: Home,
    port: number,
  ) {
    this.#kind = kind;
    this.#process = process;
    this.#behind = behind;
    this.#home = home;
    this.#log = join(home.path, "access.log");
    this.port = port;
  }

  static async start(kind: ProxyKind): Promise<Proxy> {
    const behind = await RecordingProgram.start(["node", scriptOf("recorder.mjs")]);
    const home = new Home();
    const port = await freePort();
    const file = join(home.path, "proxy.conf");
    const log = join(home.path, "access.log");
    writeFileSync(log, "");
    const where = { home: home.path, port, recorder: behind.port, log };
    writeFileSync(file, kind.configuration(where));
    const process = new Program(kind.command(file, log), {
      environment: { PATH: SEARCH_PATH },
      deadlineMs: LIFE_MS,
    });
    const proxy = new Proxy(kind, process, behind, home, port);
    try {
      await eventually(() => answers(port), kind.name);
      return proxy;
    } catch (error) {
      await proxy[Symbol.asyncDispose]();
      throw new Error(`${kind.name} does not answer:\n${process.output}`, { cause: error });
    }
  }

  seen(): readonly Seen[] {
    return this.#behind.seen().filter(({ target }) => target !== READY);
  }

  faults(): readonly string[] {
    return this.#behind.faults();
  }

  logged(): readonly Logged[] {
    const lines = readFileSync(this.#log, "latin1").split("\n");
    return lines.flatMap((line) => {
      const seen = this.#kind.read(line);
      return seen === undefined || seen.target === READY ? [] : [seen];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A killed master leaves its workers behind.
    this.#process.signal("SIGTERM");
    await this.#process.ended;
    await this.#behind[Symbol.asyncDispose]();
    this.#home[Symbol.dispose]();
  }
}

/** Asked for until the proxy answers. */
const READY = "/ready";

async function answers(port: number): Promise<true | undefined> {
  const reply = await fetch(`http://127.0.0.1:${port}${READY}`).catch(() => undefined);
  await reply?.arrayBuffer();
  return reply?.ok === true ? true : undefined;
}

const isRoot = process.getuid?.() === 0;

/** Heads up to what the edge lets through; otherwise as Debian has it. */
const NGINX: ProxyKind = {
  name: "nginx",
  program: "nginx",
  debianPackage: "nginx-light",
  // It looks at the decoded and resolved path before it passes the target on as it came.
  declines: { "target /%00": 400, "target /..": 400, "OPTIONS *": 400 },
  command: (file) => ["nginx", "-e", "stderr", "-c", file],
  configuration: ({ home, port, recorder, log }) => `${isRoot ? "user root;\n" : ""}daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log stderr;
events {}
http {
  log_format seen escape=json '{"item":"$http_x_item","method":"$request_method","target":"$request_uri","host":"$http_host","status":$status}';
  access_log ${log} seen;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
  .map((name) => `  ${name}_temp_path ${home}/${name};`)
  .join("\n")}
  client_header_buffer_size 64k;
  large_client_header_buffers 8 64k;
  client_max_body_size 0;
  keepalive_requests 100000;
  upstream recorder { server 127.0.0.1:${recorder}; keepalive 8; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://recorder;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
    }
  }
}
`,
  read: (line) => (line.startsWith("{") ? (JSON.parse(line) as Logged) : undefined),
};

const HAPROXY: ProxyKind = {
  name: "HAProxy",
  program: "haproxy",
  debianPackage: "haproxy",
  // A name has at most 255 bytes there.
  declines: { "a long name": 400 },
  // Into a pipe that is full for a moment it would not write.
  command: (file, log) => ["sh", "-c", 'exec haproxy -db -f "$1" > "$2"', "sh", file, log],
  configuration: ({ port, recorder }) => `global
  log stdout len 65535 format raw local0 info
  tune.bufsize 131072
  tune.http.logurilen 16384
  tune.http.maxhdr 256
defaults
  mode http
  log global
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend visitors
  bind 127.0.0.1:${port}
  capture request header X-Item len 32
  capture request header Host len 256
  log-format "seen %[capture.req.hdr(0)] %[capture.req.method] %[capture.req.hdr(1)] %ST %[capture.req.uri]"
  default_backend recorder
backend recorder
  server recorder 127.0.0.1:${recorder}
`,
  read: (line) => {
    const seen = fromWords(/^seen (\S*) (\S*) (\S*) (\d+) (.*)$/.exec(line));
    // Its sample of a target without a path is empty.
    return seen?.target === "-" ? { ...seen, target: "*" } : seen;
  },
};

const APACHE: ProxyKind = {
  name: "Apache",
  program: "apache2",
  debianPackage: "apache2-bin",
  // As nginx; what asks for nothing but the server it answers itself.
  declines: { "target /%00": 404, "target /..": 400, "OPTIONS *": 200 },
  rewrites: { "target //double": "/double" },
  command: (file) => ["apache2", "-DFOREGROUND", "-f", file],
  configuration: ({ home, port, recorder, log }) => `ServerRoot ${home}
DefaultRuntimeDir ${home}
PidFile ${home}/apache.pid
ErrorLog ${home}/error.log
${["mpm_event", "authz_core", "proxy", "proxy_http"]
  .map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`)
  .join("\n")}
${isRoot ? "User www-data\nGroup www-data\n" : ""}Listen 127.0.0.1:${port}
ServerName recorder
StartServers 1
ServerLimit 2
ThreadsPerChild 16
MaxRequestWorkers 32
MaxKeepAliveRequests 0
KeepAliveTimeout 60
LimitRequestLine 16384
LimitRequestFieldSize 65536
LimitRequestFields 300
AllowEncodedSlashes NoDecode
ProxyPreserveHost On
ProxyPass / http://127.0.0.1:${recorder}/ nocanon
LogFormat "seen %{X-Item}i %m %{Host}i %>s %r" seen
CustomLog ${log} seen
`,
  read: (line) => {
    const seen = fromWords(/^seen (\S*) (\S*) (\S*) (\d+) \S+ (.*) HTTP\/1\.1$/.exec(line));
    // In its log a backslash stands in front of itself and of a quotation mark.
    return seen && { ...seen, target: seen.target.replace(/\\(.)/g, "$1") };
  },
};

function fromWords(words: RegExpExecArray | null): Logged | undefined {
  if (words === null) return undefined;
  const [, item = "", method = "", host = "", status, target = ""] = words;
  return { item, method, host, status: Number(status), target };
}

function proxyKind(kind: ProxyKind): RecorderKind {
  return {
    name: `${kind.name} in front of Node`,
    declines: kind.declines,
    rewrites: kind.rewrites ?? {},
    isInstalled: isInstalled(kind.program, kind.debianPackage),
    start: () => Proxy.start(kind),
  };
}

function programKind(
  name: string,
  program: string,
  script: string,
  declines: RecorderKind["declines"] = {},
): RecorderKind {
  return {
    name,
    declines,
    rewrites: {},
    isInstalled: isInstalled(program),
    start: () => RecordingProgram.start([program, scriptOf(script)]),
  };
}

/** Servers of other makers: each has its own idea of where a request ends. */
export const RECORDERS: readonly RecorderKind[] = [
  programKind("Node", "node", "recorder.mjs"),
  programKind("Bun", process.execPath, "recorder.mjs", { "OPTIONS *": 400 }),
  programKind("Python", "python3", "recorder.py"),
  proxyKind(NGINX),
  proxyKind(HAPROXY),
  proxyKind(APACHE),
];
