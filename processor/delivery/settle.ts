/**
 * Ends an attempt: (1) if not delivered, the durable hand-over to retry queue or dead letters, acknowledged; (2) ledger
 * and stats. Then the item may be acknowledged. The order is promise 1: a crash between any two steps repeats work, never
 * loses it. What was delivered waits for nothing but its 2xx.
 */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { MissedState, WaitCode } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { Company } from "@posthaste/shared/lib/company.ts";
import type { DeliverySubject } from "@posthaste/shared/telemetry/delivery.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { DeferReason } from "../endpoint/entry.ts";
import type { EndpointLimiters } from "../endpoint/limiters.ts";
import type { Obstacle } from "./put-aside.ts";
import type { LookAgain } from "../recovery/look-again.ts";
import type { RecordOutcomeDeps, Standing } from "./record-outcome.ts";
import type { Ending, PendingDelivery } from "./pending-delivery.ts";
import type { Settlements } from "./settlements.ts";
import { createTurns } from "@posthaste/shared/lib/turns.ts";
import { decide } from "@posthaste/shared/domain/outcome.ts";
import { DEFAULT_RETRY_POLICY } from "@posthaste/shared/domain/retry-policy.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { keyOf, recordDeadLetter, recordOutcome, schedule } from "./record-outcome.ts";
import { dueAtMs, mayBeSentElse, subjectOfMember } from "./pending-delivery.ts";

export interface SettleDeps extends RecordOutcomeDeps {
  readonly entropy: Entropy;
  readonly settlements: Pick<Settlements, "record" | "count" | "delivered">;
  readonly telemetry: Pick<Telemetry, "delivery" | "endpoint" | "trace">;
  readonly limiters: Pick<EndpointLimiters, "seen">;
  readonly company: Company;
  /** Of the delivery's endpoint, among those of its event. */
  readonly isApart: (delivery: PendingDelivery) => boolean;
  /** A dead letter was written as held for an endpoint that may have recovered meanwhile. */
  readonly lookAgain: LookAgain;
}

export interface Settle {
  /** The attempt ended with `result`. */
  attempted(delivery: PendingDelivery, endpoint: Endpoint, result: AttemptResult): Promise<Ending>;
  /** No attempt is to be made: recorded as missed, with the reason a person will read. */
  missed(delivery: PendingDelivery, state: MissedState, reason: string): Promise<Ending>;
  /** It was kept until its endpoint could be read, which turns out not to subscribe to the event. */
  filtered(delivery: PendingDelivery): Ending;
  /** No attempt is made now; the same attempt comes back at `notBeforeMs`. */
  deferred(delivery: PendingDelivery, why: DeferReason | Obstacle, notBeforeMs: number): Promise<Ending>;
  /** Its first attempt is not due before `notBeforeMs`. */
  postponed(delivery: PendingDelivery, notBeforeMs: number): Promise<Ending>;
}

/**
 * Events whose first deferral is written at once: many while one tenant alone has something to do, few beside others, who
 * would stand behind each of these writes. What waits to be deferred holds its place in the window, out of its own share.
 */
const DEFERRALS_AT_ONCE = { alone: 512, beside: 8 } as const;

export function createSettle(deps: SettleDeps): Settle {
  const { company } = deps;
  const turns = createTurns(() => (company.isMixed() ? DEFERRALS_AT_ONCE.beside : DEFERRALS_AT_ONCE.alone));
  return {
    attempted: async (delivery, endpoint, result) => {
      company.met(delivery.tenant);
      const policy = endpoint.retry ?? DEFAULT_RETRY_POLICY;
      const nowMs = deps.clock.now();
      const outcome = decide({ result, attempt: delivery.attempt, policy, nowMs, fraction: deps.entropy.fraction() });
      const standing = await recordOutcome(deps, delivery, endpoint, outcome);
      if (standing === null) return "released";
      await deps.health.attempted(endpoint, result);
      return finish(deps, delivery, { ...standing, wait: "retry" }, result);
    },
    missed: async (delivery, state, reason) => {
      if (state === "disabled" || state === "paused") await deps.health.tell(delivery.tenant, delivery.endpointId);
      const standing = await recordDeadLetter(deps, delivery, { state, reason, attempt: delivery.attempt - 1 });
      if (standing === null) return "released";
      return finish(deps, delivery, { ...standing, wait: null }, null);
    },
    filtered: (delivery) => finish(deps, delivery, { ...FILTERED, attempt: delivery.attempt - 1, wait: null }, null),
    deferred: async (delivery, why, notBeforeMs) => {
      const plan = {
        cause: delivery.isRepeat ? "relieved" : "parked",
        notBeforeMs,
        attempt: delivery.attempt,
        ...countedOnce(delivery, why),
      } as const;
      const words = waiting(delivery, notBeforeMs, `waits: ${deferWords[why]}`);
      const write = (): Promise<Standing | null> => schedule(deps, delivery, plan, words);
      // The retry queue is read in the order of time, so that what comes from there must not hold up others.
      const wasPutOff = delivery.deferrals + delivery.unmade + delivery.putAside > 0;
      const standing = await (wasPutOff || delivery.isRepeat ? write() : turns.run(delivery.tenant, write));
      if (standing === null) return "released";
      const waitMs = notBeforeMs - deps.clock.now();
      for (const subject of subjectsOf(delivery)) deps.telemetry.delivery.deferred(subject, why, waitMs);
      return finish(deps, delivery, { ...standing, wait: why }, null);
    },
    postponed: async (delivery, notBeforeMs) => {
      const plan = {
        cause: delivery.isRepeat ? "relieved" : "retry",
        notBeforeMs,
        attempt: delivery.attempt,
        deferrals: delivery.deferrals,
        unmade: delivery.unmade,
        putAside: delivery.putAside,
      } as const;
      const reason = "waits: the retry policy begins with a wait";
      const standing = await schedule(deps, delivery, plan, waiting(delivery, notBeforeMs, reason));
      if (standing === null) return "released";
      return finish(deps, delivery, { ...standing, wait: "first-wait" }, null);
    },
  };
}

const FILTERED = {
  state: "filtered",
  reason: "the endpoint does not subscribe to the event's type",
  nextAttemptAtMs: null,
} as const;

const deferWords = {
  "breaker-open": "the endpoint has failed several times in a row",
  throttled: "the endpoint asked for fewer requests, or its rate limit is reached",
  busy: "the endpoint answers slowly",
  unresolved: "no name server answered for the endpoint's host",
  exhausted: "this machine had no socket, port or memory left",
  unreadable: "the tenant's endpoints cannot be read",
  failed: "an unexpected error, which the log names",
  crowded: "other events of the tenant take all the room that one tenant may have",
} as const satisfies Record<DeferReason | Obstacle, string>;

/** Each kind of wait has a bound of its own, so one more of its kind is counted and the others stay. */
function countedOnce({ deferrals, unmade, putAside }: PendingDelivery, why: DeferReason | Obstacle) {
  switch (why) {
    case "unresolved":
    case "exhausted":
      return { deferrals, unmade: unmade + 1, putAside };
    case "unreadable":
    case "failed":
    case "crowded":
      return { deferrals, unmade, putAside: putAside + 1 };
    case "breaker-open":
    case "throttled":
    case "busy":
      return { deferrals: deferrals + 1, unmade, putAside };
    default:
      return unreachable(why);
  }
}

/** The same attempt is still to be made, later. */
function waiting({ attempt }: PendingDelivery, notBeforeMs: number, reason: string): Standing {
  return { state: attempt === 1 ? "pending" : "retrying", reason, attempt: attempt - 1, nextAttemptAtMs: notBeforeMs };
}

/** `wait` says what it waits for when it comes back, which is nothing unless there is a `nextAttemptAtMs`. */
type Settled = Standing & { readonly wait: WaitCode | null };

/** Step 2, once the standing is durable; `result` is null when no attempt was made. */
function finish(deps: SettleDeps, delivery: PendingDelivery, standing: Settled, result: AttemptResult | null): Ending {
  const nowMs = deps.clock.now();
  const { tenant, endpointId } = delivery;
  const { state, reason } = standing;
  deps.settlements.record(entriesOf(deps, delivery, standing, result));
  if (state === "delivered" && mayBeSentElse(delivery)) deps.settlements.delivered(deliveredOf(delivery, nowMs));
  if (result !== null) {
    const outcome = state === "delivered" ? "delivered" : state === "dead" ? "dead" : "retry";
    const sinceDueMs = delivery.members.map((member) => nowMs - dueAtMs(member, delivery.generation));
    const { lane } = delivery;
    const { durationMs } = result;
    const seen = deps.limiters.seen(endpointId);
    deps.settlements.count([
      { kind: "attempt", tenant, endpointId, lane, outcome, durationMs, sinceDueMs, seen, atMs: nowMs },
    ]);
  }
  if (result !== null || standing.nextAttemptAtMs === null) {
    if (state !== "delivered" && state !== "filtered") {
      const handOver = { state, reason, isAttempted: result !== null, nextAttemptAtMs: standing.nextAttemptAtMs };
      deps.telemetry.trace.handedOver(delivery, () => deps.isApart(delivery), handOver);
    }
    for (const member of delivery.members) {
      const subject = subjectOfMember(delivery, member);
      const { nextAttemptAtMs } = standing;
      const sinceAcceptMs = nowMs - member.acceptedAtMs;
      deps.telemetry.delivery.settled(subject, { state, reason, sinceAcceptMs, nextAttemptAtMs });
    }
  }
  if (state === "paused" || state === "disabled" || state === "backlog") deps.lookAgain(tenant, endpointId, state);
  return "settled";
}

function entriesOf(deps: SettleDeps, delivery: PendingDelivery, settled: Settled, result: AttemptResult | null) {
  const atMs = deps.clock.now();
  const { wait, ...standing } = settled;
  const { takenAtMs, limiterMs } = delivery.passage ?? { takenAtMs: atMs, limiterMs: 0 };
  const passed = { takenAtMs: Math.floor(takenAtMs), limiterMs: Math.max(0, Math.floor(limiterMs)) };
  const waitsFor = standing.nextAttemptAtMs === null ? null : wait;
  return delivery.members.map((envelope) => {
    const key = keyOf(delivery, envelope);
    const groupId = delivery.group?.id ?? null;
    const leg = { sinceMs: dueAtMs(envelope, key.generation), ...passed, wait: waitsFor };
    return {
      kind: "delivery",
      delivery: { ...key, eventType: envelope.type, atMs, result, groupId, ...standing, leg },
      envelope,
    } as const;
  });
}

/** The clock of a gateway that names a replay by its time may be ahead. */
function deliveredOf({ tenant, endpointId, generation, members }: PendingDelivery, nowMs: number) {
  const atMs = Math.max(nowMs, generation);
  return members.map(({ id }) => ({ tenant, eventId: id, endpointId, atMs }));
}

/** One for each event of a group. */
function subjectsOf(delivery: PendingDelivery): readonly DeliverySubject[] {
  return delivery.members.map((member) => subjectOfMember(delivery, member));
}
