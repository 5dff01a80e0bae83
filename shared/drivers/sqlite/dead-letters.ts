/** The dead-letter record: one table with its own copies of the bodies, listed by index, bounded in bytes. */
import type { MissedState } from "../../domain/delivery.ts";
import { assert } from "../../lib/assert.ts";
import type { DeadLetter, DeadLetterFilter, DeadLetters } from "../../ports/dead-letters.ts";
import type { Conditions } from "./conditions.ts";
import { createConditions } from "./conditions.ts";
import { assertLimit, createPage, decodeCursor } from "./cursor.ts";
import type { Database } from "./database.ts";
import type { EnvelopeRow } from "./event-store.ts";
import { ENVELOPE_COLUMNS, envelopeOf } from "./event-store.ts";
import type { GroupCommit } from "./group-commit.ts";

/** Bodies kept at most; past it the oldest dead letters of the tenant that keeps most are dropped. */
export const DEAD_LETTER_BYTES_MAX = 4 * 1024 ** 3;

interface DeadLetterRow extends EnvelopeRow {
  readonly id: number;
  readonly delivery_id: string;
  readonly endpoint_id: string;
  readonly generation: number;
  readonly state: string;
  readonly reason: string;
  readonly attempts: number;
  readonly at: number;
}

const COLUMNS = `e.id, e.delivery_id, e.endpoint_id, e.generation, e.state, e.reason, e.attempts, e.at, ${ENVELOPE_COLUMNS}`;

/** The same delivery again keeps its row, so that a repeat changes nothing and later news replace older ones. */
const UPSERT = `
  INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (delivery_id) DO UPDATE SET
    state = excluded.state, reason = excluded.reason, attempts = excluded.attempts, at = excluded.at
  WHERE excluded.at > at AND (excluded.state <> state OR excluded.attempts <> attempts)`;

export function createDeadLetters(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly bytesMax?: number;
}): DeadLetters {
  const { database, writer, bytesMax = DEAD_LETTER_BYTES_MAX } = options;
  const rows = createDeadLetterRows(database);
  const dropToBound = createByteBound(database, bytesMax);
  const find = database.prepare<DeadLetterRow>(`SELECT ${COLUMNS} FROM dead_letters e WHERE e.delivery_id = ?`);
  const countAll = database.prepare<{ count: number }>(
    "SELECT letters AS count FROM dead_letter_totals WHERE tenant = ''",
  );

  return {
    async append(deadLetters) {
      if (deadLetters.length === 0) return;
      const bytes = deadLetters.reduce((sum, { envelope }) => sum + envelope.body.length, 0);
      const write = (): void => {
        rows.insertAll(deadLetters);
        dropToBound();
      };
      await writer.write(write, bytes);
    },
    async find(id) {
      const row = find.get(id);
      return row === undefined ? null : deadLetterOf(row);
    },
    async list(filter, limit, cursor) {
      assertLimit(limit);
      const conditions = conditionsOf(filter);
      if (cursor !== null) conditions.and("(e.at, e.id) < (?, ?)", ...decodeCursor("d", 2, cursor));
      const sql = `SELECT ${COLUMNS} FROM dead_letters e ${conditions.where} ORDER BY e.at DESC, e.id DESC LIMIT ?`;
      const found = database.prepare<DeadLetterRow>(sql).all(...conditions.values, limit + 1);
      return createPage({ kind: "d", limit, rows: found, keysOf: ({ at, id }) => [at, id], show: deadLetterOf });
    },
    async remove(deadLetters) {
      if (deadLetters.length === 0) return;
      await writer.write(() => rows.removeAll(deadLetters), 0);
    },
    async count(filter) {
      // Asked at each collection of metrics, and answered without reading the dead letters.
      if (filter.tenant === null && Object.keys(filter).length === 1) return countAll.get()?.count ?? 0;
      const { where, values } = conditionsOf(filter);
      const row = database
        .prepare<{ count: number }>(`SELECT count(*) AS count FROM dead_letters e ${where}`)
        .get(...values);
      assert(row !== undefined, "a count has a row");
      return row.count;
    },
  };
}

function createDeadLetterRows(database: Database) {
  const upsert = database.prepare(UPSERT);
  const remove = database.prepare(
    "DELETE FROM dead_letters WHERE delivery_id = ? AND at = ? AND state = ? AND attempts = ?",
  );
  let idLast = database.prepare<{ id: number | null }>("SELECT max(id) AS id FROM dead_letters").get()?.id ?? 0;
  return {
    insertAll(deadLetters: readonly DeadLetter[]): void {
      for (const deadLetter of deadLetters) upsert.run(...valuesOf(++idLast, deadLetter));
    },
    removeAll(deadLetters: readonly DeadLetter[]): void {
      for (const { id, atMs, state, attempts } of deadLetters) remove.run(id, atMs, state, attempts);
    },
  };
}

/**
 * Drops dead letters until the bound holds again: always the oldest of the tenant that keeps most. One tenant's flood
 * costs no other tenant a dead letter and stops nobody's deliveries. The ledger shows what was dropped as expired, and why.
 */
function createByteBound(database: Database, bytesMax: number): () => void {
  const total = database.prepare<{ bytes: number }>("SELECT bytes FROM dead_letter_totals WHERE tenant = ''");
  const fullest = database.prepare<{ tenant: string }>(
    "SELECT tenant FROM dead_letter_totals WHERE tenant <> '' ORDER BY bytes DESC LIMIT 1",
  );
  const dropOldest = database.prepare<{ event_id: string; endpoint_id: string; generation: number }>(
    `DELETE FROM dead_letters WHERE id = (SELECT id FROM dead_letters WHERE tenant = ? ORDER BY at, id LIMIT 1)
     RETURNING event_id, endpoint_id, generation`,
  );
  const expire = database.prepare(
    `UPDATE deliveries SET state = 'expired', next_at = NULL, reason = ?
     WHERE event = (SELECT id FROM events WHERE tenant = ? AND event_id = ?) AND endpoint_id = ? AND generation = ?`,
  );
  const reason = `dropped from the dead letters, which keep at most ${bytesMax} bytes; it was the tenant's oldest`;
  return () => {
    while ((total.get()?.bytes ?? 0) > bytesMax) {
      const tenant = fullest.get()?.tenant;
      const deadLetter = tenant === undefined ? undefined : dropOldest.get(tenant);
      assert(tenant !== undefined && deadLetter !== undefined, "what is over the bound is some tenant's");
      expire.run(reason, tenant, deadLetter.event_id, deadLetter.endpoint_id, deadLetter.generation);
    }
  };
}

/** One index each: the event's, else the endpoint's, else the tenant's; `+` keeps SQLite from choosing another. */
function conditionsOf(filter: DeadLetterFilter): Conditions {
  const tenant = filter.tenant ?? undefined;
  const byEvent = filter.eventId !== undefined;
  const byEndpoint = !byEvent && filter.endpointId !== undefined;
  return createConditions()
    .and("e.event_id = ?", filter.eventId)
    .and(byEndpoint ? "e.endpoint_id = ?" : "+e.endpoint_id = ?", filter.endpointId)
    .and(byEvent || byEndpoint ? "+e.tenant = ?" : "e.tenant = ?", tenant)
    .and("e.type = ?", filter.eventType)
    .and("e.state = ?", filter.state)
    .and("e.at >= ?", filter.sinceMs)
    .and("e.at < ?", filter.untilMs);
}

function valuesOf(id: number, deadLetter: DeadLetter) {
  const { envelope } = deadLetter;
  return [
    id,
    deadLetter.id,
    deadLetter.tenant,
    deadLetter.eventId,
    deadLetter.endpointId,
    deadLetter.generation,
    deadLetter.state,
    deadLetter.reason,
    deadLetter.attempts,
    deadLetter.atMs,
    envelope.type,
    envelope.priority,
    envelope.acceptedAtMs,
    envelope.deliverAtMs,
    envelope.traceparent,
    envelope.directoryVersion,
    envelope.body,
  ];
}

function deadLetterOf(row: DeadLetterRow): DeadLetter {
  return {
    id: row.delivery_id,
    tenant: row.tenant,
    eventId: row.event_id,
    endpointId: row.endpoint_id,
    generation: row.generation,
    state: row.state as MissedState,
    reason: row.reason,
    attempts: row.attempts,
    atMs: row.at,
    envelope: envelopeOf(row),
  };
}
