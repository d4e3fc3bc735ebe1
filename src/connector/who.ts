// This file is whom a connector is: which edge, which key, and whether that key is still to be enrolled. product.md §1.1, §5.
import type { ConnectorOptions, TokenSource } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import {
  EdgeDirectory,
  type EdgeRecord,
  listEdges,
  parseJoinLine,
  parseTunnel,
  type PendingKey,
  readSecret,
  type SigningKey,
  type TunnelCredentials,
} from "../identity/index.ts";
import { readToken } from "./token-identity.ts";

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The key is of another tunnel than the one that was typed. */
export function otherTunnel(what: string, is: string, wanted: string | undefined): TunlError {
  return new TunlError(
    "BAD_CREDENTIALS",
    `${what} is a key of tunnel "${is}", and the one to run is "${wanted}"`,
    {
      hint: `Run tunnel "${is}", or leave out what names its key, so that the key of "${wanted}" is looked up`,
    },
  );
}

/** The identity of one uplink. */
export interface Identity {
  readonly host: string;
  readonly port: number;
  readonly fingerprint: string;
  readonly key: SigningKey;
  readonly directory: EdgeDirectory;
  /** The code of a join line whose key the edge does not know yet. */
  readonly enrolment: { readonly pending: PendingKey; readonly code: Uint8Array } | undefined;
  /** Name of the tunnel, once known. */
  readonly tunnel: string | undefined;
  /** The key as its file has it now, which `tunl tunnel rotate` may have renewed; undefined where no file holds it. */
  readonly reread?: () => Promise<SigningKey | undefined>;
}

const NOT_JOINED_HINT =
  "Run tunl edge invite on the edge, then here tunl connect TARGET --join LINE";

/**
 * Finds the identity that the options mean: join line, credentials file, tunnel, or the edge joined last.
 * @throws TunlError `NOT_JOINED`, `BAD_JOIN_LINE`, `BAD_CREDENTIALS`, `INSECURE_FILE`, `EDGE_KEY_MISMATCH`.
 */
export async function findIdentity(
  options: ConnectorOptions,
  wallClock: number,
): Promise<Identity> {
  const identity = await identityOf(options, wallClock);
  const { fingerprint } = options;
  if (fingerprint !== undefined && fingerprint !== identity.fingerprint) {
    throw new TunlError(
      "EDGE_KEY_MISMATCH",
      `The credentials are for the edge with key ${identity.fingerprint}, and fingerprint is ${fingerprint}`,
      { hint: "Leave fingerprint out, or name the credentials of that edge" },
    );
  }
  return identity;
}

async function identityOf(options: ConnectorOptions, wallClock: number): Promise<Identity> {
  if (options.join !== undefined) return fromLine(options, options.join, wallClock);
  if (options.token !== undefined) return fromToken(options, options.token);
  const { credentialsText, credentialsPath } = options;
  if (credentialsText !== undefined)
    return fromText(options, credentialsText, "credentials-contents");
  if (credentialsPath !== undefined) return fromFile(options, credentialsPath);
  return fromDirectory(options);
}

async function fromLine(
  options: ConnectorOptions,
  text: string,
  wallClock: number,
): Promise<Identity> {
  const line = parseJoinLine(text);
  const directory = new EdgeDirectory(options.edgesDirectory, line.host, line.port);
  const prepared = await directory.prepare(line, "tunnel", wallClock);
  if (prepared.state === "known") {
    if (prepared.credentials.kind !== "tunnel") {
      throw new TunlError("JOIN_REFUSED", "This line logs an account in, expected a join line", {
        hint: "Run tunl edge invite on the edge",
      });
    }
    return fromCredentials(directory, prepared.credentials);
  }
  return {
    host: line.host,
    port: line.port,
    fingerprint: line.fingerprint,
    key: prepared.pending.key,
    directory,
    enrolment: { pending: prepared.pending, code: line.code },
    tunnel: undefined,
    // Which file the key will have is known when the edge has named its tunnel.
    reread: async () => {
      const tunnels = await directory.listTunnels();
      return tunnels.find(({ codeHash }) => codeHash === prepared.pending.codeHash)?.key;
    },
  };
}

/** Nothing but the token: where a machine never joined, nothing is written either. */
async function fromToken(options: ConnectorOptions, source: TokenSource): Promise<Identity> {
  const { host, port, fingerprint, key, tunnel } = await readToken(source, options);
  if (options.isTunnelTyped && UUID.test(options.tunnel ?? "") && options.tunnel !== tunnel)
    throw otherTunnel("The token", tunnel, options.tunnel);
  const directory = new EdgeDirectory(options.edgesDirectory, host, port);
  return { host, port, fingerprint, key, directory, enrolment: undefined, tunnel: undefined };
}

async function fromFile(options: ConnectorOptions, path: string): Promise<Identity> {
  const text = await readSecret(path);
  if (text === undefined) {
    throw new TunlError("BAD_CREDENTIALS", `There is no credentials file "${path}"`, {
      hint: NOT_JOINED_HINT,
    });
  }
  const { directory, credentials } = readText(options, text, path);
  return fromCredentials(directory, credentials, path);
}

function fromText(options: ConnectorOptions, text: string, name: string): Identity {
  const { directory, credentials } = readText(options, text, name);
  const { reread: _noFile, ...identity } = fromCredentials(directory, credentials);
  return identity;
}

/** @param name Where the text stood, for errors. */
function readText(
  options: ConnectorOptions,
  text: string,
  name: string,
): { readonly directory: EdgeDirectory; readonly credentials: TunnelCredentials } {
  const credentials = parseTunnel(text, name);
  const { tunnel = credentials.tunnel, isTunnelTyped } = options;
  if (isTunnelTyped && !isOf(credentials, tunnel))
    throw otherTunnel(`"${name}"`, credentials.name, tunnel);
  const { host, port } = credentials;
  const { edge } = options;
  if (edge !== undefined && (edge.host !== host || edge.port !== port)) {
    throw new TunlError(
      "BAD_CREDENTIALS",
      `"${name}" is a key for edge ${host}:${port}, and edge is ${edge.host}:${edge.port}`,
      { hint: "Leave edge out, or name the credentials of that edge" },
    );
  }
  return { directory: new EdgeDirectory(options.edgesDirectory, host, port), credentials };
}

/** The keys that lie here: of the edge that was named, or of any, the one joined last first. */
async function fromDirectory({
  edge,
  edgesDirectory,
  tunnel,
}: ConnectorOptions): Promise<Identity> {
  const edges = await listEdges(edgesDirectory);
  const meant =
    edge === undefined
      ? edges
      : edges.filter(({ host, port }) => host === edge.host && port === edge.port);
  const [first] = meant;
  if (first === undefined) {
    // Most texts name an edge without its port.
    const near = edges.find(({ host }) => host === edge?.host);
    const named = near === undefined ? edge?.host : `${near.host}:${edge?.port}`;
    throw new TunlError("NOT_JOINED", `This machine has not joined ${named ?? "an edge"}`, {
      hint:
        near === undefined
          ? // A service often runs as another user than the one who joined.
            `${NOT_JOINED_HINT}; keys of this user are looked for in ${edgesDirectory}`
          : `It has joined ${near.host}:${near.port}: write --edge ${near.host}:${near.port}`,
    });
  }
  if (tunnel === undefined) {
    const directory = new EdgeDirectory(edgesDirectory, first.host, first.port);
    return fromCredentials(directory, await defaultTunnel(directory, first.tunnel));
  }
  for (const { host, port } of meant) {
    const directory = new EdgeDirectory(edgesDirectory, host, port);
    const found = (await directory.listTunnels()).find((own) => isOf(own, tunnel));
    if (found !== undefined) return fromCredentials(directory, found);
  }
  throw await noKeyOf(tunnel, edge === undefined ? "" : ` of ${edge.host}`, meant, edgesDirectory);
}

/** The tunnel that the edge's file names, or the only one there is. */
async function defaultTunnel(
  directory: EdgeDirectory,
  wanted: string | undefined,
): Promise<TunnelCredentials> {
  const tunnels = await directory.listTunnels();
  const named = tunnels.find(({ tunnel }) => tunnel === wanted);
  const [only] = tunnels;
  if (named !== undefined) return named;
  if (only !== undefined && tunnels.length === 1) return only;
  if (only === undefined) {
    const isAccount = (await directory.readAccount()) !== undefined;
    const hint = isAccount ? "Run tunl tunnel create NAME" : NOT_JOINED_HINT;
    throw new TunlError("NOT_JOINED", `This machine has no tunnel of ${directory.host}`, { hint });
  }
  throw new TunlError(
    "NOT_JOINED",
    `This machine has keys of several tunnels of ${directory.host}: ${namesOf(tunnels)}`,
    { hint: `Name one of ${namesOf(tunnels)} with --tunnel` },
  );
}

/** What to do depends on whether this machine may make tunnels, and on what else it has. */
async function noKeyOf(
  wanted: string,
  where: string,
  edges: readonly EdgeRecord[],
  edgesDirectory: string,
): Promise<TunlError> {
  const directories = edges.map(({ host, port }) => new EdgeDirectory(edgesDirectory, host, port));
  const others = (await Promise.all(directories.map((each) => each.listTunnels()))).flat();
  const accounts = await Promise.all(directories.map((each) => each.readAccount()));
  const isAccount = accounts.some((account) => account !== undefined);
  const hint = isAccount
    ? `Run tunl tunnel create ${wanted}; if it exists already (tunl tunnel list), copy its key file here and name it with --credentials`
    : others.length === 0
      ? NOT_JOINED_HINT
      : `Name one of ${namesOf(others)} with --tunnel`;
  return new TunlError("NOT_JOINED", `This machine has no key of tunnel "${wanted}"${where}`, {
    hint,
  });
}

function namesOf(tunnels: readonly TunnelCredentials[]): string {
  return tunnels.map(({ name }) => `"${name}"`).join(", ");
}

function isOf({ tunnel, name }: TunnelCredentials, wanted: string): boolean {
  return tunnel === wanted || name === wanted;
}

function fromCredentials(
  directory: EdgeDirectory,
  credentials: TunnelCredentials,
  path = directory.pathOf(credentials.tunnel),
): Identity {
  const { host, port, fingerprint, key, name } = credentials;
  const reread = async (): Promise<SigningKey | undefined> => {
    const text = await readSecret(path);
    return text === undefined ? undefined : parseTunnel(text, path).key;
  };
  return { host, port, fingerprint, key, directory, enrolment: undefined, tunnel: name, reread };
}
