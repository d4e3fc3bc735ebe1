// This file is the account of this machine at an edge, and the calls it makes. product.md §2.3; http.md §5.4.
import { formatAddress } from "../config/index.ts";
import type { AccountOptions } from "../config/index.ts";
import type { CallBody, EdgeCall } from "../connector/index.ts";
import { callEdge } from "../connector/index.ts";
import { TunlError } from "../errors.ts";
import { EdgeDirectory, listEdges } from "../identity/index.ts";
import type { AccountCredentials, Credentials } from "../identity/index.ts";

const LOGIN_HINT =
  "Run tunl edge invite --account on the edge, then here tunl login LINE with the line it prints";

/** Who asks, and where its files are. */
export interface Account {
  readonly credentials: AccountCredentials;
  readonly directory: EdgeDirectory;
}

/** What a call may say besides its body. */
export type CallExtras = Partial<Pick<EdgeCall, "onEvent" | "timeoutMs" | "signal">>;

/**
 * The account that the options mean: of `--edge`, else of the edge joined last that has one.
 *
 * @throws TunlError `NOT_LOGGED_IN`, `BAD_CREDENTIALS`, `INSECURE_FILE`.
 */
export async function findAccount(options: AccountOptions): Promise<Account> {
  for (const directory of await directoriesOf(options)) {
    const credentials = await directory.readAccount();
    if (credentials !== undefined) return { credentials, directory };
  }
  const { edge } = options;
  const where = edge === undefined ? "an edge" : formatAddress(edge);
  // Most texts name an edge without its port.
  const near = (await listEdges(options.edgesDirectory)).find(({ host }) => host === edge?.host);
  throw new TunlError("NOT_LOGGED_IN", `This machine has no account of ${where}`, {
    hint:
      near === undefined || near.port === edge?.port
        ? LOGIN_HINT
        : `It knows ${near.host}:${near.port}: write --edge ${near.host}:${near.port}`,
  });
}

/** The directory of `--edge`, or those of all edges, the one joined last first. */
export async function directoriesOf({
  edge,
  edgesDirectory,
}: AccountOptions): Promise<EdgeDirectory[]> {
  if (edge !== undefined)
    return [new EdgeDirectory(edgesDirectory, edge.host ?? "localhost", edge.port)];
  const edges = await listEdges(edgesDirectory);
  return edges.map(({ host, port }) => new EdgeDirectory(edgesDirectory, host, port));
}

/** Asks the edge with a key: of the account, or of a tunnel for itself. @throws TunlError as `callEdge`. */
export async function askEdge(
  options: AccountOptions,
  {
    credentials,
    directory,
  }: { readonly credentials: Credentials; readonly directory: EdgeDirectory },
  name: string,
  body: CallBody,
  extras: CallExtras = {},
): Promise<CallBody> {
  const { label, version, waitMs } = options;
  const record = await directory.readEdge();
  const lastGood = record?.addresses[0];
  return await callEdge({ credentials, name, body, label, version, waitMs, lastGood, ...extras });
}

/** A call whose answer is in its events: all of one name, in order. */
export async function askForList(
  options: AccountOptions,
  account: Account,
  name: string,
  body: CallBody,
): Promise<{
  readonly result: CallBody;
  readonly events: ReadonlyMap<string, readonly CallBody[]>;
}> {
  const events = new Map<string, CallBody[]>();
  const onEvent = (event: string, told: CallBody): void => {
    const list = events.get(event);
    if (list === undefined) events.set(event, [told]);
    else list.push(told);
  };
  const result = await askEdge(options, account, name, body, { onEvent });
  return { result, events };
}
