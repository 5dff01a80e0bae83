/**
 * Ends an attempt: (1) if not delivered, the durable hand-over to retry queue or dead letters, acknowledged; (2) ledger
 * and stats; (3) the source's ack. The order is promise 1: a crash between any two steps repeats work, never loses it.
 * A delivered message waits for nothing but its 2xx.
 */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { DeliveryKey, DeliveryState, MissedState } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Outcome } from "@posthaste/shared/domain/outcome.ts";
import type { Clock, Entropy, Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { DeadLetters } from "@posthaste/shared/ports/dead-letters.ts";
import type { Directory } from "@posthaste/shared/ports/directory.ts";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import type { RetryQueue, ScheduleCause } from "@posthaste/shared/ports/retry-queue.ts";
import type { DeliverySubject } from "@posthaste/shared/telemetry/delivery.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { ParkReason } from "./gate-state.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Persist } from "./persistence.ts";
import type { Settlements } from "./settlements.ts";
import { deliveryId } from "@posthaste/shared/domain/delivery.ts";
import { decide } from "@posthaste/shared/domain/outcome.ts";
import { DEFAULT_RETRY_POLICY } from "@posthaste/shared/domain/retry-policy.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { subjectOf, toScheduled } from "./outgoing.ts";

export interface SettleDeps {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly retryQueue: RetryQueue;
  readonly deadLetters: DeadLetters;
  readonly directory: Directory;
  readonly settlements: Pick<Settlements, "record" | "count">;
  readonly telemetry: Pick<Telemetry, "delivery" | "endpoint">;
  readonly persist: Persist;
  /** A held letter was written for an endpoint that may have recovered meanwhile. */
  onHeld(tenant: string, endpointId: string, state: MissedState): void;
}

export interface Settle {
  /** The attempt ended with `result`. */
  attempted(outgoing: Outgoing, endpoint: Endpoint, result: AttemptResult): Promise<void>;
  /** No attempt is to be made: recorded as missed, with the reason a person will read. */
  missed(outgoing: Outgoing, state: MissedState, reason: string): Promise<void>;
  /** No attempt is made now; the same attempt comes back at `notBeforeMs`. */
  parked(outgoing: Outgoing, why: ParkReason, notBeforeMs: number): Promise<void>;
  /** Its first attempt is not due before `notBeforeMs`. */
  postponed(outgoing: Outgoing, notBeforeMs: number): Promise<void>;
}

export function createSettle(deps: SettleDeps): Settle {
  return {
    attempted: async (outgoing, endpoint, result) => {
      const policy = endpoint.retry ?? DEFAULT_RETRY_POLICY;
      const nowMs = deps.clock.now();
      const outcome = decide({ result, attempt: outgoing.attempt, policy, nowMs, fraction: deps.entropy.fraction() });
      if (outcome.kind === "unfinished" || !(await handOver(deps, outgoing, outcome))) {
        outgoing.handBack();
        return;
      }
      record(deps, outgoing, outcome, result);
      outgoing.done();
    },
    missed: async (outgoing, state, reason) => {
      if (!(await bury(deps, outgoing, { state, reason, attempts: outgoing.attempt - 1 }))) {
        outgoing.handBack();
        return;
      }
      const change = { state, reason, attempt: outgoing.attempt - 1, nextAttemptAtMs: null };
      deps.settlements.record(entriesOf(deps, outgoing, change, null));
      for (const subject of subjectsOf(outgoing)) deps.telemetry.delivery.settled(subject, state, reason, 0);
      outgoing.done();
      if (state !== "dead") deps.onHeld(outgoing.tenant, outgoing.endpointId, state);
    },
    parked: async (outgoing, why, notBeforeMs) => {
      const plan = { cause: "parked", notBeforeMs, parks: outgoing.parks + 1 } as const;
      if (!(await putOff(deps, outgoing, plan, `waits: ${parkWords[why]}`))) return;
      const waitMs = notBeforeMs - deps.clock.now();
      for (const subject of subjectsOf(outgoing)) deps.telemetry.delivery.parked(subject, why, waitMs);
    },
    postponed: async (outgoing, notBeforeMs) => {
      const plan = { cause: "retry", notBeforeMs, parks: outgoing.parks } as const;
      await putOff(deps, outgoing, plan, "waits: the retry policy begins with a wait");
    },
  };
}

/** The same attempt later, durably; false when it was handed back instead. */
async function putOff(
  deps: SettleDeps,
  outgoing: Outgoing,
  plan: { cause: ScheduleCause; notBeforeMs: number; parks: number },
  reason: string,
): Promise<boolean> {
  const { attempt } = outgoing;
  const next = toScheduled(outgoing, { ...plan, attempt });
  if (!(await deps.persist("park", () => deps.retryQueue.schedule([next])))) {
    outgoing.handBack();
    return false;
  }
  const state = attempt === 1 ? "pending" : "retrying";
  const change = { state, reason, attempt: attempt - 1, nextAttemptAtMs: plan.notBeforeMs } as const;
  deps.settlements.record(entriesOf(deps, outgoing, change, null));
  outgoing.done();
  return true;
}

const parkWords = {
  "breaker-open": "the endpoint has failed several times in a row",
  throttled: "the endpoint asked for fewer requests, or its rate limit is reached",
  busy: "the endpoint answers slowly",
} as const satisfies Record<ParkReason, string>;

/** Step 1. False when it could not be made durable before we stopped. */
async function handOver(deps: SettleDeps, outgoing: Outgoing, outcome: Outcome): Promise<boolean> {
  switch (outcome.kind) {
    case "delivered":
      return true;
    case "retry": {
      const { attempt, notBeforeMs } = outcome;
      const next = toScheduled(outgoing, { cause: "retry", notBeforeMs, attempt, parks: 0 });
      return deps.persist("retry", () => deps.retryQueue.schedule([next]));
    }
    case "dead":
      return bury(deps, outgoing, { state: "dead", reason: outcome.reason, attempts: outgoing.attempt });
    case "endpoint-gone":
      return (
        (await disable(deps, outgoing)) &&
        (await bury(deps, outgoing, { state: "dead", reason: goneReason(outcome.reason), attempts: outgoing.attempt }))
      );
    case "unfinished":
      return false;
    default:
      return unreachable(outcome);
  }
}

function goneReason(reason: string): string {
  return `${reason}; the endpoint was disabled`;
}

async function disable(deps: SettleDeps, { tenant, endpointId }: Outgoing): Promise<boolean> {
  const reason = "the receiver answered 410 Gone";
  const nowMs = deps.clock.now();
  const isStored = await deps.persist("disable", async () => {
    await deps.directory.update(tenant, endpointId, (endpoint) =>
      endpoint.status === "disabled"
        ? endpoint
        : { ...endpoint, status: "disabled", statusReason: reason, statusSinceMs: nowMs, updatedAtMs: nowMs },
    );
  });
  if (isStored) deps.telemetry.endpoint.disabled(endpointId, tenant, reason);
  return isStored;
}

function bury(
  deps: SettleDeps,
  outgoing: Outgoing,
  grave: { state: MissedState; reason: string; attempts: number },
): Promise<boolean> {
  const atMs = deps.clock.now();
  const letters = outgoing.members.map((envelope) => {
    const key = keyOf(outgoing, envelope);
    return { ...key, id: deliveryId(key, envelope.acceptedAtMs, deps.hasher), ...grave, atMs, envelope };
  });
  return deps.persist("dead-letter", () => deps.deadLetters.append(letters));
}

/** Steps 2: what people will see. */
function record(deps: SettleDeps, outgoing: Outgoing, outcome: Outcome, result: AttemptResult): void {
  const nowMs = deps.clock.now();
  const state = stateOf(outcome);
  const reason = outcome.kind === "retry" || outcome.kind === "dead" ? outcome.reason : null;
  const shownReason = outcome.kind === "endpoint-gone" ? goneReason(outcome.reason) : reason;
  const nextAttemptAtMs = outcome.kind === "retry" ? outcome.notBeforeMs : null;
  const change = { state, reason: shownReason, attempt: outgoing.attempt, nextAttemptAtMs };
  deps.settlements.record(entriesOf(deps, outgoing, change, result));
  const counted = state === "delivered" ? "delivered" : state === "retrying" ? "retry" : "dead";
  const { tenant, endpointId } = outgoing;
  deps.settlements.count([
    { kind: "attempt", tenant, endpointId, outcome: counted, durationMs: result.durationMs, atMs: nowMs },
  ]);
  for (const member of outgoing.members) {
    const subject = { ...subjectOf(outgoing), eventId: member.id };
    deps.telemetry.delivery.settled(subject, state, shownReason, nowMs - member.acceptedAtMs);
  }
}

function stateOf(outcome: Outcome): DeliveryState {
  if (outcome.kind === "delivered") return "delivered";
  return outcome.kind === "retry" ? "retrying" : "dead";
}

type Change = Pick<DeliveryRecord, "state" | "reason" | "attempt" | "nextAttemptAtMs">;

function entriesOf(deps: SettleDeps, outgoing: Outgoing, change: Change, result: AttemptResult | null) {
  const atMs = deps.clock.now();
  return outgoing.members.map((envelope) => {
    const key = keyOf(outgoing, envelope);
    const id = deliveryId(key, envelope.acceptedAtMs, deps.hasher);
    const groupId = outgoing.group?.id ?? null;
    return {
      kind: "delivery",
      delivery: { ...key, deliveryId: id, eventType: envelope.type, atMs, result, groupId, ...change },
    } as const;
  });
}

/** One for each event of a group. */
function subjectsOf(outgoing: Outgoing): readonly DeliverySubject[] {
  return outgoing.members.map(({ id }) => ({ ...subjectOf(outgoing), eventId: id }));
}

function keyOf(outgoing: Outgoing, { id }: Envelope): DeliveryKey {
  const { tenant, endpointId, generation } = outgoing;
  return { tenant, eventId: id, endpointId, generation };
}
