/**
 * A sealed word that tells with which key a start is complete: rows whose seal does not open are damaged when the word
 * opens, and sealed with another key when it does not.
 */
import type { Sealer } from "../../lib/ambient.ts";
import type { Database } from "./database.ts";

const CONTEXT = "master-key";
const WORD = new TextEncoder().encode("posthaste");

/** Null when none was kept yet. */
export function opensWord(database: Database, sealer: Sealer): boolean | null {
  const row = database.prepare<{ word: Uint8Array }>("SELECT word FROM master_key WHERE id = 1").get();
  if (row === undefined) return null;
  try {
    sealer.open(row.word, CONTEXT);
    return true;
  } catch {
    return false;
  }
}

/** For a start: the previous key is needed until everything was sealed anew. */
export function keepWord(database: Database, sealer: Sealer): void {
  write(database, sealer.sealUntilResealed(WORD, CONTEXT));
}

/** Everything was sealed anew: the present key is enough from now on, and needed. */
export function sealWordAnew(database: Database, sealer: Sealer): void {
  write(database, sealer.seal(WORD, CONTEXT));
}

function write(database: Database, word: Uint8Array): void {
  database.prepare("INSERT OR REPLACE INTO master_key VALUES (1, ?)").run(word);
}
