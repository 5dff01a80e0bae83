/** Writes what became of events: the operations behind `Ledger.record`. Each runs within one operation of the writer. */
import { DELIVERY_STATES, HELD_STATES, isFinal } from "../../domain/delivery.ts";
import { ATTEMPTS_MAX } from "../../domain/retry-policy.ts";
import { unreachable } from "../../lib/assert.ts";
import type { DeliveryRecord, FanOut, LedgerEntry } from "../../ports/ledger.ts";
import { FAN_OUT_IDS_MAX } from "../../ports/ledger.ts";
import type { AttemptResult } from "../../domain/attempt.ts";
import type { Database } from "./database.ts";

/** What may turn to pending: nothing was attempted, or it was held back. */
const OPEN_STATES = ["pending", ...HELD_STATES].map((state) => `'${state}'`).join(", ");

const FINAL_STATES = DELIVERY_STATES.filter(isFinal)
  .map((state) => `'${state}'`)
  .join(", ");

/** As `canTransition`, by attempts: nothing leaves a final state, goes back to pending or to an older attempt. */
const UPSERT_DELIVERY = `
  INSERT INTO deliveries (event, endpoint_id, generation, delivery_id, tenant, accepted_at, state, attempts, updated_at, next_at, reason)
  SELECT id, ?, ?, ?, ?, accepted_at, ?, ?, ?, ?, ? FROM events WHERE tenant = ? AND event_id = ?
  ON CONFLICT (event, endpoint_id, generation) DO UPDATE SET
    state = excluded.state, attempts = excluded.attempts, updated_at = excluded.updated_at,
    next_at = excluded.next_at, reason = excluded.reason
  WHERE excluded.attempts >= attempts AND state NOT IN (${FINAL_STATES}) AND (excluded.state <> 'pending' OR state IN (${OPEN_STATES}))
  RETURNING id`;

/** Columns of `attempts` that hold an attempt's result. */
export interface ResultRow {
  readonly status: number | null;
  readonly retry_after: string | null;
  readonly excerpt: string;
  readonly is_cut: number;
  readonly fault: string | null;
  readonly duration_ms: number;
}

export function resultOf(row: ResultRow): AttemptResult {
  if (row.status === null) {
    // Written by `insertAttempt` from a fault of the same type.
    type Fault = Extract<AttemptResult, { kind: "fault" }>["fault"];
    return { kind: "fault", fault: row.fault as Fault, detail: row.excerpt, durationMs: row.duration_ms };
  }
  return {
    kind: "answered",
    status: row.status,
    retryAfter: row.retry_after,
    bodyExcerpt: row.excerpt,
    isBodyCut: row.is_cut === 1,
    durationMs: row.duration_ms,
  };
}

/** The returned function writes one entry; an entry about an event that is not kept (any more) changes nothing. */
export function createLedgerRecord(database: Database): (entry: LedgerEntry) => void {
  const findEvent = database.prepare<{ id: number }>("SELECT id FROM events WHERE tenant = ? AND event_id = ?");
  const insertFanOut = database.prepare("INSERT OR REPLACE INTO fan_outs VALUES (?, ?, ?, ?, ?, ?)");
  const upsertDelivery = database.prepare<{ id: number }>(UPSERT_DELIVERY);
  const findDelivery = database.prepare<{ id: number }>(
    `SELECT id FROM deliveries WHERE event = (SELECT id FROM events WHERE tenant = ? AND event_id = ?)
       AND endpoint_id = ? AND generation = ?`,
  );
  const recordAttempt = createAttemptRecord(database);

  function recordFanOut(fanOut: FanOut): void {
    const event = findEvent.get(fanOut.tenant, fanOut.eventId);
    if (event === undefined) return;
    insertFanOut.run(
      event.id,
      fanOut.atMs,
      JSON.stringify(fanOut.matched.slice(0, FAN_OUT_IDS_MAX)),
      fanOut.matchedCount,
      JSON.stringify(fanOut.filtered.slice(0, FAN_OUT_IDS_MAX)),
      fanOut.filteredCount,
    );
  }

  function recordDelivery(record: DeliveryRecord): void {
    const { tenant, eventId, endpointId, generation } = record;
    const delivery =
      upsertDelivery.get(
        endpointId,
        generation,
        record.deliveryId,
        tenant,
        record.state,
        record.attempt,
        record.atMs,
        record.nextAttemptAtMs,
        record.reason,
        tenant,
        eventId,
      ) ?? findDelivery.get(tenant, eventId, endpointId, generation);
    if (record.result === null || delivery === undefined) return;
    if (record.attempt < 1 || record.attempt > ATTEMPTS_MAX) return;
    recordAttempt(delivery.id, record, record.result);
  }

  return (entry) => {
    switch (entry.kind) {
      case "fan-out":
        return recordFanOut(entry.fanOut);
      case "delivery":
        return recordDelivery(entry.delivery);
      default:
        return unreachable(entry);
    }
  };
}

function createAttemptRecord(
  database: Database,
): (delivery: number, record: DeliveryRecord, result: AttemptResult) => void {
  const insertAttempt = database.prepare(
    "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  return (delivery, record, result) => {
    const isAnswer = result.kind === "answered";
    insertAttempt.run(
      delivery,
      record.attempt,
      record.tenant,
      record.endpointId,
      record.atMs,
      isAnswer ? result.status : null,
      isAnswer ? result.retryAfter : null,
      isAnswer ? result.bodyExcerpt : result.detail,
      isAnswer && result.isBodyCut ? 1 : 0,
      isAnswer ? null : result.fault,
      result.durationMs,
      record.groupId,
      record.reason,
    );
  };
}
