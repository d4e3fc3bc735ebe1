// This file is that nothing is left of requests that are over: entries of every table and bytes held, as both ends say.
import { eventually } from "../binary/program.ts";
import { tunl } from "../binary/tunl.ts";

type Counts = Readonly<Record<string, number>>;

/** What one process says of itself in `tunl status --json`. */
interface State {
  readonly tables: Counts;
  readonly bytes: Counts;
}

/** Tables that have an entry per request or per connection of a visitor. */
const PASSING = ["visitors", "requests", "unansweredRequests", "exchanges", "owingStreams"];

/** What is not as before the first request. One stream stays: the announcement of the names. */
function left({ tables, bytes }: State): string[] {
  const entries = PASSING.map((name) => [name, tables[name] ?? 0] as const);
  const streams = ["streams", (tables["streams"] ?? 0) - 1] as const;
  return [...entries, streams, ...Object.entries(bytes)].flatMap(([name, count]) =>
    count === 0 ? [] : [`${name} ${count}`],
  );
}

async function stateOf(home: string, side: "edge" | "connector"): Promise<State> {
  const { code, stdout, stderr } = await tunl(["status", "--json"], { home });
  if (code !== 0) throw new Error(`tunl status ended with ${code}: ${stderr}`);
  const status: { edge: State; connectors: readonly State[] } = JSON.parse(stdout);
  const state = side === "edge" ? status.edge : status.connectors[0];
  if (state === undefined) throw new Error(`No ${side} in ${stdout}`);
  return state;
}

/** Waits until an edge with one tunnel and its connector hold nothing of any request. @throws with what is left. */
export async function expectNothingLeft(edgeHome: string, connectorHome: string): Promise<void> {
  let last: readonly string[] = [];
  await eventually(async () => {
    const edge = left(await stateOf(edgeHome, "edge"));
    const connector = left(await stateOf(connectorHome, "connector"));
    last = [
      ...edge.map((text) => `edge: ${text}`),
      ...connector.map((text) => `connector: ${text}`),
    ];
    return last.length === 0 ? true : undefined;
  }, "an end of everything").catch((error: unknown) => {
    throw new Error(`Left behind: ${last.join(", ")}`, { cause: error });
  });
}
