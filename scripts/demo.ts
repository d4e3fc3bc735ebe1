// This file is `npm run demo`: edge, connector and an app on loopback, with real checks; then it stays for a look. product.md §1.4.
import { copyFileSync, mkdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { check } from "./demo/checks.ts";
import { PAGE, startOrigin } from "./demo/origin.ts";
import { Visitor } from "./demo/visitor.ts";
import { ensureBuilt, ROOT, TUNL } from "./rig/executable.ts";
import { DOMAIN, ScratchDirectory, startConnector, startEdge } from "./rig/pair.ts";
import type { Connector, Edge } from "./rig/pair.ts";
import { isFree } from "./rig/ports.ts";
import { ProgramError } from "./rig/program.ts";

const FIRST_PORT = 8443;
const LAST_PORT = 8542;
const FOLDER = "dist/demo";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_CHECK = 8;
const EXIT_INTERRUPTED = 130;

function tell(isGood: boolean, label: string, text: string): void {
  console.log(`${isGood ? "✔" : "✖"} ${label.padEnd(12)} ${text}`);
}

/** An edge on the first port that is free. */
async function startDemoEdge(home: string): Promise<Edge> {
  for (let port = FIRST_PORT; port <= LAST_PORT; port++) {
    if (!(await isFree(port))) continue;
    try {
      return await startEdge({ executable: TUNL, home, port });
    } catch (error) {
      // Somebody was faster since we looked.
      if (!(error instanceof ProgramError && error.code === "PORT_IN_USE")) throw error;
    }
  }
  throw new Error(`Ports ${FIRST_PORT} to ${LAST_PORT} of 127.0.0.1 are all in use`);
}

/** Puts the root certificate where the printed command finds it. Whoever holds the port owns the name, so two demos do not meet. */
function publishRoot({ caPath, port }: Edge): { path: string; remove: () => void } {
  const path = `${FOLDER}/${port === FIRST_PORT ? "ca.pem" : `ca-${port}.pem`}`;
  mkdirSync(`${ROOT}${FOLDER}`, { recursive: true });
  copyFileSync(caPath, `${ROOT}${path}`);
  const remove = (): void => {
    rmSync(`${ROOT}${path}`, { force: true });
    try {
      rmdirSync(`${ROOT}${FOLDER}`);
    } catch (error) {
      // Another demo still has its file there, or has just removed the folder.
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "ENOTEMPTY" && code !== "EEXIST" && code !== "ENOENT") throw error;
    }
  };
  return { path, remove };
}

/** Resolves if the edge or the connector ends without being asked. */
async function endedAlone(edge: Edge, connector: Connector): Promise<number> {
  const [name, program, code] = await Promise.race([
    edge.program.ended.then((code) => ["edge", edge.program, code] as const),
    connector.program.ended.then((code) => ["connector", connector.program, code] as const),
  ]);
  // A Ctrl-C reaches the whole process group: they may stop before we heard of it, and our own SIGTERM then cuts their drain.
  if (code === 0 || phase === "stopping") return 0;
  tell(false, name, `ended with ${code}\n${program.tail}`);
  return EXIT_FAILED;
}

/** @returns Exit code. */
async function demo(isOnce: boolean, scope: AsyncDisposableStack): Promise<number> {
  const outcome = await ensureBuilt();
  tell(outcome !== "failed", "built", `dist/tunl${outcome === "up to date" ? ", up to date" : ""}`);
  if (outcome === "failed") return EXIT_FAILED;
  const home = scope.use(new ScratchDirectory("tunl-demo-")).path;
  const edge = scope.use(await startDemoEdge(`${home}/edge`));
  tell(true, "edge", `127.0.0.1:${edge.port}, domain ${DOMAIN}, internal CA`);
  const origin = scope.use(startOrigin());
  tell(true, "demo app", origin.url);
  const connector = scope.use(
    await startConnector({
      executable: TUNL,
      home: `${home}/connector`,
      target: origin.url,
      joinLine: await edge.invite(),
    }),
  );
  tell(true, "connected", connector.connected);
  console.log(`${connector.url.origin} -> ${origin.url}`);
  const visitor = new Visitor(connector.url, readFileSync(edge.caPath, "utf8"));
  let isGood = true;
  for await (const result of check(visitor, PAGE)) {
    tell(result.isGood, result.label, result.text);
    isGood &&= result.isGood;
  }
  if (!isGood) return EXIT_CHECK;
  if (isOnce) return 0;
  const root = publishRoot(edge);
  scope.defer(root.remove);
  console.log(
    `Try it: curl --cacert ${root.path} ${connector.url.href}      (Ctrl-C stops, files are removed)`,
  );
  console.log(`A browser distrusts the certificate until ${root.path} is imported there`);
  phase = "waiting";
  return endedAlone(edge, connector);
}

let phase: "checking" | "waiting" | "stopping" = "checking";
const unknown = process.argv.slice(2).find((argument) => argument !== "--once");
if (unknown !== undefined) {
  console.error(`✖ usage        Unknown argument "${unknown}", expected --once or nothing`);
  process.exit(EXIT_USAGE);
}
const { promise: interrupted, resolve: interrupt } = Promise.withResolvers<number>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => {
    if (phase !== "stopping") tell(true, "stopping", "edge, connector and app; files are removed");
    interrupt(phase === "checking" ? EXIT_INTERRUPTED : 0);
    phase = "stopping";
  });
const scope = new AsyncDisposableStack();
let exitCode = EXIT_FAILED;
try {
  exitCode = await Promise.race([demo(process.argv.includes("--once"), scope), interrupted]);
} catch (error) {
  tell(false, "demo", error instanceof Error ? error.message : String(error));
} finally {
  await scope.disposeAsync();
}
process.exit(exitCode);
