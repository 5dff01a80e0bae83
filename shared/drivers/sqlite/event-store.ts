/**
 * The rows of events: content for the lanes, the retry queue and the ledger alike, each body once. Every method runs
 * within an operation of the writer or reads what is committed.
 */
import type { Clock } from "../../lib/ambient.ts";
import type { Envelope } from "../../domain/envelope.ts";
import type { Priority } from "../../domain/event.ts";
import { laneByPriority } from "../../domain/event.ts";
import { ID_TIME_MS_MAX } from "../../domain/id.ts";
import type { Database } from "./database.ts";

/** Delivered events stay this long after acceptance, others after their last news (port `ledger`). */
export const EVENTS_KEPT_MS = 24 * 3600 * 1000;
/** An event that was accepted longer ago or ahead, as a replayed dead letter may have been, has its time of retention beside it. */
const JUST_ACCEPTED_MS = 3600 * 1000;

/** Ids of rows are counted from 1: one from here on was written by hand, and is not counted on from. */
export const ID_END = 2 ** 52;

export interface EnvelopeRow {
  readonly event_id: string;
  readonly tenant: string;
  readonly type: string;
  readonly priority: string;
  readonly accepted_at: number;
  readonly deliver_at: number | null;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  readonly directory_version: number;
  readonly body: Uint8Array;
}

/** Columns of `EnvelopeRow` in table `events e`. */
export const ENVELOPE_COLUMNS =
  "e.event_id, e.tenant, e.type, e.priority, e.accepted_at, e.deliver_at, e.traceparent, e.tracestate, e.directory_version, e.body";

/** As `TenantName`. */
const TENANT = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Null for a row that does not read back, since it may have been edited by anyone: what queues and lists go by must be there. By
 * hand, as each event passes here. An odd id, type or trace is let through: it ends as a dead letter that says why it
 * cannot be written as HTTP.
 */
export function readableEnvelope(row: EnvelopeRow): Envelope | null {
  const isReadable =
    typeof row.event_id === "string" &&
    typeof row.tenant === "string" &&
    typeof row.type === "string" &&
    TENANT.test(row.tenant) &&
    Object.hasOwn(laneByPriority, row.priority) &&
    isTimeMs(row.accepted_at) &&
    (row.deliver_at === null || isTimeMs(row.deliver_at)) &&
    (row.traceparent === null || typeof row.traceparent === "string") &&
    (row.tracestate === null || typeof row.tracestate === "string") &&
    Number.isSafeInteger(row.directory_version) &&
    row.directory_version >= 0;
  return isReadable ? envelopeOf(row) : null;
}

function isTimeMs(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= ID_TIME_MS_MAX;
}

/** Of a row that reads back. */
function envelopeOf(row: EnvelopeRow): Envelope {
  return {
    id: row.event_id,
    tenant: row.tenant,
    type: row.type,
    priority: row.priority as Priority,
    acceptedAtMs: row.accepted_at,
    deliverAtMs: row.deliver_at,
    traceparent: row.traceparent,
    tracestate: row.tracestate,
    directoryVersion: row.directory_version,
    body: row.body,
  };
}

export interface EventStore {
  /** Inserts the event for a lane and returns its row id; null when the row is there already. */
  insert(envelope: Envelope, isLaned: boolean): number | null;
  find(tenant: string, eventId: string): number | null;
  /** Marks a row that only the retry queue knew as known to a lane; null when a lane had it before. */
  claimForLane(tenant: string, eventId: string): number | null;
}

export function createEventStore(database: Database, clock: Pick<Clock, "now">): EventStore {
  const pruneLater = database.prepare("INSERT INTO prune_later VALUES (?, ?)");
  const insert = database.prepare(
    "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, event_id) DO NOTHING",
  );
  const find = database.prepare<{ id: number }>("SELECT id FROM events WHERE tenant = ? AND event_id = ?");
  const claim = database.prepare<{ id: number }>(
    "UPDATE events SET is_laned = 2 WHERE tenant = ? AND event_id = ? AND is_laned = 0 RETURNING id",
  );
  let idLast =
    database.prepare<{ id: number | null }>(`SELECT max(id) AS id FROM events WHERE id < ${ID_END}`).get()?.id ?? 0;

  return {
    insert(envelope, isLaned) {
      idLast++;
      const nowMs = clock.now();
      const isJustAccepted = Math.abs(nowMs - envelope.acceptedAtMs) <= JUST_ACCEPTED_MS;
      const pruneAtMs = isJustAccepted ? 0 : Math.floor(nowMs) + EVENTS_KEPT_MS;
      const { changes } = insert.run(
        idLast,
        envelope.tenant,
        envelope.id,
        envelope.type,
        envelope.priority,
        envelope.acceptedAtMs,
        envelope.deliverAtMs,
        envelope.traceparent,
        envelope.directoryVersion,
        isLaned ? 1 : 0,
        pruneAtMs,
        envelope.body,
        envelope.tracestate,
      );
      if (Number(changes) === 0) return null;
      if (pruneAtMs > 0) pruneLater.run(pruneAtMs, idLast);
      return idLast;
    },
    find: (tenant, eventId) => find.get(tenant, eventId)?.id ?? null,
    claimForLane: (tenant, eventId) => claim.get(tenant, eventId)?.id ?? null,
  };
}
