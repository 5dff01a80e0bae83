/** Writes what became of events: the operations behind `Ledger.record`. Each runs within one operation of the writer. */
import { DELIVERY_STATES, firstTimes, HELD_STATES, isFinal, SCHEDULE_WAITS } from "../../domain/delivery.ts";
import type { Leg } from "../../domain/delivery.ts";
import { ATTEMPTS_MAX } from "../../domain/retry-policy.ts";
import { unreachable } from "../../lib/assert.ts";
import type { DeliveryRecord, FanOut, LedgerEntry } from "../../ports/ledger.ts";
import { FILTERED_IDS_MAX, MATCHED_IDS_MAX, isReplayBeginning } from "../../ports/ledger.ts";
import type { AttemptResult } from "../../domain/attempt.ts";
import type { Database } from "./database.ts";

/** What may turn to pending: nothing was attempted, or it was held back. */
const OPEN_STATES = ["pending", ...HELD_STATES].map((state) => `'${state}'`).join(", ");

const FINAL_STATES = DELIVERY_STATES.filter(isFinal)
  .map((state) => `'${state}'`)
  .join(", ");

/**
 * Most deliveries end with their first attempt, so that an insert is tried before an update; it reads nothing back
 * (half the time of one statement that does both and returns the id).
 */
const INSERT_DELIVERY = `
  INSERT INTO deliveries (id, event, endpoint_id, generation, tenant, accepted_at, state, attempts, updated_at, next_at, reason,
    wait, lane_ms, limiter_ms, deferred_ms, retry_ms)
  SELECT ?, id, ?, ?, tenant, accepted_at, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM events WHERE tenant = ? AND event_id = ?
  ON CONFLICT (event, endpoint_id, generation) DO NOTHING`;

const SCHEDULED = `wait IN (${SCHEDULE_WAITS.map((wait) => `'${wait}'`).join(", ")})`;
/** Since its last news; 0 for what did no work on the delivery, and for what was taken before them. */
const WAITED = "max(0, ifnull(?9 - updated_at, 0))";

/**
 * Nothing leaves a final state or goes back to an older attempt, but for a success that a copy had after the other died; only
 * what was held goes back to pending.
 */
const UPDATE_DELIVERY = `
  UPDATE deliveries SET state = ?1, attempts = ?2, updated_at = ?3, next_at = ?4, reason = ?5, wait = ?7,
    limiter_ms = limiter_ms + CASE WHEN ?9 >= updated_at THEN ?8 ELSE 0 END,
    retry_ms = retry_ms + CASE WHEN ${SCHEDULED} THEN ${WAITED} ELSE 0 END,
    deferred_ms = deferred_ms + CASE WHEN ${SCHEDULED} THEN 0 ELSE ${WAITED} END
  WHERE id = ?6 AND ?2 >= attempts AND (state NOT IN (${FINAL_STATES}) OR (?1 = 'delivered' AND state IN ('dead', 'expired')))
    AND (?1 <> 'pending' OR state IN (${OPEN_STATES}))`;

type TimeValues = readonly [wait: string | null, ...ms: (number | null)[]];
const NO_TIMES: TimeValues = [null, null, null, null, null];

/** As `INSERT_DELIVERY` takes them. */
function timeValues(leg: Leg): TimeValues {
  const { laneMs, limiterMs, deferredMs, retryMs } = firstTimes(leg);
  return [leg.wait, laneMs, limiterMs, deferredMs, retryMs];
}

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
  const insertFanOut = database.prepare("INSERT OR REPLACE INTO fan_outs VALUES (?, ?, ?, ?, ?, ?, ?)");
  const insertDelivery = database.prepare(INSERT_DELIVERY);
  const updateDelivery = database.prepare(UPDATE_DELIVERY);
  const findDelivery = database.prepare<{ id: number }>(
    `SELECT id FROM deliveries WHERE event = (SELECT id FROM events WHERE tenant = ? AND event_id = ?)
       AND endpoint_id = ? AND generation = ?`,
  );
  const recordAttempt = createAttemptRecord(database);
  let idLast = database.prepare<{ id: number | null }>("SELECT max(id) AS id FROM deliveries").get()?.id ?? 0;

  function recordFanOut(fanOut: FanOut): void {
    const event = findEvent.get(fanOut.tenant, fanOut.eventId);
    if (event === undefined) return;
    insertFanOut.run(
      event.id,
      fanOut.atMs,
      JSON.stringify(fanOut.matched.slice(0, MATCHED_IDS_MAX)),
      fanOut.matchedCount,
      JSON.stringify(fanOut.filtered.slice(0, FILTERED_IDS_MAX)),
      fanOut.filteredCount,
      fanOut.isCancelled === true ? 1 : 0,
    );
  }

  /** The row's id; null when the event is not kept. */
  function placeDelivery(record: DeliveryRecord): number | null {
    const { tenant, eventId, endpointId, generation } = record;
    const standing = [record.state, record.attempt, record.atMs, record.nextAttemptAtMs, record.reason] as const;
    const { leg } = record;
    const times = leg === undefined ? NO_TIMES : timeValues(leg);
    idLast++;
    const { changes } = insertDelivery.run(idLast, endpointId, generation, ...standing, ...times, tenant, eventId);
    if (Number(changes) === 1) return idLast;
    const found = findDelivery.get(tenant, eventId, endpointId, generation);
    if (found === undefined) return null;
    if (isReplayBeginning(record)) return found.id;
    updateDelivery.run(...standing, found.id, leg?.wait ?? null, leg?.limiterMs ?? 0, leg?.takenAtMs ?? null);
    return found.id;
  }

  function recordDelivery(record: DeliveryRecord): void {
    const delivery = placeDelivery(record);
    if (record.result === null || delivery === null) return;
    if (record.attempt < 1 || record.attempt > ATTEMPTS_MAX) return;
    recordAttempt(delivery, record, record.result);
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
  const insertAttempt = database.prepare("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  return (delivery, record, result) => {
    const isAnswer = result.kind === "answered";
    insertAttempt.run(
      delivery,
      record.attempt,
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
