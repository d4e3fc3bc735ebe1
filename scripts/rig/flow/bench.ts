// This file is what slow readers are measured on: nginx with one large file, an edge, a connector, and the memory of the edge over a time.
import { closeSync, ftruncateSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { edgeFigures, type Figures } from "../figures.ts";
import { startNginx } from "../nginx.ts";
import { type Connector, type Edge, ScratchDirectory, startConnector, startEdge } from "../pair.ts";
import { memoryOf } from "../process-figures.ts";
import { readerGoal, type ReaderGoal } from "../reader.ts";
import { TUNL } from "../executable.ts";

/** As in the tests, `TUNL_EXECUTABLE` names another one. */
const EXECUTABLE = process.env["TUNL_EXECUTABLE"] ?? TUNL;

/** All load comes from one address. */
const CONFIG = "limits: {connectionsPerIp: off, acceptPerIp: off, concurrent: 2000}\n";
/** Holes of a sparse file: it costs neither disk nor time to make. */
export const LARGE = { path: "/large", bytes: 1_000_000_000 } as const;

/** An origin, an edge and a connector as processes of their own. */
export class Bench implements AsyncDisposable {
  readonly edge: Edge;
  readonly connector: Connector;
  readonly goal: ReaderGoal;
  readonly #originPort: number;
  readonly #scope: AsyncDisposableStack;
  readonly #scratch: ScratchDirectory;

  private constructor(
    edge: Edge,
    connector: Connector,
    originPort: number,
    scratch: ScratchDirectory,
    scope: AsyncDisposableStack,
  ) {
    this.edge = edge;
    this.connector = connector;
    this.goal = readerGoal(connector.url, edge.caPath);
    this.#originPort = originPort;
    this.#scratch = scratch;
    this.#scope = scope;
  }

  /** @param isSmall True: small send buffers at the origin, see `NginxOptions`. */
  static async start(isSmall: boolean): Promise<Bench> {
    await using scope = new AsyncDisposableStack();
    const scratch = scope.use(new ScratchDirectory("tunl-rig-"));
    const nginx = scope.use(
      await startNginx(
        {
          executable: Bun.which("nginx", { PATH: SEARCH }) ?? "nginx",
          openssl: undefined,
          directory: scratch.path,
          prefix: [],
          name: "origin",
          ...(isSmall && { sendBuffer: "64k" }),
        },
        false,
      ),
    );
    const file = openSync(join(scratch.path, "files", LARGE.path), "w");
    ftruncateSync(file, LARGE.bytes);
    closeSync(file);
    const edge = scope.use(
      await startEdge({
        executable: EXECUTABLE,
        home: join(scratch.path, "edge"),
        port: 0,
        config: CONFIG,
      }),
    );
    const connector = scope.use(await connect(edge, scratch, nginx.httpPort, "flow"));
    return new Bench(edge, connector, nginx.httpPort, scratch, scope.move());
  }

  /** Small kernel buffers for every socket from now on; the link keeps those it has grown. Only in a namespace of our own. */
  shrinkBuffers(): void {
    writeFileSync("/proc/sys/net/ipv4/tcp_rmem", "4096 65536 65536");
    writeFileSync("/proc/sys/net/ipv4/tcp_wmem", "4096 16384 131072");
  }

  /** Another session beside the first one. */
  async another(label: string): Promise<Connector> {
    return this.#scope.use(await connect(this.edge, this.#scratch, this.#originPort, label));
  }

  /** What the edge says of itself. */
  figures(): Promise<Figures> {
    return edgeFigures(this.edge.home);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync();
  }
}

const SEARCH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;

async function connect(
  edge: Edge,
  scratch: ScratchDirectory,
  originPort: number,
  label: string,
): Promise<Connector> {
  return startConnector({
    executable: EXECUTABLE,
    home: join(scratch.path, label),
    target: String(originPort),
    joinLine: await edge.invite(),
    label,
  });
}

/** Highest values of a process while something else goes on, ten looks a second. */
export class Watch implements Disposable {
  /** Bytes. */
  readonly rss: number[] = [];
  readonly held: number[] = [];
  #isOver = false;

  constructor(pid: number, figures: () => Promise<Figures>) {
    void (async () => {
      while (!this.#isOver) {
        this.rss.push(memoryOf(pid).rss);
        this.held.push((await figures()).bytes["held"] as number);
        await Bun.sleep(100);
      }
    })();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
  }
}

/** The value below which so large a part of them lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  if (found === undefined) throw new Error("BUG: a quantile of nothing");
  return found;
}

export const KIB = 1 << 10;
export const MIB = 1 << 20;

/** For people. */
export function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
