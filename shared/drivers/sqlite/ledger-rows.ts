/** Deliveries and attempts as the ledger's queries read them, and as views. */
import * as v from "valibot";
import type { DeliveryState, DeliveryTimes } from "../../domain/delivery.ts";
import { DELIVERY_STATES, WAIT_CODES } from "../../domain/delivery.ts";
import { RecordedName } from "../../domain/envelope-record.ts";
import { ID_TIME_MS_MAX, TimeMs } from "../../domain/id.ts";
import { outcomeOf } from "../../domain/outcome.ts";
import type { AttemptView, DeliveryView } from "../../ports/ledger.ts";
import type { ResultRow } from "./ledger-record.ts";
import { resultOf } from "./ledger-record.ts";

export interface DeliveryRow {
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
  readonly wait: string | null;
  readonly lane_ms: number | null;
  readonly limiter_ms: number | null;
  readonly deferred_ms: number | null;
  readonly retry_ms: number | null;
}

export interface AttemptRow extends ResultRow {
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
  readonly state: string;
  readonly attempts: number;
}

/** A row may have been edited by anyone; one that does not read back is in no list. */
export const StoredDelivery = v.object({
  endpoint_id: RecordedName,
  generation: TimeMs,
  accepted_at: TimeMs,
  state: v.picklist(DELIVERY_STATES),
  attempts: TimeMs,
  updated_at: TimeMs,
  next_at: v.nullable(TimeMs),
});

export const StoredAttempt = v.object({
  endpoint_id: RecordedName,
  generation: TimeMs,
  accepted_at: TimeMs,
  attempt: TimeMs,
  at: TimeMs,
  state: v.picklist(DELIVERY_STATES),
  status: v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(999))),
  duration_ms: v.pipe(v.number(), v.minValue(0), v.maxValue(ID_TIME_MS_MAX)),
});

export function deliveryOf(row: DeliveryRow): DeliveryView {
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
    wait: WAIT_CODES.find((code) => code === row.wait) ?? null,
    times: timesOf(row),
  };
}

/** Null when any of them is, or is no time. */
function timesOf({ lane_ms, limiter_ms, deferred_ms, retry_ms }: DeliveryRow): DeliveryTimes | null {
  const times = { laneMs: lane_ms, limiterMs: limiter_ms, deferredMs: deferred_ms, retryMs: retry_ms };
  return v.is(StoredTimes, times) ? times : null;
}

const StoredTimes = v.object({ laneMs: TimeMs, limiterMs: TimeMs, deferredMs: TimeMs, retryMs: TimeMs });

export function attemptOf(row: AttemptRow): AttemptView {
  const result = resultOf(row);
  return {
    tenant: row.tenant,
    eventId: row.event_id,
    endpointId: row.endpoint_id,
    generation: row.generation,
    acceptedAtMs: row.accepted_at,
    eventType: row.type,
    attempt: row.attempt,
    atMs: row.at,
    result,
    outcome: outcomeOf({ attempt: row.attempt, result }, { state: row.state as DeliveryState, attempts: row.attempts }),
    groupId: row.group_id,
    reason: row.reason,
  };
}
