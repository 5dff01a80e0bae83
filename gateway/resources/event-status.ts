/** What became of an event, from the ledger: its state, its deliveries, and those that fan-out planned and that have not begun. */
import type { DeliveryState, DeliveryTimes } from "@posthaste/shared/domain/delivery.ts";
import { MISSED_STATES, deliveryId } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import type { EventStanding, EventState } from "@posthaste/shared/domain/event-state.ts";
import { eventStanding, withoutUnknown } from "@posthaste/shared/domain/event-state.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { AttemptView, DeliveryView, EventRecord } from "@posthaste/shared/ports/ledger.ts";
import { deliveredSince } from "@posthaste/shared/ports/ledger.ts";
import { instantText } from "./view-parts.ts";
import type { Waiting } from "./waiting.ts";
import { waitingInLane, waitingOf } from "./waiting.ts";

export interface ShownDelivery {
  readonly id: string;
  readonly endpointId: string;
  readonly generation: number;
  readonly state: DeliveryState;
  readonly reason: string | null;
  readonly attemptCount: number;
  readonly nextAttemptAtMs: number | null;
  /** Null when nothing more is to come without a replay. */
  readonly waiting: Waiting | null;
  /** Null before the first record of it, and when an earlier release made one. */
  readonly times: DeliveryTimes | null;
  /** In the order they were made. */
  readonly attempts: readonly AttemptView[];
}

export interface EventStatus {
  readonly state: EventState;
  readonly reason: string | null;
  /** Of its deliveries the one that waits longest. */
  readonly waiting: Waiting | null;
  readonly deliveries: readonly ShownDelivery[];
  /** Endpoints that do not subscribe; of many the fan-out keeps not all ids. */
  readonly filteredCount: number;
}

export function eventStatus(input: {
  record: EventRecord;
  deliveries: readonly DeliveryView[];
  attempts: readonly AttemptView[];
  endpoints: readonly Endpoint[];
  nowMs: number;
  hasher: Hasher;
}): EventStatus {
  const { record, endpoints, hasher } = input;
  const begun = withoutUnknown(record.fanOut, input.deliveries).map((view) => {
    return shownOf(view, { ...input, since: thenDelivered(view, input.deliveries) });
  });
  const isBegun = new Set(begun.map(({ endpointId }) => endpointId));
  const plan = record.fanOut ?? (begun.length > 0 ? NOTHING_OWED : planOf(record, endpoints));
  const inLane = waitingInLane(record.envelope, input.nowMs);
  const owed = (endpointIds: readonly string[], state: DeliveryState, reason: string | null): ShownDelivery[] =>
    endpointIds
      .filter((endpointId) => !isBegun.has(endpointId))
      .map((endpointId) => {
        const waiting = state === "pending" ? inLane : null;
        return { ...unbegun(record, endpointId, state, reason, hasher), waiting };
      });
  const due = record.envelope.deliverAtMs;
  const wait = due !== null && due > input.nowMs ? `to be delivered at ${new Date(due).toISOString()}` : null;
  const filtered = owed(plan.filtered, "filtered", `does not subscribe to ${record.envelope.type}`);
  const deliveries = [...begun, ...owed(plan.matched, "pending", wait), ...filtered];
  const unlistedCount = record.fanOut === null ? 0 : record.fanOut.filteredCount - record.fanOut.filtered.length;
  const standing = eventStanding(record.fanOut, input.deliveries);
  const reason = reasonOf(standing, record.envelope.type, wait);
  const waiting = standing.state === "pending" ? (longestOf(deliveries) ?? inLane) : longestOf(deliveries);
  return { state: standing.state, reason, waiting, deliveries, filteredCount: filtered.length + unlistedCount };
}

function longestOf(deliveries: readonly ShownDelivery[]): Waiting | null {
  const waiting = deliveries.flatMap((delivery) => (delivery.waiting === null ? [] : [delivery.waiting]));
  return waiting.toSorted((one, other) => one.sinceMs - other.sinceMs)[0] ?? null;
}

/** Fan-out to a single endpoint is not recorded. Its delivery has begun, so no other is owed. */
const NOTHING_OWED = { matched: [], filtered: [] };

/** Why the event is in its state; null when all have it. */
function reasonOf({ state, missedCount, endpointCount }: EventStanding, type: string, wait: string | null) {
  switch (state) {
    case "pending":
      return wait;
    case "delivered":
      return null;
    case "filtered":
      return `no endpoint of the tenant subscribes to ${type}`;
    case "cancelled":
      return "cancelled before its time";
    case "partial":
    case "dead":
      return missedWords(missedCount, endpointCount);
    default:
      return unreachable(state);
  }
}

function missedWords(missed: number, of: number): string {
  const which = of === 1 ? "its delivery" : `${missed} of ${of} deliveries`;
  return missed === 1
    ? `${which} will not be made by itself; replay it`
    : `${which} will not be made by themselves; replay them`;
}

/** What fan-out would do now; it may differ from what fan-out does later. */
function planOf({ envelope }: EventRecord, endpoints: readonly Endpoint[]): { matched: string[]; filtered: string[] } {
  const matched: string[] = [];
  const filtered: string[] = [];
  for (const endpoint of endpoints) (matches(endpoint, envelope.type) ? matched : filtered).push(endpoint.id);
  return { matched, filtered };
}

/** What became of the event at the endpoint of a delivery that was missed; null when it is still owed. */
export function thenDelivered(missed: DeliveryView, deliveries: readonly DeliveryView[]): string | null {
  if (!MISSED.has(missed.state)) return null;
  const own = deliveries.filter(({ endpointId }) => endpointId === missed.endpointId);
  const success = deliveredSince(own, missed.generation);
  if (success === null) return null;
  return `then delivered${success.generation === 0 ? "" : " by a replay"} at ${instantText(success.updatedAtMs)}`;
}

const MISSED: ReadonlySet<DeliveryState> = new Set(MISSED_STATES);

function shownOf(
  view: DeliveryView,
  { attempts, hasher, since }: { attempts: readonly AttemptView[]; hasher: Hasher; since: string | null },
): ShownDelivery {
  return {
    id: deliveryId(view, view.acceptedAtMs, hasher),
    endpointId: view.endpointId,
    generation: view.generation,
    state: view.state,
    reason: since === null ? view.reason : `${view.reason ?? view.state}; ${since}`,
    attemptCount: view.attempts,
    nextAttemptAtMs: view.nextAttemptAtMs,
    waiting: waitingOf(view),
    times: view.times,
    attempts: attempts
      .filter((attempt) => attempt.endpointId === view.endpointId && attempt.generation === view.generation)
      .toSorted((left, right) => left.attempt - right.attempt),
  };
}

function unbegun(
  { envelope }: EventRecord,
  endpointId: string,
  state: DeliveryState,
  reason: string | null,
  hasher: Hasher,
): Omit<ShownDelivery, "waiting"> {
  const key = { tenant: envelope.tenant, eventId: envelope.id, endpointId, generation: 0 };
  return {
    id: deliveryId(key, envelope.acceptedAtMs, hasher),
    endpointId,
    generation: 0,
    state,
    reason,
    attemptCount: 0,
    nextAttemptAtMs: state === "pending" ? envelope.deliverAtMs : null,
    times: null,
    attempts: [],
  };
}
