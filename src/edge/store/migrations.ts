// This file is the schema of `state.db`, version by version; a version that was released is never edited.
import type { Database } from "bun:sqlite";
import { TunlError } from "../../errors.ts";

/** "tunl" as a number, in the header of the file: tells our database from any other. */
export const APPLICATION_ID = 0x74756e6c;

/**
 * Times are wall-clock milliseconds; scopes are JSON lists of patterns; keys and hashes are blobs of 32 bytes.
 * Rows of `keys` are never deleted: a revoked key must stay known for ever.
 */
const VERSION_1 = `
CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  scope TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tunnels (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  account TEXT REFERENCES accounts (id),
  created_at INTEGER NOT NULL,
  seen_at INTEGER
) STRICT;

CREATE TABLE keys (
  public_key BLOB PRIMARY KEY CHECK (length(public_key) = 32),
  tunnel TEXT REFERENCES tunnels (id),
  account TEXT REFERENCES accounts (id),
  key_id TEXT NOT NULL,
  scope TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  seen_at INTEGER,
  revoked_at INTEGER,
  CHECK ((tunnel IS NULL) <> (account IS NULL)),
  UNIQUE (tunnel, key_id),
  UNIQUE (account, key_id)
) STRICT;

CREATE TABLE codes (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
  makes TEXT NOT NULL CHECK (makes IN ('tunnel', 'key', 'account')),
  tunnel TEXT REFERENCES tunnels (id),
  name TEXT,
  scope TEXT NOT NULL,
  uses INTEGER NOT NULL CHECK (uses > 0),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  CHECK ((makes = 'key') = (tunnel IS NOT NULL))
) STRICT;

CREATE TABLE code_uses (
  code BLOB NOT NULL REFERENCES codes (hash) ON DELETE CASCADE,
  public_key BLOB NOT NULL REFERENCES keys (public_key),
  used_at INTEGER NOT NULL,
  PRIMARY KEY (code, public_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
  host TEXT PRIMARY KEY,
  tunnel TEXT NOT NULL REFERENCES tunnels (id),
  how TEXT NOT NULL CHECK (how IN ('claimed', 'granted', 'random')),
  public_key BLOB REFERENCES keys (public_key),
  target TEXT,
  created_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL,
  CHECK ((how = 'random') = (public_key IS NOT NULL AND target IS NOT NULL)),
  UNIQUE (public_key, target)
) STRICT;
CREATE INDEX hosts_of_tunnel ON hosts (tunnel);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  fields TEXT NOT NULL
) STRICT;
`;

/**
 * Tunnels of accounts, keys that end. A deleted tunnel keeps its row for the keys that refer to it, under its id as a
 * name, which no tunnel can have otherwise. `replaced_by` is the key that a rotation put in place. `is_fixed` marks
 * what the edge's configuration grants.
 */
const VERSION_2 = `
ALTER TABLE tunnels ADD COLUMN deleted_at INTEGER;
CREATE INDEX tunnels_of_account ON tunnels (account);

ALTER TABLE keys ADD COLUMN kind TEXT NOT NULL DEFAULT 'key' CHECK (kind IN ('key', 'token'));
ALTER TABLE keys ADD COLUMN expires_at INTEGER;
ALTER TABLE keys ADD COLUMN replaced_by BLOB REFERENCES keys (public_key);

ALTER TABLE hosts ADD COLUMN is_fixed INTEGER NOT NULL DEFAULT 0 CHECK (is_fixed IN (0, 1));
`;

/**
 * The proof of names outside of the domains: when it was last seen, and since when it is missing; names of before keep the
 * trust they had until they are looked at. Records that the edge made in the DNS, which outlive the name they were made for
 * until they are removed there.
 */
const VERSION_3 = `
ALTER TABLE hosts ADD COLUMN proof TEXT CHECK (proof IN ('proven', 'suspended'));
ALTER TABLE hosts ADD COLUMN proof_at INTEGER;
ALTER TABLE hosts ADD COLUMN proof_failed_at INTEGER;
UPDATE hosts SET proof = 'proven';

CREATE TABLE dns_records (
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  value TEXT NOT NULL,
  host TEXT NOT NULL,
  tunnel TEXT NOT NULL REFERENCES tunnels (id),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (name, type, value)
) STRICT;
CREATE INDEX dns_records_of_host ON dns_records (host);
`;

/** What leads from each version to the next, the first one from an empty file. */
export const MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2, VERSION_3];

/** The version this build writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** The version of an open database; 0 for an empty file. */
export function versionOf(database: Database): number {
  return (database.query("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/**
 * Brings the schema up to date, each version in a transaction of its own.
 *
 * @param beforeFirst Runs before anything of an older build is changed, and not for a new file.
 * @throws TunlError `STATE_TOO_NEW` for a database of a later build: going back would lose what it knows.
 */
export function migrate(database: Database, beforeFirst: () => void): void {
  const version = versionOf(database);
  if (version > SCHEMA_VERSION) {
    throw new TunlError(
      "STATE_TOO_NEW",
      `State has version ${version}, expected at most ${SCHEMA_VERSION}`,
      {
        hint: "Run the tunl that wrote it, or a newer one",
      },
    );
  }
  if (version > 0 && version < SCHEMA_VERSION) beforeFirst();
  for (let next = version + 1; next <= SCHEMA_VERSION; next++) {
    database
      .transaction(() => {
        database.run(MIGRATIONS[next - 1] as string);
        database.run(`PRAGMA application_id = ${APPLICATION_ID}`);
        database.run(`PRAGMA user_version = ${next}`);
      })
      .immediate();
  }
}
