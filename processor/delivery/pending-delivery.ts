/**
 * One delivery on its way: which attempt it is, and what it consists of. The unit that the endpoint limiter orders,
 * `send` attempts and `settle` ends.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Group } from "@posthaste/shared/domain/message.ts";
import type { RetryItem, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import type { DeliverySubject } from "@posthaste/shared/telemetry/delivery.ts";
import { laneOf } from "@posthaste/shared/domain/envelope.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";

export interface PendingDelivery {
  readonly tenant: string;
  readonly endpointId: string;
  readonly lane: Lane;
  /** 0, and one more for each replay. */
  readonly generation: number;
  /** The attempt to make, from 1. */
  readonly attempt: number;
  /** As in `Scheduled`: how often this attempt was deferred, could not be sent, could not be worked on. */
  readonly deferrals: number;
  readonly unmade: number;
  readonly putAside: number;
  /** The attempt may have been made before, or be under way elsewhere: the ledger is asked right before it. */
  readonly isRepeat: boolean;
  /** Members whose attempt is noted as begun before it is made (`crash-guard.ts`); none where this is the first time. */
  readonly repeats: readonly Envelope[];
  /** One event, or the events of a batch. */
  readonly members: readonly Envelope[];
  readonly group: Group | null;
  /** How long it was in its endpoint's limiter, and since when this process works on it; left out where it was in none. */
  readonly passage?: { readonly takenAtMs: number; readonly limiterMs: number };
}

/**
 * How a delivery, or a queue item with all its deliveries, left the processor. `settled`: delivered, handed over durably
 * or recorded as missed. `released`: not finished, because we are stopping or its
 * tenant cannot be read now; its queue hands it out again.
 */
export type Ending = "settled" | "released";

/** It comes from the retry queue. */
export function wasPutOff({
  generation,
  attempt,
  deferrals,
  unmade,
  putAside,
}: Pick<PendingDelivery, "generation" | "attempt" | "deferrals" | "unmade" | "putAside">): boolean {
  return generation > 0 || attempt > 1 || deferrals + unmade + putAside > 0;
}

/**
 * Somebody may have sent the event to the endpoint by another delivery than this one, or by a copy of it. False for what comes
 * straight from its lane, which is most.
 */
export function mayBeSentElse(delivery: PendingDelivery): boolean {
  return delivery.isRepeat || wasPutOff(delivery);
}

/** When the oldest event of the delivery was accepted, in epoch ms. */
export function oldestAcceptanceMs({ members }: Pick<PendingDelivery, "members">): number {
  return Math.min(...members.map(({ acceptedAtMs }) => acceptedAtMs));
}

/** Since when it could be made, in epoch ms: of a group, since its youngest event could. */
export function dueSinceMs({ members, generation }: Pick<PendingDelivery, "members" | "generation">): number {
  return Math.max(...members.map((member) => dueAtMs(member, generation)));
}

/** When one event of it could be sent for the first time, in epoch ms. */
export function dueAtMs({ acceptedAtMs, deliverAtMs }: Envelope, generation: number): number {
  return Math.max(acceptedAtMs, deliverAtMs ?? 0, generation);
}

const NONE: readonly Envelope[] = [];

/** The first attempt of an event at an endpoint. */
export function firstDelivery(envelope: Envelope, endpoint: Pick<Endpoint, "id">, isRepeat: boolean): PendingDelivery {
  return {
    tenant: envelope.tenant,
    endpointId: endpoint.id,
    lane: laneOf(envelope),
    generation: 0,
    attempt: 1,
    deferrals: 0,
    unmade: 0,
    putAside: 0,
    isRepeat,
    repeats: isRepeat ? [envelope] : NONE,
    members: [envelope],
    group: null,
  };
}

/** The delivery that a retry item goes on with. */
export function dueDelivery(item: RetryItem & { readonly endpointId: string }): PendingDelivery {
  const { endpointId, generation, attempt, deferrals, unmade, putAside, members, group } = item;
  const first = firstMember(item);
  const isRepeat = item.isRepeat || item.cause === "replay" || item.cause === "relieved";
  return {
    tenant: first.tenant,
    endpointId,
    lane: laneOf(first),
    generation,
    attempt,
    deferrals,
    unmade,
    putAside,
    isRepeat,
    // A group that is due is the same as before: its first stands for it.
    repeats: isRepeat ? [first] : NONE,
    members,
    group,
  };
}

export function firstMember(delivery: Pick<PendingDelivery, "members">): Envelope {
  const first = delivery.members[0];
  assert(first !== undefined, "a delivery has at least one event");
  return first;
}

export function subjectOf(delivery: PendingDelivery): DeliverySubject {
  return subjectOfMember(delivery, firstMember(delivery));
}

export function subjectOfMember(delivery: PendingDelivery, { id, traceparent }: Envelope): DeliverySubject {
  const { tenant, endpointId, lane, attempt } = delivery;
  return { tenant, eventId: id, endpointId, lane, attempt, traceparent };
}

/** When and how a delivery comes back. */
export type SchedulePlan = Pick<Scheduled, "cause" | "notBeforeMs" | "attempt" | "deferrals" | "unmade" | "putAside">;

/** The same delivery as an entry of the retry queue. */
export function toScheduled(delivery: PendingDelivery, plan: SchedulePlan): Scheduled {
  const { endpointId, generation, members, group } = delivery;
  return { ...plan, endpointId, generation, members, group };
}
