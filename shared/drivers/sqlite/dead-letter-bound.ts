/** What dead letters may take together, and which make room. */
import type { Database } from "./database.ts";

/** Dead letters kept at most, all that they take (`size` in the schema); past it the oldest dead letters of the tenant that keeps most are dropped. */
export const DEAD_LETTER_BYTES_MAX = 4 * 1024 ** 3;

/** Dropped with one write at most. A store far above its bound, which was lowered, comes down over many writes. */
const DROPPED_MAX = 1000;

/**
 * Drops dead letters until the bound holds again: always the oldest of the tenant that keeps most. One tenant's flood
 * costs no other tenant a dead letter and stops nobody's deliveries. The ledger shows what was dropped as expired, and why.
 */
export function createByteBound(database: Database, bytesMax: number): () => void {
  const total = database.prepare<{ bytes: number }>("SELECT bytes FROM dead_letter_totals WHERE tenant = ''");
  const fullest = database.prepare<{ tenant: string }>(
    "SELECT tenant FROM dead_letter_totals WHERE tenant <> '' ORDER BY bytes DESC LIMIT 1",
  );
  const dropOldest = database.prepare<{ event_id: string; endpoint_id: string; generation: number }>(
    `DELETE FROM dead_letters WHERE id = (SELECT id FROM dead_letters WHERE tenant = ? ORDER BY at, id LIMIT 1)
     RETURNING event_id, endpoint_id, CAST(generation AS REAL) AS generation`,
  );
  const expire = database.prepare(
    `UPDATE deliveries SET state = 'expired', next_at = NULL, reason = ?
     WHERE event = (SELECT id FROM events WHERE tenant = ? AND event_id = ?) AND endpoint_id = ? AND generation = ?`,
  );
  const reason = `dropped from the dead letters, which keep at most ${bytesMax} bytes; it was the tenant's oldest`;
  const weighAnew = createWeighAnew(database);
  return () => {
    const bytes = total.get()?.bytes ?? 0;
    // Each write keeps the bound, so a sum that is so far from it was written by somebody else: no letter goes for it.
    if (bytes < 0 || bytes > 2 * bytesMax) weighAnew();
    for (let count = 0; count < DROPPED_MAX && (total.get()?.bytes ?? 0) > bytesMax; count++) {
      const tenant = fullest.get()?.tenant;
      const deadLetter = tenant === undefined ? undefined : dropOldest.get(tenant);
      // The sums were edited: they are made anew, and hold again.
      if (tenant === undefined || deadLetter === undefined) return weighAnew();
      expire.run(reason, tenant, deadLetter.event_id, deadLetter.endpoint_id, deadLetter.generation);
    }
  };
}

/** Adds up all dead letters: as much work as there are. */
function createWeighAnew(database: Database): () => void {
  const forget = database.prepare("DELETE FROM dead_letter_totals");
  const ofTenants = database.prepare(
    "INSERT INTO dead_letter_totals SELECT tenant, count(*), sum(size) FROM dead_letters GROUP BY tenant",
  );
  const ofAll = database.prepare(
    "INSERT INTO dead_letter_totals SELECT '', count(*), ifnull(sum(size), 0) FROM dead_letters",
  );
  return () => {
    forget.run();
    ofTenants.run();
    ofAll.run();
  };
}
