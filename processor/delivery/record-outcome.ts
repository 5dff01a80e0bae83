/**
 * Step 1 of settling: what must be durable before a delivery may be let go. When the retry queue has no room, it
 * goes to the dead-letter record as `backlog` instead and comes back from there when there is: a full queue
 * costs a detour, and never keeps others from being delivered.
 */
import type { DeliveryKey, MissedState } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Outcome } from "@posthaste/shared/domain/outcome.ts";
import type { Clock, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { DeadLetters } from "@posthaste/shared/ports/dead-letters.ts";
import type { Directory } from "@posthaste/shared/ports/directory.ts";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import type { RetryQueue } from "@posthaste/shared/ports/retry-queue.ts";
import type { EndpointTelemetry } from "@posthaste/shared/telemetry/endpoint.ts";
import type { Announce } from "../announce.ts";
import type { EndpointHealth } from "../endpoint/health.ts";
import type { Recovery } from "../recovery/recovery.ts";
import type { DeliveredLook } from "./dead-letter-ends.ts";
import type { PendingDelivery, SchedulePlan } from "./pending-delivery.ts";
import type { UntilStored } from "./until-stored.ts";
import { UNKNOWN_ENDPOINT, deliveryId } from "@posthaste/shared/domain/delivery.ts";
import { disabled } from "@posthaste/shared/domain/endpoint-trouble.ts";
import { deadEvent, isOwnType } from "@posthaste/shared/domain/own-event.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { mayBeSentElse, toScheduled } from "./pending-delivery.ts";

export interface RecordOutcomeDeps {
  readonly clock: Clock;
  readonly hasher: Hasher;
  readonly retryQueue: Pick<RetryQueue, "schedule">;
  readonly deadLetters: Pick<DeadLetters, "append" | "removeDelivered">;
  readonly deliveredLook: Pick<DeliveredLook, "ended">;
  readonly directory: Pick<Directory, "update">;
  readonly telemetry: { readonly endpoint: Pick<EndpointTelemetry, "disabled"> };
  readonly untilStored: UntilStored;
  readonly recovery: Pick<Recovery, "whenOut">;
  readonly health: EndpointHealth;
  readonly announce: Announce;
}

/** About ten seconds. */
const DISABLE_TRIES_MAX = 8;

/** Where the delivery stands once that is durable. */
export type Standing = Pick<DeliveryRecord, "state" | "reason" | "attempt" | "nextAttemptAtMs">;

/** After attempt `delivery.attempt`. Null when it could not be made durable before we stopped. */
export async function recordOutcome(
  deps: RecordOutcomeDeps,
  delivery: PendingDelivery,
  attempted: Endpoint,
  outcome: Outcome,
): Promise<Standing | null> {
  const { attempt } = delivery;
  switch (outcome.kind) {
    case "delivered":
      return { state: "delivered", reason: null, attempt, nextAttemptAtMs: null };
    case "retry": {
      const { attempt: next, notBeforeMs, reason } = outcome;
      // Of a repeat there may be a second chain of retries: each of them asks the ledger before it goes on.
      const cause = delivery.isRepeat ? "relieved" : "retry";
      const plan = { cause, notBeforeMs, attempt: next, deferrals: 0, unmade: 0, putAside: 0 } as const;
      return schedule(deps, delivery, plan, { state: "retrying", reason, attempt, nextAttemptAtMs: notBeforeMs });
    }
    case "dead":
      return recordDeadLetter(deps, delivery, { state: "dead", reason: outcome.reason, attempt });
    case "endpoint-gone": {
      const end = await disable(deps, delivery, attempted);
      return end === null
        ? null
        : recordDeadLetter(deps, delivery, { state: "dead", reason: `${outcome.reason}; ${end}`, attempt });
    }
    case "unfinished":
      return null;
    default:
      return unreachable(outcome);
  }
}

/** Into the retry queue, or the dead-letter record when that is full; null when we stopped before either. */
export async function schedule(
  deps: RecordOutcomeDeps,
  delivery: PendingDelivery,
  plan: SchedulePlan,
  standing: Standing,
): Promise<Standing | null> {
  const stored = await deps.untilStored(plan.cause, () => deps.retryQueue.schedule([toScheduled(delivery, plan)]));
  if (stored.kind === "aborted") return null;
  if (stored.value.kind === "scheduled") return standing;
  const reason = `the retry queue is full, it goes out when there is room${standing.reason === null ? "" : `; ${standing.reason}`}`;
  return recordDeadLetter(deps, delivery, { state: "backlog", reason, attempt: standing.attempt });
}

/**
 * Into the dead-letter record; `attempt` is the number of attempts made. Null when we stopped before. What was delivered by
 * another generation meanwhile is taken out again at once, told to nobody, and not held: the ledger shows it as dead.
 */
export async function recordDeadLetter(
  deps: RecordOutcomeDeps,
  delivery: PendingDelivery,
  missed: { state: MissedState; reason: string; attempt: number },
): Promise<Standing | null> {
  const { state, reason, attempt } = missed;
  const atMs = deps.clock.now();
  const deadLetters = delivery.members.map((envelope) => {
    const key = keyOf(delivery, envelope);
    const id = deliveryId(key, envelope.acceptedAtMs, deps.hasher);
    return { ...key, id, state, reason, attempts: attempt, atMs, envelope };
  });
  await deps.recovery.whenOut(deadLetters.map(({ id }) => id));
  const stored = await deps.untilStored("dead-letter", () => deps.deadLetters.append(deadLetters));
  if (stored.kind === "aborted") return null;
  const ended = mayBeSentElse(delivery) ? await deps.deliveredLook.ended(deadLetters) : [];
  if (ended.length > 0) {
    const removed = await deps.untilStored("dead-letter", () => deps.deadLetters.removeDelivered(ended));
    if (removed.kind === "aborted") return null;
  }
  const isEnded = new Set(ended.map(({ eventId }) => eventId));
  const owed = deadLetters.filter(({ eventId }) => !isEnded.has(eventId));
  if (state === "dead" && delivery.endpointId !== UNKNOWN_ENDPOINT)
    await deps.announce(owed.filter(({ envelope }) => !isOwnType(envelope.type)).map(deadEvent));
  return { state: owed.length === 0 ? "dead" : state, reason, attempt, nextAttemptAtMs: null };
}

/**
 * 410 speaks for the URL that was called: an endpoint that has another one by now stays as it is. Says in words what
 * became of the endpoint; null when we stopped before.
 */
async function disable(
  deps: RecordOutcomeDeps,
  { tenant, endpointId }: PendingDelivery,
  attempted: Endpoint,
): Promise<string | null> {
  const reason = "the receiver answered 410 Gone";
  const nowMs = Math.floor(deps.clock.now());
  let isDisabled = false;
  let hasMoved = false;
  let failures = 0;
  const stored = await deps.untilStored("disable", async () => {
    const updating = deps.directory.update(tenant, endpointId, (endpoint) => {
      hasMoved = endpoint.url !== attempted.url;
      isDisabled = !hasMoved && endpoint.status !== "disabled";
      if (!isDisabled) return endpoint;
      return disabled(endpoint, reason, nowMs);
    });
    // A tenant whose directory cannot be written must not keep a place for ever: the next 410 tries again.
    await updating.catch((error: unknown) => {
      failures += 1;
      if (failures < DISABLE_TRIES_MAX) throw error;
    });
  });
  if (stored.kind === "aborted") return null;
  if (isDisabled) {
    deps.telemetry.endpoint.disabled(endpointId, tenant, reason);
    await deps.health.tell(tenant, endpointId);
  }
  if (failures >= DISABLE_TRIES_MAX) return "the endpoint could not be disabled, because its tenant cannot be read";
  return hasMoved ? "the endpoint has another URL by now" : "the endpoint was disabled";
}

export function keyOf(delivery: PendingDelivery, { id }: Envelope): DeliveryKey {
  const { tenant, endpointId, generation } = delivery;
  return { tenant, eventId: id, endpointId, generation };
}
