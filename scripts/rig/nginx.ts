// This file is an nginx of our own in a scratch directory: an origin over http, and the same content over https. benchmarks.md §5.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, listening } from "./ports.ts";
import { Program, run } from "./program.ts";

/** The name in its certificate. */
export const NGINX_HOST = "direct.localhost";
const OPENSSL_MS = 10_000;

/** What to serve. */
export interface NginxOptions {
  /** Path of nginx. */
  readonly executable: string;
  /** Path of openssl; https is not served without. */
  readonly openssl: string | undefined;
  /** Below it `files/` is served under `/`, and `PUT /put/NAME` writes to `put/NAME`. */
  readonly directory: string;
  /** What comes before the executable, such as `taskset -c 0`. */
  readonly prefix: readonly string[];
  /** Names this instance in messages and in its files. */
  readonly name: string;
  /**
   * Send buffer of each connection, such as `128k`. A thousand that wait fill the kernel's account for all TCP of the
   * machine with the megabytes each gets by itself, and then nobody's connection moves.
   */
  readonly sendBuffer?: string;
}

/** The running server: one process, which is its worker too. */
export interface Nginx extends AsyncDisposable {
  readonly program: Program;
  readonly httpPort: number;
  /** Undefined without openssl. */
  readonly https: { readonly port: number; readonly caPath: string } | undefined;
}

/** True if this nginx can take uploads: it needs its module for WebDAV. */
export async function canUpload(executable: string): Promise<boolean> {
  const { stderr } = await run([executable, "-V"], OPENSSL_MS);
  return stderr.includes("http_dav_module");
}

/** Starts it and waits until it listens. */
export async function startNginx(options: NginxOptions, withUpload: boolean): Promise<Nginx> {
  const { executable, openssl, directory, prefix, name } = options;
  for (const folder of ["files", "put", `temporary-${name}`])
    mkdirSync(join(directory, folder), { recursive: true });
  const httpPort = await freePort();
  const https =
    openssl === undefined
      ? undefined
      : {
          port: await freePort(),
          ...(await makeCertificate(openssl, join(directory, name))),
        };
  const path = join(directory, `${name}.conf`);
  writeFileSync(path, configText(options, httpPort, https, withUpload));
  const program = new Program({
    name: `nginx (${name})`,
    command: [...prefix, executable, "-p", directory, "-c", path],
    environment: {},
  });
  try {
    await Promise.race([
      listening(httpPort),
      program.ended.then((code) => {
        throw new Error(`nginx (${name}) ended with ${code}:\n${program.tail}`);
      }),
    ]);
  } catch (error) {
    await program.stop();
    throw error;
  }
  return {
    program,
    httpPort,
    https: https && { port: https.port, caPath: https.certificatePath },
    [Symbol.asyncDispose]: () => program.stop(),
  };
}

interface Pair {
  readonly certificatePath: string;
  readonly keyPath: string;
}

/** P-256, as an edge's own CA signs: the same work in each handshake. */
async function makeCertificate(openssl: string, stem: string): Promise<Pair> {
  const pair = { certificatePath: `${stem}.pem`, keyPath: `${stem}.key` };
  const { code, stderr } = await run(
    [
      ...[
        openssl,
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
      ],
      ...["-keyout", pair.keyPath, "-out", pair.certificatePath, "-days", "2"],
      ...["-subj", `/CN=${NGINX_HOST}`, "-addext", `subjectAltName=DNS:${NGINX_HOST}`],
    ],
    OPENSSL_MS,
  );
  if (code !== 0) throw new Error(`openssl req ended with ${code}:\n${stderr}`);
  return pair;
}

function configText(
  { directory, name, sendBuffer }: NginxOptions,
  httpPort: number,
  https: (Pair & { port: number }) | undefined,
  withUpload: boolean,
): string {
  const temporary = join(directory, `temporary-${name}`);
  const content = `
    root ${join(directory, "files")};
    location = /1k { return 200 "${"x".repeat(1_024)}"; }
    ${withUpload ? `location /put/ { root ${directory}; dav_methods PUT; }` : ""}`;
  // As root it would give its directories to another user, who is not known in a namespace of one user.
  return `${process.getuid?.() === 0 ? "user root;\n" : ""}daemon off;
master_process off;
pid ${temporary}/pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  default_type application/octet-stream;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  client_body_temp_path ${temporary};
  proxy_temp_path ${temporary};
  fastcgi_temp_path ${temporary};
  uwsgi_temp_path ${temporary};
  scgi_temp_path ${temporary};
  server {
    listen 127.0.0.1:${httpPort} backlog=4096${sendBuffer === undefined ? "" : ` sndbuf=${sendBuffer}`};${content}
  }
${
  https === undefined
    ? ""
    : `  server {
    listen 127.0.0.1:${https.port} ssl backlog=4096;
    server_name ${NGINX_HOST};
    ssl_certificate ${https.certificatePath};
    ssl_certificate_key ${https.keyPath};
    ssl_protocols TLSv1.3;
${content}
  }
`
}}
`;
}
