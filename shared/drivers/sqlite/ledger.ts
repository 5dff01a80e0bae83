/** What became of each event, in tables beside the queues. Reads wait for what was recorded before them. */
import type { DeliveryState } from "../../domain/delivery.ts";
import { DELIVERY_STATES, isFinal } from "../../domain/delivery.ts";
import type { AttemptView, DeliveryFilter, DeliveryView, EventRecord, FanOut, Ledger } from "../../ports/ledger.ts";
import type { Conditions } from "./conditions.ts";
import { createConditions } from "./conditions.ts";
import { assertLimit, createPage, decodeCursor } from "./cursor.ts";
import type { Database } from "./database.ts";
import type { EnvelopeRow } from "./event-store.ts";
import { ENVELOPE_COLUMNS, envelopeOf } from "./event-store.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { ResultRow } from "./ledger-record.ts";
import { createLedgerRecord, resultOf } from "./ledger-record.ts";

interface EventRow extends EnvelopeRow {
  readonly id: number;
  readonly fan_out_at: number | null;
  readonly matched: string | null;
  readonly matched_count: number | null;
  readonly filtered: string | null;
  readonly filtered_count: number | null;
}

interface DeliveryRow {
  readonly id: number;
  readonly tenant: string;
  readonly event_id: string;
  readonly endpoint_id: string;
  readonly generation: number;
  readonly accepted_at: number;
  readonly state: string;
  readonly attempts: number;
  readonly updated_at: number;
  readonly next_at: number | null;
  readonly reason: string | null;
}

interface AttemptRow extends ResultRow {
  readonly delivery: number;
  readonly tenant: string;
  readonly event_id: string;
  readonly type: string;
  readonly endpoint_id: string;
  readonly generation: number;
  readonly accepted_at: number;
  readonly attempt: number;
  readonly at: number;
  readonly group_id: string | null;
  readonly reason: string | null;
}

const EVENT_SELECT = `
  SELECT e.id, ${ENVELOPE_COLUMNS}, f.at AS fan_out_at, f.matched, f.matched_count, f.filtered, f.filtered_count
  FROM events e LEFT JOIN fan_outs f ON f.event = e.id`;
const DELIVERY_SELECT = `
  SELECT d.id, d.tenant, e.event_id, d.endpoint_id, d.generation, d.accepted_at, d.state, d.attempts,
    d.updated_at, d.next_at, d.reason
  FROM deliveries d CROSS JOIN events e ON e.id = d.event`;
const ATTEMPT_COLUMNS = `a.delivery, d.tenant, e.event_id, e.type, d.endpoint_id, d.generation, d.accepted_at, a.attempt,
    a.at, a.group_id, a.reason, a.status, a.retry_after, a.excerpt, a.is_cut, a.fault, a.duration_ms`;

const FINAL_STATES: ReadonlySet<string> = new Set(DELIVERY_STATES.filter(isFinal));

export function createLedger(options: { readonly database: Database; readonly writer: GroupCommit }): Ledger {
  const { database, writer } = options;
  const recordEntry = createLedgerRecord(database);
  const readEvent = database.prepare<EventRow>(`${EVENT_SELECT} WHERE e.tenant = ? AND e.event_id = ?`);
  const readState = database.prepare<{ state: string; attempt: number | null }>(
    `SELECT d.state, (SELECT max(attempt) FROM attempts a WHERE a.delivery = d.id) AS attempt
     FROM events e CROSS JOIN deliveries d ON d.event = e.id
     WHERE e.tenant = ? AND e.event_id = ? AND d.endpoint_id = ? AND d.generation = ?`,
  );

  return {
    record(entries) {
      if (entries.length === 0) return;
      writer.post(() => entries.forEach(recordEntry));
    },
    async isCompleted(key, attempt) {
      await writer.flush();
      const row = readState.get(key.tenant, key.eventId, key.endpointId, key.generation);
      if (row === undefined) return false;
      return attempt === 0 || FINAL_STATES.has(row.state) || (row.attempt !== null && row.attempt >= attempt);
    },
    async event(tenant, eventId) {
      await writer.flush();
      const row = readEvent.get(tenant, eventId);
      return row === undefined ? null : eventOf(row);
    },
    async events(filter, limit, cursor) {
      assertLimit(limit);
      const conditions = createConditions()
        .and("e.tenant = ?", filter.tenant ?? undefined)
        .and("e.type = ?", filter.type)
        .and("e.accepted_at >= ?", filter.sinceMs)
        .and("e.accepted_at < ?", filter.untilMs);
      if (cursor !== null) conditions.and("(e.accepted_at, e.id) < (?, ?)", ...decodeCursor("e", 2, cursor));
      await writer.flush();
      const sql = `${EVENT_SELECT} ${conditions.where} ORDER BY e.accepted_at DESC, e.id DESC LIMIT ?`;
      const rows = database.prepare<EventRow>(sql).all(...conditions.values, limit + 1);
      return createPage({ kind: "e", limit, rows, keysOf: (row) => [row.accepted_at, row.id], show: eventOf });
    },
    async deliveries(filter, limit, cursor) {
      assertLimit(limit);
      const conditions = deliveryConditions(filter);
      if (cursor !== null) conditions.and("(d.accepted_at, d.id) < (?, ?)", ...decodeCursor("l", 2, cursor));
      await writer.flush();
      const sql = `${DELIVERY_SELECT} ${conditions.where} ORDER BY d.accepted_at DESC, d.id DESC LIMIT ?`;
      const rows = database.prepare<DeliveryRow>(sql).all(...conditions.values, limit + 1);
      return createPage({ kind: "l", limit, rows, keysOf: (row) => [row.accepted_at, row.id], show: deliveryOf });
    },
    async attempts(filter, limit, cursor) {
      assertLimit(limit);
      const conditions = attemptConditions(filter);
      if (cursor !== null) conditions.and("(a.at, a.delivery, a.attempt) < (?, ?, ?)", ...decodeCursor("a", 3, cursor));
      await writer.flush();
      const from =
        filter.eventId === undefined
          ? "attempts a CROSS JOIN deliveries d ON d.id = a.delivery"
          : "deliveries d CROSS JOIN attempts a ON a.delivery = d.id";
      const sql = `SELECT ${ATTEMPT_COLUMNS} FROM ${from} CROSS JOIN events e ON e.id = d.event ${conditions.where}
        ORDER BY a.at DESC, a.delivery DESC, a.attempt DESC LIMIT ?`;
      const rows = database.prepare<AttemptRow>(sql).all(...conditions.values, limit + 1);
      return createPage({
        kind: "a",
        limit,
        rows,
        keysOf: (row) => [row.at, row.delivery, row.attempt],
        show: attemptOf,
      });
    },
  };
}

const OF_EVENT = "d.event = (SELECT id FROM events WHERE tenant = ? AND event_id = ?)";

/** One index each: the event's, else the endpoint's; `+` keeps SQLite from choosing another. */
function deliveryConditions(filter: DeliveryFilter): Conditions {
  const byEndpoint = filter.eventId === undefined;
  return createConditions()
    .and(OF_EVENT, filter.tenant, filter.eventId)
    .and(byEndpoint ? "d.endpoint_id = ?" : "+d.endpoint_id = ?", filter.endpointId)
    .and("+d.tenant = ?", filter.tenant)
    .and("+d.state = ?", filter.state)
    .and("d.accepted_at >= ?", filter.sinceMs)
    .and("d.accepted_at < ?", filter.untilMs);
}

function attemptConditions(filter: DeliveryFilter): Conditions {
  const byEndpoint = filter.eventId === undefined;
  return createConditions()
    .and(OF_EVENT, filter.tenant, filter.eventId)
    .and(byEndpoint ? "a.endpoint_id = ?" : "+a.endpoint_id = ?", filter.endpointId)
    .and("+d.tenant = ?", filter.tenant)
    .and("+d.state = ?", filter.state)
    .and("+d.accepted_at >= ?", filter.sinceMs)
    .and("+d.accepted_at < ?", filter.untilMs);
}

function eventOf(row: EventRow): EventRecord {
  return { envelope: envelopeOf(row), fanOut: fanOutOf(row) };
}

function fanOutOf(row: EventRow): FanOut | null {
  if (row.fan_out_at === null) return null;
  return {
    tenant: row.tenant,
    eventId: row.event_id,
    atMs: row.fan_out_at,
    matched: JSON.parse(row.matched ?? "[]") as readonly string[],
    matchedCount: row.matched_count ?? 0,
    filtered: JSON.parse(row.filtered ?? "[]") as readonly string[],
    filteredCount: row.filtered_count ?? 0,
  };
}

function deliveryOf(row: DeliveryRow): DeliveryView {
  return {
    tenant: row.tenant,
    eventId: row.event_id,
    endpointId: row.endpoint_id,
    generation: row.generation,
    acceptedAtMs: row.accepted_at,
    state: row.state as DeliveryState,
    attempts: row.attempts,
    updatedAtMs: row.updated_at,
    nextAttemptAtMs: row.next_at,
    reason: row.reason,
  };
}

function attemptOf(row: AttemptRow): AttemptView {
  return {
    tenant: row.tenant,
    eventId: row.event_id,
    endpointId: row.endpoint_id,
    generation: row.generation,
    acceptedAtMs: row.accepted_at,
    eventType: row.type,
    attempt: row.attempt,
    atMs: row.at,
    result: resultOf(row),
    groupId: row.group_id,
    reason: row.reason,
  };
}
