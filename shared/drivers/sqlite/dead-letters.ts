/** The dead-letter record: one table with its own copies of the bodies, listed by index, bounded in bytes. */
import * as v from "valibot";
import { MISSED_STATES } from "../../domain/delivery.ts";
import { RecordedName } from "../../domain/envelope-record.ts";
import { TimeMs } from "../../domain/id.ts";
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetters,
  DeliveredSince,
  EndedDeadLetter,
} from "../../ports/dead-letters.ts";
import type { BoundedLists, ListQuery } from "./bounded-list.ts";
import { createByteBound, DEAD_LETTER_BYTES_MAX } from "./dead-letter-bound.ts";
import { createConditions } from "./conditions.ts";
import type { Database } from "./database.ts";
import type { EnvelopeRow } from "./event-store.ts";
import { ENVELOPE_COLUMNS, ID_END, readableEnvelope } from "./event-store.ts";
import type { GroupCommit } from "./group-commit.ts";
import { rowDamaged } from "./row-damage.ts";

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
  INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (delivery_id) DO UPDATE SET
    state = excluded.state, reason = excluded.reason, attempts = excluded.attempts, at = excluded.at
  WHERE excluded.at > at AND (excluded.state <> state OR excluded.attempts <> attempts)`;

export function createDeadLetters(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly lists: BoundedLists;
  /** Gets each row that a list passes over. */
  readonly onFault: (error: unknown) => void;
  readonly bytesMax?: number;
}): DeadLetters {
  const { database, writer, lists, onFault, bytesMax = DEAD_LETTER_BYTES_MAX } = options;
  const rows = createDeadLetterRows(database);
  const dropToBound = createByteBound(database, bytesMax);
  const find = database.prepare<DeadLetterRow>(`SELECT ${COLUMNS} FROM dead_letters e WHERE e.delivery_id = ?`);
  const readRow = database.prepare<DeadLetterRow>(`SELECT ${COLUMNS} FROM dead_letters e WHERE e.id = ?`);
  const countAll = database.prepare<{ count: number }>(
    "SELECT letters AS count FROM dead_letter_totals WHERE tenant = ''",
  );

  function passOver({ id }: DeadLetterRow): readonly [] {
    onFault(rowDamaged(`The row ${id} of the dead letters does not read back`));
    return [];
  }

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
      return find.all(id).map(deadLetterOf)[0] ?? null;
    },
    async list(filter, limit, cursor) {
      const { rows: keys, next } = await lists.page({ ...queryOf(filter), limit, cursor });
      // Another turn may have taken one since its key was read.
      return {
        rows: await lists.read(keys, ({ id }) => readRow.all(id).flatMap((row) => deadLetterOf(row) ?? passOver(row))),
        next,
      };
    },
    async remove(deadLetters) {
      if (deadLetters.length > 0) await writer.write(() => rows.removeAll(deadLetters), 0);
    },
    async removeDelivered(delivered) {
      return delivered.length === 0 ? [] : await writer.write(() => delivered.flatMap(rows.removeDelivered), 0);
    },
    async count(filter) {
      // Asked at each collection of metrics, and answered without reading the dead letters.
      if (filter.tenant === null && Object.keys(filter).length === 1) return countAll.get()?.count ?? 0;
      return await lists.count(queryOf(filter));
    },
  };
}

function createDeadLetterRows(database: Database) {
  const upsert = database.prepare(UPSERT);
  const remove = database.prepare(
    "DELETE FROM dead_letters WHERE delivery_id = ? AND at = ? AND state = ? AND attempts = ?",
  );
  const removeDelivered = database.prepare<v.InferOutput<typeof StoredFacts> & { readonly type: string }>(
    `DELETE FROM dead_letters WHERE event_id = ? AND endpoint_id = ? AND +tenant = ? AND generation <= ?
     RETURNING delivery_id, endpoint_id, type, state, CAST(generation AS REAL) AS generation,
       CAST(attempts AS REAL) AS attempts, CAST(at AS REAL) AS at`,
  );
  let idLast =
    database.prepare<{ id: number | null }>(`SELECT max(id) AS id FROM dead_letters WHERE id < ${ID_END}`).get()?.id ??
    0;
  return {
    insertAll(deadLetters: readonly DeadLetter[]): void {
      for (const deadLetter of deadLetters) upsert.run(...valuesOf(++idLast, deadLetter));
    },
    removeAll(deadLetters: readonly DeadLetter[]): void {
      for (const { id, atMs, state, attempts } of deadLetters) remove.run(id, atMs, state, attempts);
    },
    removeDelivered({ tenant, eventId, endpointId, atMs }: DeliveredSince): readonly EndedDeadLetter[] {
      const gone = removeDelivered.all(eventId, endpointId, tenant, Math.floor(atMs));
      return gone
        .filter((row) => v.is(StoredFacts, row))
        .map(({ delivery_id: id, type: eventType, generation, state, attempts }) => {
          return { id, tenant, eventId, endpointId, generation, eventType, state, attempts };
        });
    },
  };
}

interface KeyRow {
  readonly id: number;
  readonly at: number;
  readonly bytes: number;
}

/**
 * One index each: the event's, else the endpoint's, else the tenant's, else all; those of endpoints and of all once
 * more by state, as what is held for an endpoint must be found among any number of others.
 */
function queryOf(filter: DeadLetterFilter): Omit<ListQuery<KeyRow>, "limit" | "cursor"> {
  const { eventId, endpointId, state } = filter;
  const tenant = filter.tenant ?? undefined;
  const isOfEvent = eventId !== undefined;
  const isOfEndpoint = !isOfEvent && endpointId !== undefined;
  const isOfTenant = !isOfEvent && !isOfEndpoint && tenant !== undefined;
  const isByState = !isOfEvent && !isOfTenant;
  return {
    kind: "d",
    table: "dead_letters e",
    keys: ["e.at", "e.id"],
    range: createConditions()
      .and("e.event_id = ?", eventId)
      .and("e.endpoint_id = ?", isOfEndpoint ? endpointId : undefined)
      .and("e.tenant = ?", isOfTenant ? tenant : undefined)
      .and("e.state = ?", isByState ? state : undefined),
    sinceMs: filter.sinceMs,
    untilMs: filter.untilMs,
    checks: createConditions()
      .and("+e.endpoint_id = ?", isOfEndpoint ? undefined : endpointId)
      .and("+e.tenant = ?", isOfTenant ? undefined : tenant)
      .and("+e.state = ?", isByState ? undefined : state)
      .and("+e.type = ?", filter.eventType),
    select: "SELECT e.id, e.at, length(e.body) AS bytes FROM dead_letters e",
    keysOf: ({ at, id }) => [at, id],
    bytesOf: ({ bytes }) => bytes,
  };
}

function valuesOf(id: number, { envelope, ...deadLetter }: DeadLetter) {
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
    envelope.tracestate,
  ];
}

/** A row may have been edited by anyone. */
const StoredFacts = v.object({
  delivery_id: RecordedName,
  endpoint_id: RecordedName,
  generation: TimeMs,
  state: v.picklist(MISSED_STATES),
  attempts: TimeMs,
  at: TimeMs,
});

/** Null for a row that does not read back. */
function deadLetterOf(row: DeadLetterRow): DeadLetter | null {
  const envelope = readableEnvelope(row);
  if (envelope === null || !v.is(StoredFacts, row)) return null;
  return {
    id: row.delivery_id,
    tenant: row.tenant,
    eventId: row.event_id,
    endpointId: row.endpoint_id,
    generation: row.generation,
    state: row.state,
    reason: row.reason,
    attempts: row.attempts,
    atMs: row.at,
    envelope,
  };
}
