/** What SQLite or the disk refused, in the words of the stores. */
import { PosthasteError, storeFault } from "../../domain/errors.ts";
import { folderFaultInShort } from "../../domain/folder-fault.ts";
import { sqliteCode } from "./database.ts";

const SQLITE_ERROR = 1;
const SQLITE_CONSTRAINT = 19;
const SQLITE_MISMATCH = 20;
const SQLITE_MISUSE = 21;
const SQLITE_RANGE = 25;
/** Codes that speak of a mistake in our SQL, not of the state of the disk. */
const MISTAKES: ReadonlySet<number> = new Set([
  SQLITE_ERROR,
  SQLITE_CONSTRAINT,
  SQLITE_MISMATCH,
  SQLITE_MISUSE,
  SQLITE_RANGE,
]);

/** The error a caller meets for what SQLite or the disk refused. Their own words are its cause, for the log alone. */
export function storeError(error: unknown): unknown {
  if (error instanceof PosthasteError || !(error instanceof Error)) return error;
  const code = sqliteCode(error);
  const isClosed = "code" in error && error.code === "ERR_INVALID_STATE";
  if (!isClosed && (code === null || MISTAKES.has(code))) return error;
  const what = folderFaultInShort(code);
  const logged = `The data folder cannot be used just now${what === null ? "" : `: ${what}`}.`;
  return storeFault(logged, { retryAfterS: 5, cause: error });
}
