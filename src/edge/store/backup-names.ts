// This file is the names of backups: when each was made, which came later, and which have had their time. reliability.md §4 items 5 and 7.

/** Below the state directory. */
export const BACKUP_DIRECTORY = "backup";

/** Hours before that of the newest backup whose last one is kept. */
const HOURS_KEPT = 7;
const NAME = /^state-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(\d{1,15})\.db$/;

export type BackupName = {
  /** `state-20261122T100000Z-42.db` */
  readonly name: string;
  /** Wall-clock milliseconds of the edge when it was made: for people. */
  readonly at: number;
  /** Counts up from backup to backup and is their order: a clock that was set back does not make an old state the newest. */
  readonly number: number;
};

/** The name of the backup that follows `newest`. */
export function nextBackup(newest: BackupName | undefined, now: number): BackupName {
  const number = (newest?.number ?? 0) + 1;
  const at = Math.floor(now / 1_000) * 1_000;
  return { name: `state-${compactTime(at)}-${number}.db`, at, number };
}

/** 20261122T100005Z */
export function compactTime(at: number): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d+/g, "");
}

/** The backups among the names of a directory, newest first; other names are nobody's business. */
export function parseBackups(names: readonly string[]): BackupName[] {
  return names
    .flatMap((name) => {
      const [, ...parts] = NAME.exec(name) ?? [];
      if (parts.length === 0) return [];
      const [year, month, day, hour, minute, second, number] = parts.map(Number) as [
        ...[number, number, number, number, number, number, number],
      ];
      return [{ name, at: Date.UTC(year, month - 1, day, hour, minute, second), number }];
    })
    .sort((one, other) => other.number - one.number);
}

/**
 * The backups that may go: all but the newest and the last one of each of the seven hours before its own.
 *
 * @param backups Newest first.
 */
export function surplusBackups(backups: readonly BackupName[]): BackupName[] {
  const hours = new Set<number>();
  return backups.filter(({ at }) => {
    const hour = Math.floor(at / 3_600_000);
    if (hours.has(hour) || hours.size > HOURS_KEPT) return true;
    hours.add(hour);
    return false;
  });
}
