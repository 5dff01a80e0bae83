/** What became of each event, in tables beside the queues. Reads wait for what was recorded before them. */
import * as v from "valibot";
import { DELIVERY_STATES, isFinal } from "../../domain/delivery.ts";
import type { ResultKind } from "../../domain/attempt.ts";
import type { AttemptFilter, DeliveryFilter, Ledger, OutcomeFilter } from "../../ports/ledger.ts";
import type { BoundedLists, ListQuery } from "./bounded-list.ts";
import { createConditions } from "./conditions.ts";
import type { Database, SqlValue } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";
import { inParts } from "./parts.ts";
import { createLedgerEvents } from "./ledger-events.ts";
import { createLedgerRecord } from "./ledger-record.ts";
import type { AttemptRow, DeliveryRow } from "./ledger-rows.ts";
import { attemptOf, deliveryOf, StoredAttempt, StoredDelivery } from "./ledger-rows.ts";

const DELIVERY_SELECT = `
  SELECT d.id, d.tenant, e.event_id, d.endpoint_id, d.generation, d.accepted_at, d.state, d.attempts,
    d.updated_at, d.next_at, d.reason, d.wait, d.lane_ms, d.limiter_ms, d.deferred_ms, d.retry_ms
  FROM deliveries d CROSS JOIN events e ON e.id = d.event`;
const ATTEMPT_COLUMNS = `a.delivery, d.tenant, e.event_id, e.type, d.endpoint_id, d.generation, d.accepted_at, a.attempt,
    a.at, a.group_id, a.reason, a.status, a.retry_after, a.excerpt, a.is_cut, a.fault, a.duration_ms,
    d.state, d.attempts`;

const FINAL_STATES: ReadonlySet<string> = new Set(DELIVERY_STATES.filter(isFinal));

/** An attempt follows its event's acceptance, unless the machine's clock was set back: so far at most. */
const CLOCK_STEP_MS = 3600 * 1000;

export function createLedger(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly lists: BoundedLists;
}): Ledger {
  const { database, writer, lists } = options;
  const recordEntry = createLedgerRecord(database);
  const events = createLedgerEvents(database, lists);
  const readState = database.prepare<{ state: string; attempt: number | null }>(
    `SELECT d.state, (SELECT max(attempt) FROM attempts a WHERE a.delivery = d.id) AS attempt
     FROM events e CROSS JOIN deliveries d ON d.event = e.id
     WHERE e.tenant = ? AND e.event_id = ? AND e.accepted_at = ? AND d.endpoint_id = ? AND d.generation = ?`,
  );

  return {
    record(entries) {
      for (const part of inParts(entries)) writer.post(() => part.forEach(recordEntry));
    },
    // An ack that is written from here on shares the transaction, or has a later one.
    recorded: () => Promise.resolve(),
    async isCompleted({ tenant, eventId, acceptedAtMs, endpointId, generation }, attempt) {
      await writer.flush();
      const row = readState.get(tenant, eventId, acceptedAtMs, endpointId, generation);
      if (row === undefined) return false;
      return attempt === 0 || FINAL_STATES.has(row.state) || (row.attempt !== null && row.attempt >= attempt);
    },
    async event(tenant, eventId) {
      await writer.flush();
      return events.find(tenant, eventId);
    },
    async events(filter, limit, cursor) {
      await writer.flush();
      return events.page(filter, limit, cursor);
    },
    async deliveries(filter, limit, cursor) {
      const query = deliveryQuery(filter, limit, cursor);
      await writer.flush();
      const { rows, next } = await lists.page(query);
      return { rows: rows.filter((row) => v.is(StoredDelivery, row)).map(deliveryOf), next };
    },
    async attempts(filter, limit, cursor) {
      const query = attemptQuery(filter, limit, cursor);
      await writer.flush();
      const { rows, next } = await lists.page(query);
      return { rows: rows.filter((row) => v.is(StoredAttempt, row)).map(attemptOf), next };
    },
  };
}

const OF_EVENT = "d.event = (SELECT id FROM events WHERE tenant = ? AND event_id = ?)";

/** By the endpoint's index; or all rows of one event, sorted. */
function deliveryQuery(filter: DeliveryFilter, limit: number, cursor: string | null): ListQuery<DeliveryRow> {
  const isOfEvent = filter.eventId !== undefined;
  const ofEvent = createConditions().and(OF_EVENT, filter.tenant, filter.eventId);
  const checks = createConditions()
    .and("+d.endpoint_id = ?", isOfEvent ? filter.endpointId : undefined)
    .and("+d.tenant = ?", filter.tenant)
    .and("+d.state = ?", filter.state);
  return {
    kind: "l",
    limit,
    cursor,
    table: "deliveries d",
    keys: ["d.accepted_at", "d.id"],
    range: isOfEvent ? ofEvent.plus(checks) : createConditions().and("d.endpoint_id = ?", filter.endpointId),
    sinceMs: filter.sinceMs,
    untilMs: filter.untilMs,
    checks: isOfEvent ? createConditions() : checks,
    select: DELIVERY_SELECT,
    keysOf: ({ accepted_at: acceptedAtMs, id }) => [acceptedAtMs, id],
  };
}

const FAILED = "ifnull(+a.status NOT BETWEEN 200 AND 299, 1)";
const IS_LAST_IN_VAIN = "+d.state IN ('dead', 'expired') AND a.attempt >= d.attempts";
/** As `outcomeOf` decides. */
const OUTCOMES = {
  delivered: "+a.status BETWEEN 200 AND 299",
  failed: FAILED,
  dead: `${FAILED} AND ${IS_LAST_IN_VAIN}`,
  retry: `${FAILED} AND NOT (${IS_LAST_IN_VAIN})`,
} as const satisfies Record<OutcomeFilter, string>;

function resultCondition(kind: ResultKind): readonly [sql: string, ...values: SqlValue[]] {
  const firstStatus = /^\dxx$/.test(kind) ? Number(kind[0]) * 100 : null;
  return firstStatus === null ? ["+a.fault = ?", kind] : ["+a.status BETWEEN ? AND ?", firstStatus, firstStatus + 99];
}

/** As above; `since` and `until` are the event's, while the order is the attempt's own time. */
function attemptQuery(filter: AttemptFilter, limit: number, cursor: string | null): ListQuery<AttemptRow> {
  const isOfEvent = filter.eventId !== undefined;
  const ofEvent = createConditions().and(OF_EVENT, filter.tenant, filter.eventId);
  const checks = createConditions()
    .and("+a.endpoint_id = ?", isOfEvent ? filter.endpointId : undefined)
    .and("+d.tenant = ?", filter.tenant)
    .and("+d.state = ?", filter.state)
    .and("+d.accepted_at >= ?", filter.sinceMs)
    .and("+d.accepted_at < ?", filter.untilMs);
  if (filter.outcome !== undefined) checks.and(OUTCOMES[filter.outcome]);
  if (filter.result !== undefined) checks.and(...resultCondition(filter.result));
  const from = isOfEvent
    ? "deliveries d CROSS JOIN attempts a ON a.delivery = d.id"
    : "attempts a CROSS JOIN deliveries d ON d.id = a.delivery";
  return {
    kind: "a",
    limit,
    cursor,
    table: "attempts a",
    keys: ["a.at", "a.delivery", "a.attempt"],
    range: isOfEvent ? ofEvent.plus(checks) : createConditions().and("a.endpoint_id = ?", filter.endpointId),
    sinceMs: filter.sinceMs === undefined ? undefined : filter.sinceMs - CLOCK_STEP_MS,
    untilMs: undefined,
    checks: isOfEvent ? createConditions() : checks,
    select: `SELECT ${ATTEMPT_COLUMNS} FROM ${from} CROSS JOIN events e ON e.id = d.event`,
    keysOf: ({ at, delivery, attempt }) => [at, delivery, attempt],
  };
}
