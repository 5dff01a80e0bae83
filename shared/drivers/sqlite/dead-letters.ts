/** The dead-letter record: one table with its own copies of the bodies, listed by index, bounded in bytes. */
import { PosthasteError } from "../../domain/errors.ts";
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

/** Bodies kept at most; past it `append` throws, so that nothing is lost in silence. */
export const DEAD_LETTER_BYTES_MAX = 4 * 1024 ** 3;

interface LetterRow extends EnvelopeRow {
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
  const rows = createLetterRows(database);
  const find = database.prepare<LetterRow>(`SELECT ${COLUMNS} FROM dead_letters e WHERE e.delivery_id = ?`);
  let bytesKept = rows.bytesFound;
  let bytesReserved = 0;

  return {
    async append(letters) {
      if (letters.length === 0) return;
      const bytes = letters.reduce((sum, { envelope }) => sum + envelope.body.length, 0);
      if (bytesKept + bytesReserved + bytes > bytesMax) throw full(bytesMax);
      bytesReserved += bytes;
      try {
        await writer.write(
          () => rows.insertAll(letters),
          bytes,
          (added) => {
            bytesKept += added;
          },
        );
      } finally {
        bytesReserved -= bytes;
      }
    },
    async find(id) {
      const row = find.get(id);
      return row === undefined ? null : letterOf(row);
    },
    async list(filter, limit, cursor) {
      assertLimit(limit);
      const conditions = conditionsOf(filter);
      if (cursor !== null) conditions.and("(e.at, e.id) < (?, ?)", ...decodeCursor("d", 2, cursor));
      const sql = `SELECT ${COLUMNS} FROM dead_letters e ${conditions.where} ORDER BY e.at DESC, e.id DESC LIMIT ?`;
      const found = database.prepare<LetterRow>(sql).all(...conditions.values, limit + 1);
      return createPage({ kind: "d", limit, rows: found, keysOf: ({ at, id }) => [at, id], show: letterOf });
    },
    async remove(ids) {
      if (ids.length === 0) return;
      await writer.write(
        () => rows.removeAll(ids),
        0,
        (bytes) => {
          bytesKept -= bytes;
        },
      );
    },
    async count(filter) {
      const { where, values } = conditionsOf(filter);
      const row = database
        .prepare<{ count: number }>(`SELECT count(*) AS count FROM dead_letters e ${where}`)
        .get(...values);
      assert(row !== undefined, "a count has a row");
      return row.count;
    },
  };
}

function createLetterRows(database: Database) {
  const upsert = database.prepare(UPSERT);
  const isThere = database.prepare<{ id: number }>("SELECT id FROM dead_letters WHERE delivery_id = ?");
  const remove = database.prepare<{ bytes: number }>(
    "DELETE FROM dead_letters WHERE delivery_id = ? RETURNING length(body) AS bytes",
  );
  const sql = "SELECT sum(length(body)) AS bytes, max(id) AS id FROM dead_letters";
  const found = database.prepare<{ bytes: number | null; id: number | null }>(sql).get();
  let idLast = found?.id ?? 0;
  return {
    bytesFound: found?.bytes ?? 0,
    /** The bytes that came in addition. */
    insertAll(letters: readonly DeadLetter[]): number {
      let bytes = 0;
      for (const letter of letters) {
        if (isThere.get(letter.id) === undefined) bytes += letter.envelope.body.length;
        upsert.run(...valuesOf(++idLast, letter));
      }
      return bytes;
    },
    /** The bytes that went. */
    removeAll: (ids: readonly string[]): number => ids.reduce((sum, id) => sum + (remove.get(id)?.bytes ?? 0), 0),
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

function valuesOf(id: number, letter: DeadLetter) {
  const { envelope } = letter;
  return [
    id,
    letter.id,
    letter.tenant,
    letter.eventId,
    letter.endpointId,
    letter.generation,
    letter.state,
    letter.reason,
    letter.attempts,
    letter.atMs,
    envelope.type,
    envelope.priority,
    envelope.acceptedAtMs,
    envelope.deliverAtMs,
    envelope.traceparent,
    envelope.directoryVersion,
    envelope.body,
  ];
}

function letterOf(row: LetterRow): DeadLetter {
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

function full(bytesMax: number): PosthasteError {
  return new PosthasteError("overloaded", {
    detail: `The dead-letter record holds its ${bytesMax} bytes. Replay or delete some of it.`,
    retryAfterS: 60,
  });
}
