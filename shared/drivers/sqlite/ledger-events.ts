/** Events of the ledger: one by name, and lists of them, each in its state. Reads see what is committed. */
import * as v from "valibot";
import { TimeMs } from "../../domain/id.ts";
import type { DeliveryState } from "../../domain/delivery.ts";
import { DELIVERY_STATES, isFinal, UNKNOWN_ENDPOINT } from "../../domain/delivery.ts";
import type { EventState, KnownFanOut } from "../../domain/event-state.ts";
import { eventStanding } from "../../domain/event-state.ts";
import type { Page } from "../../ports/dead-letters.ts";
import type { EventFilter, EventRecord, FanOut, ListedEvent } from "../../ports/ledger.ts";
import type { BoundedLists, ListQuery } from "./bounded-list.ts";
import { createConditions } from "./conditions.ts";
import type { Database } from "./database.ts";
import type { EnvelopeRow } from "./event-store.ts";
import { ENVELOPE_COLUMNS, readableEnvelope } from "./event-store.ts";

interface FanOutRow {
  readonly fan_out_at: number | null;
  readonly matched: string | null;
  readonly matched_count: number | null;
  readonly filtered: string | null;
  readonly filtered_count: number | null;
  readonly is_cancelled: number | null;
}

interface EventRow extends EnvelopeRow, FanOutRow {
  readonly id: number;
}

/** The row's place in the list: its own id, or that of the delivery that brings it. */
interface ListedRow {
  readonly id: number;
  readonly accepted_at: number;
  readonly place: number;
  readonly bytes: number;
}

interface StandingRow {
  readonly endpoint_id: string;
  readonly generation: number;
  readonly state: string;
}

const FAN_OUT_COLUMNS = "f.at AS fan_out_at, f.matched, f.matched_count, f.filtered, f.filtered_count, f.is_cancelled";
const EVENT_SELECT = `SELECT e.id, ${ENVELOPE_COLUMNS}, ${FAN_OUT_COLUMNS} FROM events e LEFT JOIN fan_outs f ON f.event = e.id`;
/** Most deliveries of one event that decide its state. */
const STANDING_ROWS_MAX = 10_000;

export interface LedgerEvents {
  find(tenant: string, eventId: string): EventRecord | null;
  page(filter: EventFilter, limit: number, cursor: string | null): Promise<Page<ListedEvent>>;
}

export function createLedgerEvents(database: Database, lists: BoundedLists): LedgerEvents {
  const byName = database.prepare<EventRow>(`${EVENT_SELECT} WHERE e.tenant = ? AND e.event_id = ?`);
  const byId = database.prepare<EventRow>(`${EVENT_SELECT} WHERE e.id = ?`);
  const fanOutOfEvent = database.prepare<FanOutRow>(`SELECT ${FAN_OUT_COLUMNS} FROM fan_outs f WHERE f.event = ?`);
  const standings = database.prepare<StandingRow>(
    `SELECT endpoint_id, generation, state FROM deliveries WHERE event = ? LIMIT ${STANDING_ROWS_MAX}`,
  );

  function stateOf(event: number, fanOut: KnownFanOut | null): EventState {
    const deliveries = standings.all(event).map(({ endpoint_id: endpointId, generation, state }) => ({
      endpointId,
      generation,
      state: state as DeliveryState,
    }));
    return eventStanding(fanOut, deliveries).state;
  }

  return {
    find(tenant, eventId) {
      const row = byName.get(tenant, eventId);
      return row === undefined ? null : eventOf(row);
    },
    async page(filter, limit, cursor) {
      const query = listQuery(filter, limit, cursor);
      const { state: wanted } = filter;
      if (wanted !== undefined) query.checks.and(MAY_BE[wanted]);
      const isMeant = ({ id }: ListedRow): boolean => stateOf(id, plannedOf(fanOutOfEvent.get(id))) === wanted;
      const { rows, next } = await lists.page(wanted === undefined ? query : { ...query, isMeant });
      // Retention may have taken one since its place was read, and another may have changed its state.
      const events = await lists.read(rows, ({ id }) =>
        byId.all(id).flatMap((row) => {
          const record = eventOf(row);
          return record === null ? [] : [{ ...record, state: stateOf(row.id, record.fanOut) }];
        }),
      );
      return { rows: events.filter(({ state }) => wanted === undefined || state === wanted), next };
    },
  };
}

function listQuery(filter: EventFilter, limit: number, cursor: string | null): ListQuery<ListedRow> {
  const { sinceMs, untilMs } = filter;
  const shared = {
    limit,
    cursor,
    sinceMs,
    untilMs,
    keysOf: ({ accepted_at: acceptedAtMs, place }: ListedRow) => [acceptedAtMs, place],
    bytesOf: ({ bytes }: ListedRow) => bytes,
  };
  if ("endpointId" in filter) {
    return {
      ...shared,
      kind: "t",
      table: "deliveries d",
      keys: ["d.accepted_at", "d.id"],
      range: createConditions().and("d.endpoint_id = ?", filter.endpointId),
      checks: createConditions().and("+d.tenant = ?", filter.tenant).and(IS_OF_TYPE, filter.type).and(IS_FIRST),
      select: `SELECT e.id, d.accepted_at, d.id AS place, length(e.body) AS bytes
        FROM deliveries d CROSS JOIN events e ON e.id = d.event`,
    };
  }
  return {
    ...shared,
    kind: "e",
    table: "events e",
    keys: ["e.accepted_at", "e.id"],
    range: createConditions().and("e.tenant = ?", filter.tenant ?? undefined),
    checks: createConditions().and("+e.type = ?", filter.type),
    select: "SELECT e.id, e.accepted_at, e.id AS place, length(e.body) AS bytes FROM events e",
  };
}

/** Of a delivery's event, from the index alone: its row lies beside its body, and of 16,000 deliveries that was 90 ms. */
const IS_OF_TYPE = `EXISTS (SELECT 1 FROM events t INDEXED BY events_by_tenant
  WHERE t.tenant = d.tenant AND t.accepted_at = d.accepted_at AND t.id = d.event AND t.type = ?)`;

const hasDelivery = (condition: string): string =>
  `EXISTS (SELECT 1 FROM deliveries s WHERE s.event = e.id AND s.state ${condition})`;
const hasFanOut = (condition: string): string =>
  `EXISTS (SELECT 1 FROM fan_outs f WHERE f.event = e.id AND ${condition})`;
const stateList = (isMeant: (state: DeliveryState) => boolean): string =>
  `(${DELIVERY_STATES.filter(isMeant)
    .map((state) => `'${state}'`)
    .join(", ")})`;
const MISSED = `IN ${stateList((state) => isFinal(state) && state !== "delivered" && state !== "filtered")}`;

/**
 * What an event of each state has, as `eventStanding` decides: so few are left to be judged one by one, which takes several times as long. An
 * event of another state may have it too.
 */
const MAY_BE = {
  pending: `(${hasDelivery(`NOT IN ${stateList(isFinal)}`)} OR ${hasFanOut("TRUE")} OR NOT ${hasDelivery(`<> 'filtered' AND s.endpoint_id <> '${UNKNOWN_ENDPOINT}'`)})`,
  delivered: hasDelivery("= 'delivered'"),
  partial: `(${hasDelivery(MISSED)} AND ${hasDelivery("= 'delivered'")})`,
  dead: hasDelivery(MISSED),
  filtered: hasFanOut("TRUE"),
  cancelled: hasFanOut("f.is_cancelled = 1"),
} as const satisfies Record<EventState, string>;

/** Of an event's deliveries to one endpoint the first brings it into the list; a replay changes nothing of that. */
const IS_FIRST = `NOT EXISTS (SELECT 1 FROM deliveries o
  WHERE o.event = d.event AND o.endpoint_id = d.endpoint_id AND o.id < d.id)`;

/** Null for a row that does not read back. */
function eventOf(row: EventRow): EventRecord | null {
  const envelope = readableEnvelope(row);
  if (envelope === null) return null;
  const planned = plannedOf(row);
  if (planned === null) return { envelope, fanOut: null };
  const fanOut: FanOut = {
    tenant: row.tenant,
    eventId: row.event_id,
    atMs: v.is(TimeMs, row.fan_out_at) ? row.fan_out_at : 0,
    ...planned,
    filtered: idsOf(row.filtered),
    filteredCount: row.filtered_count ?? 0,
  };
  return { envelope, fanOut };
}

function plannedOf(row: FanOutRow | undefined): KnownFanOut | null {
  if (row === undefined || row.fan_out_at === null) return null;
  const planned = { matched: idsOf(row.matched), matchedCount: row.matched_count ?? 0 };
  return row.is_cancelled === 1 ? { ...planned, isCancelled: true } : planned;
}

/** None when the text is no list of ours: a row that was changed by hand costs its own ids, and no list. */
function idsOf(text: string | null): readonly string[] {
  try {
    const ids: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}
