/**
 * Seals every endpoint of a stopped process's database with the present master key, some rows in one transaction. A run that
 * was killed is begun again and finds what is left.
 */
import type { Sealer } from "../../lib/ambient.ts";
import type { ResealReport } from "../../ports/reseal.ts";
import { UNREADABLE_MAX } from "../../ports/reseal.ts";
import type { Database } from "./database.ts";
import { createDatabase, openDatabaseFile } from "./database.ts";
import { sealContext } from "./endpoint-row.ts";
import { sealWordAnew } from "./master-key.ts";

const ROWS_A_COMMIT = 500;

interface SealedRow {
  readonly id: number;
  readonly tenant: string;
  readonly endpoint_id: string;
  readonly secrets: Uint8Array;
}

/** Throws as `openDatabaseFile` does, also while another process has the folder. */
export function resealFile(options: {
  readonly folder: string;
  /** Asked once the folder is ours. */
  readonly sealer: () => Sealer;
  readonly isDryRun: boolean;
}): ResealReport {
  const { folder, sealer, isDryRun } = options;
  const handle = openDatabaseFile(folder);
  try {
    return resealDatabase({ sealer: sealer(), isDryRun, database: createDatabase(handle) });
  } finally {
    handle.close();
  }
}

export function resealDatabase(options: {
  readonly database: Database;
  readonly sealer: Sealer;
  readonly isDryRun: boolean;
}): ResealReport {
  const { database, sealer, isDryRun } = options;
  const select = database.prepare<SealedRow>(
    `SELECT id, tenant, endpoint_id, secrets FROM endpoints WHERE id > ? ORDER BY id LIMIT ${ROWS_A_COMMIT}`,
  );
  const update = database.prepare("UPDATE endpoints SET secrets = ? WHERE id = ?");
  const unreadable: string[] = [];
  let [looked, resealed, unreadableCount, last] = [0, 0, 0, Number.MIN_SAFE_INTEGER];
  for (let rows = select.all(last); rows.length > 0; rows = select.all(last)) {
    if (!isDryRun) database.exec("BEGIN IMMEDIATE");
    for (const { id, tenant, endpoint_id: endpointId, secrets } of rows) {
      looked++;
      last = id;
      if (sealer.isCurrent(secrets, sealContext(endpointId))) continue;
      const anew = sealedAnew(secrets, sealContext(endpointId), sealer);
      if (anew === null) {
        unreadableCount++;
        if (unreadable.length < UNREADABLE_MAX) unreadable.push(`${tenant}/${endpointId.slice(0, 64)}`);
        continue;
      }
      resealed++;
      if (!isDryRun) update.run(anew, id);
    }
    if (!isDryRun) database.exec("COMMIT");
  }
  // Only now: a process that starts with the new key alone is refused until nothing is left under the other.
  if (!isDryRun) sealWordAnew(database, sealer);
  return { looked, resealed, unreadable, unreadableCount, isDone: !isDryRun || resealed === 0 };
}

/** Null when no key opens it. */
function sealedAnew(sealed: Uint8Array, context: string, sealer: Sealer): Uint8Array | null {
  try {
    return sealer.seal(sealer.open(sealed, context), context);
  } catch {
    return null;
  }
}
