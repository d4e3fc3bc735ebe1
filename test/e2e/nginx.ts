// This file is Debian's nginx as an origin: its own configuration in a temporary directory, a port of the system's choice.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../scripts/rig/ports.ts";
import { eventually, isInstalled, Program, SEARCH_PATH } from "../binary/program.ts";
import { Home } from "../binary/tunl.ts";

export const HAS_NGINX = isInstalled("nginx", "nginx-light");

const LIFE_MS = 600_000;

/** A running nginx that serves the files of `root`. */
export class Nginx implements AsyncDisposable {
  readonly process: Program;
  readonly port: number;
  /** Directory of the files it serves. */
  readonly root: string;
  readonly #home: Home;

  private constructor(process: Program, port: number, root: string, home: Home) {
    this.process = process;
    this.port = port;
    this.root = root;
    this.#home = home;
  }

  static async start(): Promise<Nginx> {
    const home = new Home();
    const root = join(home.path, "www");
    mkdirSync(root);
    writeFileSync(join(root, "index.html"), "<h1>nginx</h1>\n");
    const port = await freePort();
    const file = join(home.path, "nginx.conf");
    writeFileSync(file, configuration(home.path, root, port));
    const process = new Program(["nginx", "-e", "stderr", "-c", file], {
      environment: { PATH: SEARCH_PATH },
      deadlineMs: LIFE_MS,
    });
    const nginx = new Nginx(process, port, root, home);
    try {
      await eventually(() => answers(port), "nginx");
      return nginx;
    } catch (error) {
      await nginx[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A killed master leaves its workers behind.
    this.process.signal("SIGTERM");
    await this.process.ended;
    this.#home[Symbol.dispose]();
  }
}

function configuration(home: string, root: string, port: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${home}/${name};`)
    .join("\n");
  // Workers of a root master run as another user, who cannot see a private directory.
  return `${process.getuid?.() === 0 ? "user root;\n" : ""}daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log stderr;
events { worker_connections 4096; }
http {
  access_log off;
${temporary}
  sendfile on;
  types { text/html html; text/plain txt; }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 100000;
    root ${root};
    location = /moved { return 302 /index.html; }
    location = /gone { return 410 "gone for good"; }
  }
}
`;
}

async function answers(port: number): Promise<true | undefined> {
  const reply = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
  await reply?.arrayBuffer();
  return reply?.ok === true ? true : undefined;
}
