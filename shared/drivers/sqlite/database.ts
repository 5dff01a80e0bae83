/**
 * Opens the one SQLite file of the embedded set, for this process alone: WAL, every commit synced to disk, exclusive
 * lock of the kernel, so that SIGKILL frees it. `node:sqlite`, the same API on Bun, Node 24 and Deno.
 */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import type { StatementSync } from "node:sqlite";
import { DatabaseSync } from "node:sqlite";

import { PosthasteError } from "../../domain/errors.ts";
import { folderFault } from "../../domain/folder-fault.ts";
import { migrate } from "./migrations.ts";
import { rowDamaged } from "./row-damage.ts";

export type SqlValue = null | number | string | Uint8Array;

/** A prepared statement whose rows have the columns of `Row`; the SQL and the type stand side by side. */
export interface Statement<Row> {
  run(...values: SqlValue[]): { readonly changes: number | bigint };
  get(...values: SqlValue[]): Row | undefined;
  all(...values: SqlValue[]): Row[];
}

export interface Database {
  /** Prepares once and keeps the statement; `sql` must come from a small set of texts. */
  prepare<Row = Record<string, never>>(sql: string): Statement<Row>;
  /** Runs one statement without values, kept as by `prepare`. */
  exec(sql: string): void;
  /** Within BEGIN and COMMIT; SQLite itself ends a transaction on some errors. */
  isInTransaction(): boolean;
}

export const DATABASE_FILE = "posthaste.db";

/**
 * Pages in memory, 16 MiB; SQLite counts negative sizes in KiB. What is written lies at the ends of its trees, one leaf for each tenant:
 * 120,000 events of 20,000 tenants are written as quickly with 8 MiB as with 64, and the system keeps the file's pages besides.
 */
const CACHE_KIB = 16 * 1024;
/**
 * Pages of 4 KiB in the WAL before they are moved to the main file: 2 MiB take about 4 ms, in which nobody else's request is looked at. 16 MiB
 * take 33 ms, for 3 % less processor time of an event at saturation than 4 MiB (Bun 1.4.5, a virtual disk).
 */
export const WAL_PAGES = 512;
/** The WAL file is cut back to this after a burst. */
const WAL_BYTES_KEPT = 64 * 1024 * 1024;

const SQLITE_ERROR = 1;
export const SQLITE_BUSY = 5;
export const SQLITE_FULL = 13;

/**
 * Opens or creates `posthaste.db` in the folder (0700; the file 0600). Throws `store-unavailable` when another
 * process has it, naming the folder and what to do.
 */
export function openDatabaseFile(folder: string): DatabaseSync {
  const path = join(folder, DATABASE_FILE);
  let database: DatabaseSync | null = null;
  try {
    createPrivate(folder, path);
    // SQLite would open what it may not write, and call the first write a failure of the disk.
    accessSync(path, constants.R_OK | constants.W_OK);
    database = new DatabaseSync(path);
    prepareDatabase(database);
  } catch (error) {
    database?.close();
    const problem = explained(error, folder);
    if (problem !== error || !(error instanceof Error) || error instanceof PosthasteError) throw problem;
    throw new Error(`The data folder ${folder} cannot be used. ${error.message}`, { cause: error });
  }
  return database;
}

/** Sets the pragmas, takes the lock and brings the tables up to date; also for a `:memory:` database of a test. */
export function prepareDatabase(database: DatabaseSync): void {
  // By `prepare`, since what `exec` throws has no result code on Deno 2.9.
  const run = (sql: string): void => void database.prepare(sql).all();
  run("PRAGMA busy_timeout = 0");
  // Before the first access: with it the WAL index lives in our memory, and the lock is never let go.
  run("PRAGMA locking_mode = EXCLUSIVE");
  run("PRAGMA journal_mode = WAL");
  run("PRAGMA synchronous = FULL");
  run("PRAGMA foreign_keys = ON");
  run("PRAGMA temp_store = MEMORY");
  run(`PRAGMA cache_size = -${CACHE_KIB}`);
  run(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}`);
  run(`PRAGMA journal_size_limit = ${WAL_BYTES_KEPT}`);
  run("BEGIN IMMEDIATE");
  run("COMMIT");
  migrate(database);
}

/** The view that the stores work with. */
export function createDatabase(database: DatabaseSync): Database {
  const statements = new Map<string, unknown>();
  function prepare<Row>(sql: string): Statement<Row> {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = readingAnyNumber(database.prepare(sql), sql);
      statements.set(sql, statement);
    }
    return statement as Statement<Row>;
  }
  return {
    prepare,
    exec: (sql) => void prepare(sql).run(),
    isInTransaction: () => database.isTransaction,
  };
}

/**
 * A whole number past 2^53, which nobody but a person with an editor wrote, is given as the double next to it instead of
 * making the statement throw for all its rows. What only reads is read again for it; what writes must not run twice, and fails.
 */
function readingAnyNumber(statement: StatementSync, sql: string): Statement<unknown> {
  const isRead = /^\s*(?:SELECT|WITH)\b/i.test(sql) && !/\bRETURNING\b/i.test(sql);
  function again<Rows>(error: unknown, run: () => Rows): Rows {
    if (!isOutOfRange(error)) throw error;
    if (!isRead) throw rowDamaged("A row in the database has a number that is none of ours", error);
    statement.setReadBigInts(true);
    try {
      return run();
    } finally {
      statement.setReadBigInts(false);
    }
  }
  return {
    run: statement.run.bind(statement),
    get(...values) {
      try {
        return statement.get(...values);
      } catch (error) {
        return withoutBigInts(again(error, () => statement.get(...values)));
      }
    },
    all(...values) {
      try {
        return statement.all(...values);
      } catch (error) {
        return again(error, () => statement.all(...values)).map(withoutBigInts);
      }
    },
  };
}

function withoutBigInts(row: unknown): unknown {
  if (typeof row !== "object" || row === null) return row;
  const numbers = Object.entries(row).map(([name, value]: [string, unknown]) => [
    name,
    typeof value === "bigint" ? Number(value) : value,
  ]);
  return Object.fromEntries(numbers);
}

function isOutOfRange(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_OUT_OF_RANGE";
}

/** SQLite's primary result code of an error, or null when the error is not SQLite's. */
export function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !("errcode" in error)) return null;
  return typeof error.errcode === "number" ? error.errcode & 0xff : null;
}

/**
 * Makes the folder and the file if there is none. A new file has its tables before it has its name, so an empty one is
 * never a start that was cut off, but a database that was lost; and SQLite would drop the WAL beside it.
 */
function createPrivate(folder: string, path: string): void {
  const created = mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (created !== undefined) chmodSync(folder, 0o700);
  const found = statSync(path, { throwIfNoEntry: false });
  const lost =
    found === undefined ? (existsSync(`${path}-wal`) ? "wal-alone" : null) : found.size === 0 ? "empty" : null;
  if (lost !== null) throw new PosthasteError("store-unavailable", folderFault(folder, lost, path) ?? lost);
  if (found !== undefined) return;
  const draft = mkdtempSync(join(folder, `.${DATABASE_FILE}.`));
  try {
    createFile(join(draft, DATABASE_FILE));
    // No file of another process is replaced.
    linkSync(join(draft, DATABASE_FILE), path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** With all tables, closed and synced. */
function createFile(path: string): void {
  closeSync(openSync(path, "wx", 0o600));
  const database = new DatabaseSync(path);
  try {
    migrate(database);
  } finally {
    database.close();
  }
}

/** Of an error while the folder is opened: what the reader can mend, in place of what SQLite or the system calls it. */
export function explained(error: unknown, folder: string): unknown {
  if (!(error instanceof Error) || error instanceof PosthasteError) return error;
  const code = sqliteCode(error) ?? systemCode(error);
  if (code === SQLITE_BUSY) {
    return new PosthasteError(
      "store-unavailable",
      `The data folder ${folder} is in use by another Posthaste process. Stop that process, or give this one a data folder of its own.`,
      error,
    );
  }
  // Our statements are those of our tables: what is missing at the opening was taken out of the file.
  const fault = folderFault(folder, code === SQLITE_ERROR ? "altered" : code, error.message);
  return fault === null ? error : new Error(fault, { cause: error });
}

function systemCode(error: Error): string | null {
  return "code" in error && typeof error.code === "string" ? error.code : null;
}
