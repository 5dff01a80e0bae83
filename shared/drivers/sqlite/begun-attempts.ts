/** Attempts that were begun: a row for each, gone at its end. Only what this process has under way, and what others left. */
import type { Clock } from "../../lib/ambient.ts";
import type { AttemptKey, BegunAttempts } from "../../ports/begun-attempts.ts";
import { BEGUN_KEPT_MS, BEGUN_MAX } from "../../ports/begun-attempts.ts";
import type { Database } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";

const ROW_BYTES = 256;
/** An attempt is given up after a few beginnings; a count past this was written by hand. */
const COUNT_MAX = 100;
/** Rows that a beginning takes out at most beside as many as it adds. */
const PRUNED_MAX = 10;

export function createBegunAttempts(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly clock: Pick<Clock, "now">;
  readonly attemptsMax?: number;
}): BegunAttempts {
  const { database, writer, clock, attemptsMax = BEGUN_MAX } = options;
  const which = "tenant = ? AND event_id = ? AND endpoint_id = ? AND generation = ? AND attempt = ?";
  const find = database.prepare<{ unended: number }>(`SELECT unended FROM attempts_begun WHERE ${which}`);
  const insert = database.prepare(
    `INSERT INTO attempts_begun VALUES (?, ?, ?, ?, ?, 1, ?)
     ON CONFLICT DO UPDATE SET unended = CASE WHEN unended BETWEEN 0 AND ${COUNT_MAX} THEN unended + 1 ELSE 1 END,
       begun_at = excluded.begun_at`,
  );
  const forget = database.prepare(`DELETE FROM attempts_begun WHERE ${which}`);
  const oldest = database.prepare<{ id: number; begun_at: number }>(
    "SELECT rowid AS id, begun_at FROM attempts_begun ORDER BY begun_at LIMIT ?",
  );
  const drop = database.prepare("DELETE FROM attempts_begun WHERE rowid = ?");
  let count = database.prepare<{ count: number }>("SELECT count(*) AS count FROM attempts_begun").get()?.count ?? 0;

  /** Gives how many more rows there are. Those noted in the same transaction are not counted yet: as many may be too many. */
  function note(attempts: readonly AttemptKey[]): number {
    let change = 0;
    for (const attempt of attempts) {
      if (find.get(...valuesOf(attempt)) === undefined) change++;
      insert.run(...valuesOf(attempt), clock.now());
    }
    const tooOldMs = clock.now() - BEGUN_KEPT_MS;
    const over = count + change - attemptsMax;
    const gone = oldest
      .all(attempts.length + PRUNED_MAX)
      .filter(({ begun_at: atMs }, index) => atMs <= tooOldMs || index < over);
    for (const { id } of gone) drop.run(id);
    return change - gone.length;
  }

  const counted = (change: number): void => void (count += change);
  return {
    async unended(attempt) {
      const unended = find.get(...valuesOf(attempt))?.unended ?? 0;
      return unended >= 0 && unended <= COUNT_MAX ? unended : 0;
    },
    async begin(attempts) {
      await writer.write(() => note(attempts), attempts.length * ROW_BYTES, counted);
    },
    async end(attempts) {
      const forgetAll = (): number =>
        -attempts.reduce((sum, attempt) => sum + Number(forget.run(...valuesOf(attempt)).changes), 0);
      await writer.write(forgetAll, 0, counted);
    },
  };
}

function valuesOf({ tenant, eventId, endpointId, generation, attempt }: AttemptKey) {
  return [tenant, eventId, endpointId, generation, attempt] as const;
}
