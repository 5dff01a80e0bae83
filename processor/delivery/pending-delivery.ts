/**
 * One message on its way to one endpoint: which attempt it is, what it consists of, and whom to tell when it is
 * settled. The unit that the gate orders, `deliver` sends and `settle` ends.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Group } from "@posthaste/shared/domain/message.ts";
import type { Scheduled, ScheduleCause } from "@posthaste/shared/ports/retry-queue.ts";
import type { DeliverySubject } from "@posthaste/shared/telemetry/delivery.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";

export interface PendingDelivery {
  readonly tenant: string;
  readonly endpointId: string;
  readonly lane: Lane;
  readonly generation: number;
  /** The attempt to make, from 1. */
  readonly attempt: number;
  readonly parks: number;
  readonly members: readonly Envelope[];
  readonly group: Group | null;
  /** Settled for good: delivered, handed over durably, or recorded as dead. */
  readonly done: () => void;
  /** Not attempted, or not finished, because we are stopping: the source hands it out again. */
  readonly handBack: () => void;
}

export function firstMember(outgoing: Pick<PendingDelivery, "members">): Envelope {
  const first = outgoing.members[0];
  assert(first !== undefined, "a message has at least one event");
  return first;
}

export function subjectOf(outgoing: PendingDelivery): DeliverySubject {
  return {
    tenant: outgoing.tenant,
    eventId: firstMember(outgoing).id,
    endpointId: outgoing.endpointId,
    lane: outgoing.lane,
    attempt: outgoing.attempt,
  };
}

/** The same message as an entry of the retry queue. */
export function toScheduled(
  outgoing: PendingDelivery,
  { parks, ...plan }: { cause: ScheduleCause; notBeforeMs: number; attempt: number; parks: number },
): Scheduled {
  return {
    ...plan,
    deferrals: parks,
    endpointId: outgoing.endpointId,
    generation: outgoing.generation,
    members: outgoing.members,
    group: outgoing.group,
  };
}
