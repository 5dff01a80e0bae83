/**
 * The state of an event, from its fan-out and its deliveries. Of an endpoint's generations a delivered one counts, else
 * the latest. Pure; `drivers/redis/ledger/event-state.lua` decides the same, and a test holds the two together.
 */
import type { DeliveryState } from "./delivery.ts";
import { UNKNOWN_ENDPOINT, isFinal } from "./delivery.ts";

/**
 * pending: a delivery may still be made. delivered: all matching endpoints have it. partial: some have it, and no other
 * gets it without a replay. dead: none has it. filtered: no endpoint subscribes to its type. cancelled: before its
 * `deliver_at`, so that none gets it.
 */
export const EVENT_STATES = ["pending", "delivered", "partial", "dead", "filtered", "cancelled"] as const;
export type EventState = (typeof EVENT_STATES)[number];

export interface KnownDelivery {
  readonly endpointId: string;
  readonly generation: number;
  readonly state: DeliveryState;
}

/** What fan-out planned: `matched` may be cut, the count is whole. */
export interface KnownFanOut {
  readonly matched: readonly string[];
  readonly matchedCount: number;
  readonly isCancelled?: true;
}

export interface EventStanding {
  readonly state: EventState;
  /** Endpoints that have not got it, and get it only by a replay. */
  readonly missedCount: number;
  /** Endpoints that it is for. */
  readonly endpointCount: number;
}

/** `fanOut` is null until it was recorded, or for good when it is left out (port `ledger`). */
export function eventStanding(fanOut: KnownFanOut | null, deliveries: readonly KnownDelivery[]): EventStanding {
  const begun = withoutUnknown(fanOut, deliveries);
  const isBegun = new Set(begun.map(({ endpointId }) => endpointId));
  const states = standingStates(begun);
  const missedCount = states.filter((state) => state !== "delivered").length;
  const counts = { missedCount, endpointCount: states.length };
  if (isMoreOwed(fanOut, isBegun) || states.some((state) => !isFinal(state))) return { state: "pending", ...counts };
  if (states.length === 0) return { state: stateOfNone(fanOut), ...counts };
  if (missedCount === 0) return { state: "delivered", ...counts };
  return { state: missedCount === states.length ? "dead" : "partial", ...counts };
}

function stateOfNone(fanOut: KnownFanOut | null): EventState {
  if (fanOut === null) return "pending";
  return fanOut.isCancelled === true ? "cancelled" : "filtered";
}

/** An event whose endpoints could not be read for long is dead for now; once it was fanned out all the same, that counts. */
export function withoutUnknown<Delivery extends KnownDelivery>(
  fanOut: KnownFanOut | null,
  deliveries: readonly Delivery[],
): readonly Delivery[] {
  const known = deliveries.filter(({ endpointId }) => endpointId !== UNKNOWN_ENDPOINT);
  return known.length === 0 && fanOut === null ? deliveries : known;
}

/** Fan-out keeps a bounded list of ids. Past it, only its count says that more is owed. */
function isMoreOwed(fanOut: KnownFanOut | null, isBegun: ReadonlySet<string>): boolean {
  if (fanOut === null) return false;
  if (fanOut.matched.some((endpointId) => !isBegun.has(endpointId))) return true;
  const listed = new Set(fanOut.matched);
  const begunUnlisted = [...isBegun].filter((endpointId) => !listed.has(endpointId)).length;
  return begunUnlisted < fanOut.matchedCount - listed.size;
}

/** One state for each endpoint that the event is for. */
function standingStates(deliveries: readonly KnownDelivery[]): readonly DeliveryState[] {
  const byEndpoint = new Map<string, KnownDelivery>();
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
