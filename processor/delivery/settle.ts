/**
 * Ends an attempt: (1) if not delivered, the durable hand-over to retry queue or dead letters, acknowledged; (2) ledger
 * and stats; (3) the source's ack. The order is promise 1: a crash between any two steps repeats work, never loses it.
 * A delivered message waits for nothing but its 2xx.
 */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { MissedState } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { DeliverySubject } from "@posthaste/shared/telemetry/delivery.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { ParkReason } from "../endpoint/limiter-state.ts";
import type { HandOverDeps, Standing } from "./record-outcome.ts";
import type { PendingDelivery } from "./pending-delivery.ts";
import type { Settlements } from "./settlements.ts";
import { decide } from "@posthaste/shared/domain/outcome.ts";
import { DEFAULT_RETRY_POLICY } from "@posthaste/shared/domain/retry-policy.ts";
import { bury, handOver, keyOf, schedule } from "./record-outcome.ts";
import { subjectOf } from "./pending-delivery.ts";

export interface SettleDeps extends HandOverDeps {
  readonly entropy: Entropy;
  readonly settlements: Pick<Settlements, "record" | "count">;
  readonly telemetry: Pick<Telemetry, "delivery" | "endpoint">;
  /** A held letter was written for an endpoint that may have recovered meanwhile. */
  onHeld(tenant: string, endpointId: string, state: MissedState): void;
}

export interface Settle {
  /** The attempt ended with `result`. */
  attempted(outgoing: PendingDelivery, endpoint: Endpoint, result: AttemptResult): Promise<void>;
  /** No attempt is to be made: recorded as missed, with the reason a person will read. */
  missed(outgoing: PendingDelivery, state: MissedState, reason: string): Promise<void>;
  /** No attempt is made now; the same attempt comes back at `notBeforeMs`. */
  parked(outgoing: PendingDelivery, why: ParkReason, notBeforeMs: number): Promise<void>;
  /** Its first attempt is not due before `notBeforeMs`. */
  postponed(outgoing: PendingDelivery, notBeforeMs: number): Promise<void>;
}

export function createSettle(deps: SettleDeps): Settle {
  return {
    attempted: async (outgoing, endpoint, result) => {
      const policy = endpoint.retry ?? DEFAULT_RETRY_POLICY;
      const nowMs = deps.clock.now();
      const outcome = decide({ result, attempt: outgoing.attempt, policy, nowMs, fraction: deps.entropy.fraction() });
      const standing = await handOver(deps, outgoing, endpoint, outcome);
      if (standing === null) return outgoing.handBack();
      finish(deps, outgoing, standing, result);
    },
    missed: async (outgoing, state, reason) => {
      const standing = await bury(deps, outgoing, { state, reason, attempt: outgoing.attempt - 1 });
      if (standing === null) return outgoing.handBack();
      finish(deps, outgoing, standing, null);
    },
    parked: async (outgoing, why, notBeforeMs) => {
      const plan = { cause: "parked", notBeforeMs, attempt: outgoing.attempt, parks: outgoing.parks + 1 } as const;
      const standing = await schedule(deps, outgoing, plan, waiting(outgoing, notBeforeMs, `waits: ${parkWords[why]}`));
      if (standing === null) return outgoing.handBack();
      const waitMs = notBeforeMs - deps.clock.now();
      for (const subject of subjectsOf(outgoing)) deps.telemetry.delivery.deferred(subject, why, waitMs);
      finish(deps, outgoing, standing, null);
    },
    postponed: async (outgoing, notBeforeMs) => {
      const plan = { cause: "retry", notBeforeMs, attempt: outgoing.attempt, parks: outgoing.parks } as const;
      const reason = "waits: the retry policy begins with a wait";
      const standing = await schedule(deps, outgoing, plan, waiting(outgoing, notBeforeMs, reason));
      if (standing === null) return outgoing.handBack();
      finish(deps, outgoing, standing, null);
    },
  };
}

const parkWords = {
  "breaker-open": "the endpoint has failed several times in a row",
  throttled: "the endpoint asked for fewer requests, or its rate limit is reached",
  busy: "the endpoint answers slowly",
} as const satisfies Record<ParkReason, string>;

/** The same attempt is still to be made, later. */
function waiting({ attempt }: PendingDelivery, notBeforeMs: number, reason: string): Standing {
  return { state: attempt === 1 ? "pending" : "retrying", reason, attempt: attempt - 1, nextAttemptAtMs: notBeforeMs };
}

/** Steps 2 and 3, once the standing is durable; `result` is null when no attempt was made. */
function finish(deps: SettleDeps, outgoing: PendingDelivery, standing: Standing, result: AttemptResult | null): void {
  const nowMs = deps.clock.now();
  const { tenant, endpointId } = outgoing;
  const { state, reason } = standing;
  deps.settlements.record(entriesOf(deps, outgoing, standing, result));
  if (result !== null) {
    const outcome = state === "delivered" ? "delivered" : state === "dead" ? "dead" : "retry";
    deps.settlements.count([
      { kind: "attempt", tenant, endpointId, outcome, durationMs: result.durationMs, atMs: nowMs },
    ]);
  }
  if (result !== null || standing.nextAttemptAtMs === null) {
    for (const member of outgoing.members) {
      const subject = { ...subjectOf(outgoing), eventId: member.id };
      deps.telemetry.delivery.settled(subject, state, reason, nowMs - member.acceptedAtMs);
    }
  }
  outgoing.done();
  if (state === "paused" || state === "disabled" || state === "backlog") deps.onHeld(tenant, endpointId, state);
}

function entriesOf(deps: SettleDeps, outgoing: PendingDelivery, standing: Standing, result: AttemptResult | null) {
  const atMs = deps.clock.now();
  return outgoing.members.map((envelope) => {
    const key = keyOf(outgoing, envelope);
    const groupId = outgoing.group?.id ?? null;
    return {
      kind: "delivery",
      delivery: { ...key, eventType: envelope.type, atMs, result, groupId, ...standing },
    } as const;
  });
}

/** One for each event of a group. */
function subjectsOf(outgoing: PendingDelivery): readonly DeliverySubject[] {
  return outgoing.members.map(({ id }) => ({ ...subjectOf(outgoing), eventId: id }));
}
