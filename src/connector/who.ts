// This file is whom a connector is: which edge, which key, and whether that key is still to be enrolled. product.md §1.1, §5.
import type { ConnectorOptions } from "../config/index.ts";
import { TunlError } from "../errors.ts";
import {
  EdgeDirectory,
  listEdges,
  parseJoinLine,
  parseTunnel,
  type PendingKey,
  readSecret,
  type SigningKey,
  type TunnelCredentials,
} from "../identity/index.ts";

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
  const { credentialsText, credentialsPath } = options;
  if (credentialsText !== undefined)
    return fromText(options, credentialsText, "credentials-contents");
  if (credentialsPath !== undefined) return fromFile(options, credentialsPath);
  const { host, port } = options.edge ?? (await lastEdge(options));
  const directory = new EdgeDirectory(options.edgesDirectory, host ?? "localhost", port);
  const edge = await directory.readEdge();
  if (edge === undefined) {
    throw new TunlError("NOT_JOINED", `This machine has not joined ${host}`, {
      hint: NOT_JOINED_HINT,
    });
  }
  return fromCredentials(directory, await chooseTunnel(directory, options.tunnel ?? edge.tunnel));
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
  };
}

async function fromFile(options: ConnectorOptions, path: string): Promise<Identity> {
  const text = await readSecret(path);
  if (text === undefined) {
    throw new TunlError("BAD_CREDENTIALS", `There is no credentials file "${path}"`, {
      hint: NOT_JOINED_HINT,
    });
  }
  return fromText(options, text, path);
}

/** @param name Where the text stood, for errors. */
function fromText(options: ConnectorOptions, text: string, name: string): Identity {
  const credentials = parseTunnel(text, name);
  const { host, port } = credentials;
  const { edge } = options;
  if (edge !== undefined && (edge.host !== host || edge.port !== port)) {
    throw new TunlError(
      "BAD_CREDENTIALS",
      `"${name}" is a key for edge ${host}:${port}, and edge is ${edge.host}:${edge.port}`,
      { hint: "Leave edge out, or name the credentials of that edge" },
    );
  }
  return fromCredentials(new EdgeDirectory(options.edgesDirectory, host, port), credentials);
}

async function lastEdge(options: ConnectorOptions): Promise<{ host: string; port: number }> {
  const edges = await listEdges(options.edgesDirectory);
  const last = edges[0];
  if (last === undefined) {
    throw new TunlError("NOT_JOINED", "This machine has not joined an edge", {
      hint: NOT_JOINED_HINT,
    });
  }
  return last;
}

async function chooseTunnel(
  directory: EdgeDirectory,
  wanted: string | undefined,
): Promise<TunnelCredentials> {
  const tunnels = await directory.listTunnels();
  const found =
    wanted === undefined
      ? tunnels[0]
      : tunnels.find(({ tunnel, name }) => tunnel === wanted || name === wanted);
  if (found !== undefined && (wanted !== undefined || tunnels.length === 1)) return found;
  const names = tunnels.map(({ name }) => `"${name}"`).join(", ");
  throw new TunlError(
    "NOT_JOINED",
    wanted === undefined
      ? `This machine has keys of several tunnels of ${directory.host}: ${names}`
      : `This machine has no key of tunnel "${wanted}" of ${directory.host}`,
    { hint: tunnels.length === 0 ? NOT_JOINED_HINT : `Name one of ${names} with --tunnel` },
  );
}

function fromCredentials(directory: EdgeDirectory, credentials: TunnelCredentials): Identity {
  return {
    host: credentials.host,
    port: credentials.port,
    fingerprint: credentials.fingerprint,
    key: credentials.key,
    directory,
    enrolment: undefined,
    tunnel: credentials.name,
  };
}
