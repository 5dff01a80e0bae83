/**
 * A copy of `posthaste.db` that nobody has open: brought to the moment of its segments, or read from a folder without a
 * running process; and looked through before anybody relies on it.
 */
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { DATABASE_FILE, SQLITE_BUSY, SQLITE_FULL, explained, sqliteCode } from "./database.ts";

/** Puts the segments of a `CopyHold` over what was read meanwhile, in their order. */
export function putSegmentsOver(copy: string, segments: readonly string[]): void {
  for (const segment of segments) {
    copyFileSync(segment, `${copy}-wal`);
    using database = openAlone(copy);
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  rmSync(`${copy}-wal`, { force: true });
}

/**
 * Writes the database of a folder that no process has open to `copy`, which must not exist: what is in the file and in the
 * WAL beside it. Throws what the reader can mend, and changes no table.
 */
export function copyStopped(folder: string, copy: string): void {
  try {
    using database = openAlone(join(folder, DATABASE_FILE));
    database.run("BEGIN IMMEDIATE");
    database.run("COMMIT");
    database.run("VACUUM INTO ?", copy);
  } catch (error) {
    if (sqliteCode(error) === SQLITE_BUSY) {
      throw new Error(
        `A process has ${folder} open and offers no copy of it (backup.unavailable in its log says why). Stop it first.`,
        { cause: error },
      );
    }
    // What is full is where the copy goes.
    throw isFull(error) ? error : explained(error, folder);
  }
}

/** Has a disk no more room, by the word of SQLite or of the system? */
export function isFull(error: unknown): boolean {
  const isOfSystem = error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
  return isOfSystem || sqliteCode(error) === SQLITE_FULL;
}

/** Makes the copy one file that needs no WAL, and throws a sentence unless it is a sound database of ours. */
export function checkCopy(copy: string): void {
  using database = openAlone(copy);
  const fault = faultOf(database.run);
  if (fault !== null) {
    throw new Error(
      `The copy is not sound (${fault}), so it was not kept: the database itself may be damaged. ` +
        "Keep the backups that there are, and see docs/operations.md, Back-up and restore.",
    );
  }
  const version = Number(database.run("PRAGMA user_version")[0]?.["user_version"] ?? 0);
  if (version < 1) throw new Error("The database is empty: there is nothing to back up.");
}

/** SQLite's word for the first thing that is wrong, or null. */
function faultOf(run: (sql: string) => Record<string, unknown>[]): string | null {
  try {
    run("PRAGMA journal_mode = DELETE");
    const found = run("PRAGMA integrity_check(1)")[0]?.["integrity_check"];
    if (found === "ok") return null;
    return typeof found === "string" ? found : "no answer to integrity_check";
  } catch (error) {
    if (isFull(error)) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

function openAlone(path: string) {
  const database = new DatabaseSync(path);
  const run = (sql: string, ...values: string[]): Record<string, unknown>[] => database.prepare(sql).all(...values);
  try {
    run("PRAGMA busy_timeout = 0");
    run("PRAGMA locking_mode = EXCLUSIVE");
  } catch (error) {
    database.close();
    throw error;
  }
  return { run, [Symbol.dispose]: () => database.close() };
}
