/** Brings a database to the version that this program knows, step by step, each step in its own transaction. */
import type { DatabaseSync } from "node:sqlite";

import { SCHEMA_STEPS } from "./schema.ts";

/** `PHST` in the header of the file: whose it is (sqlite.org/fileformat2.html#application_id). */
const APPLICATION_ID = 0x50485354;
const FOREIGN = "The database is that of another program. Move it away, or use another data folder.";

/**
 * Throws a plain `Error` that says what to do when the file is not ours or was written by a newer program. A crash in
 * between leaves the last whole step, and the next start goes on from there.
 */
export function migrate(database: DatabaseSync, steps: readonly string[] = SCHEMA_STEPS): void {
  const owner = pragma(database, "application_id");
  if (owner !== APPLICATION_ID && owner !== 0) throw new Error(FOREIGN);
  const found = pragma(database, "user_version");
  if (found > steps.length) {
    throw new Error(
      `The database was written by a newer Posthaste (schema ${found}; this one knows up to ${steps.length}). ` +
        "Start that version or a later one, or use another data folder.",
    );
  }
  if (found === 0 && database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() !== undefined) {
    throw new Error(FOREIGN);
  }
  // Databases of the first releases have none.
  if (owner === 0) database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  for (let version = found + 1; version <= steps.length; version++) {
    database.exec("BEGIN IMMEDIATE");
    try {
      database.exec(steps[version - 1] ?? "");
      database.exec(`PRAGMA user_version = ${version}`);
      database.exec("COMMIT");
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }
}

function pragma(database: DatabaseSync, name: "application_id" | "user_version"): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
}
