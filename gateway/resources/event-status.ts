/**
 * The state of an event, from the ledger: its deliveries, and those that fan-out planned and that have not begun. Of an
 * endpoint's generations a delivered one counts, else the latest.
 */
import type { DeliveryState } from "@posthaste/shared/domain/delivery.ts";
import { UNKNOWN_ENDPOINT, deliveryId, isFinal } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import type { Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { AttemptView, DeliveryView, EventRecord } from "@posthaste/shared/ports/ledger.ts";

/**
 * pending: a delivery may still be made. delivered: all matching endpoints have it. partial: some have it, and no other
 * gets it without a replay. dead: none has it. filtered: no endpoint subscribes to its type.
 */
export type EventState = "pending" | "delivered" | "partial" | "dead" | "filtered";

export interface ShownDelivery {
  readonly id: string;
  readonly endpointId: string;
  readonly generation: number;
  readonly state: DeliveryState;
  readonly reason: string | null;
  readonly attemptCount: number;
  readonly nextAttemptAtMs: number | null;
  /** In the order they were made. */
  readonly attempts: readonly AttemptView[];
}

export interface EventStatus {
  readonly state: EventState;
  readonly reason: string | null;
  readonly deliveries: readonly ShownDelivery[];
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
  const begun = withoutUnknown(record, input.deliveries).map((view) => shownOf(view, input.attempts, hasher));
  const isBegun = new Set(begun.map(({ endpointId }) => endpointId));
  const plan = record.fanOut ?? (begun.length > 0 ? NOTHING_OWED : planOf(record, endpoints));
  const owed = (endpointIds: readonly string[], state: DeliveryState, reason: string | null): ShownDelivery[] =>
    endpointIds
      .filter((endpointId) => !isBegun.has(endpointId))
      .map((endpointId) => unbegun(record, endpointId, state, reason, hasher));
  const due = record.envelope.deliverAtMs;
  const wait = due !== null && due > input.nowMs ? `to be delivered at ${new Date(due).toISOString()}` : null;
  const deliveries = [
    ...begun,
    ...owed(plan.matched, "pending", wait),
    ...owed(plan.filtered, "filtered", `does not subscribe to ${record.envelope.type}`),
  ];
  return { ...judge(deliveries, record, isMoreOwed(record, isBegun), wait), deliveries };
}

/** An event whose endpoints could not be read for long is dead for now; once it was fanned out all the same, that counts. */
function withoutUnknown({ fanOut }: EventRecord, deliveries: readonly DeliveryView[]): readonly DeliveryView[] {
  const known = deliveries.filter(({ endpointId }) => endpointId !== UNKNOWN_ENDPOINT);
  return known.length === 0 && fanOut === null ? deliveries : known;
}

/** Fan-out to a single endpoint is not recorded. Its delivery has begun, so no other is owed. */
const NOTHING_OWED = { matched: [], filtered: [] };

/** Fan-out keeps a bounded list of ids. Past it, only its count says that more is owed. */
function isMoreOwed({ fanOut }: EventRecord, isBegun: ReadonlySet<string>): boolean {
  if (fanOut === null) return false;
  const listed = new Set(fanOut.matched);
  const begunUnlisted = [...isBegun].filter((endpointId) => !listed.has(endpointId)).length;
  return begunUnlisted < fanOut.matchedCount - listed.size;
}

function judge(
  deliveries: readonly ShownDelivery[],
  { fanOut, envelope }: EventRecord,
  isOwing: boolean,
  wait: string | null,
): { state: EventState; reason: string | null } {
  const states = standingStates(deliveries);
  if (states.length === 0 && !isOwing) {
    if (fanOut === null) return { state: "pending", reason: wait };
    return { state: "filtered", reason: `no endpoint of the tenant subscribes to ${envelope.type}` };
  }
  if (isOwing || states.some((state) => !isFinal(state))) return { state: "pending", reason: wait };
  const delivered = states.filter((state) => state === "delivered").length;
  if (delivered === states.length) return { state: "delivered", reason: null };
  const missed = states.length - delivered;
  const reason = `${missed} of ${states.length} deliveries will not be made by themselves; replay them`;
  return { state: delivered === 0 ? "dead" : "partial", reason };
}

/** One state for each endpoint that the event is for. */
function standingStates(deliveries: readonly ShownDelivery[]): readonly DeliveryState[] {
  const byEndpoint = new Map<string, ShownDelivery>();
  for (const delivery of deliveries) {
    if (delivery.state === "filtered") continue;
    const best = byEndpoint.get(delivery.endpointId);
    const isBetter =
      best === undefined ||
      (best.state !== "delivered" && (delivery.state === "delivered" || delivery.generation > best.generation));
    if (isBetter) byEndpoint.set(delivery.endpointId, delivery);
  }
  return [...byEndpoint.values()].map(({ state }) => state);
}

/** What fan-out would do now; it may differ from what fan-out does later. */
function planOf({ envelope }: EventRecord, endpoints: readonly Endpoint[]): { matched: string[]; filtered: string[] } {
  const matched: string[] = [];
  const filtered: string[] = [];
  for (const { id, eventTypes } of endpoints) (matches(eventTypes, envelope.type) ? matched : filtered).push(id);
  return { matched, filtered };
}

function shownOf(view: DeliveryView, attempts: readonly AttemptView[], hasher: Hasher): ShownDelivery {
  return {
    id: deliveryId(view, view.acceptedAtMs, hasher),
    endpointId: view.endpointId,
    generation: view.generation,
    state: view.state,
    reason: view.reason,
    attemptCount: view.attempts,
    nextAttemptAtMs: view.nextAttemptAtMs,
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
): ShownDelivery {
  const key = { tenant: envelope.tenant, eventId: envelope.id, endpointId, generation: 0 };
  return {
    id: deliveryId(key, envelope.acceptedAtMs, hasher),
    endpointId,
    generation: 0,
    state,
    reason,
    attemptCount: 0,
    nextAttemptAtMs: state === "pending" ? envelope.deliverAtMs : null,
    attempts: [],
  };
}
