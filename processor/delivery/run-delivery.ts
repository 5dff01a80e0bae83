/** One delivery from its queue to its end: enter the endpoint limiter, attempt, leave the slot, settle. */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { MissedState } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { EndpointLimiters } from "../endpoint/limiters.ts";
import type { Go, NotNow } from "../endpoint/entry.ts";
import type { CurrentEndpoint, EndpointLookup } from "../endpoint/lookup.ts";
import type { Completed } from "./completed.ts";
import type { CrashGuard } from "./crash-guard.ts";
import type { Ending, PendingDelivery } from "./pending-delivery.ts";
import type { Send } from "./send.ts";
import type { Settle } from "./settle.ts";
import type { Standstill } from "./standstill.ts";
import { isUnmade } from "@posthaste/shared/domain/outcome.ts";
import { DEFAULT_RETRY_POLICY, waitBeforeMs } from "@posthaste/shared/domain/retry-policy.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { currentEndpoint } from "../endpoint/lookup.ts";
import { ANYTHING } from "./completed.ts";

export interface RunDeliveryDeps {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly limiters: Pick<EndpointLimiters, "enter" | "leave" | "leaveUnmade">;
  readonly lookup: EndpointLookup;
  readonly completed: Completed;
  readonly crashGuard: Pick<CrashGuard, "begin" | "end">;
  readonly send: Send;
  readonly settle: Settle;
  readonly standstill: Pick<Standstill, "isRecent">;
  /** `ProcessorLimits.backlogMax`, for the words of an overflow. */
  readonly backlogMax: number;
}

export interface RunDelivery {
  /** Fresh from its fan-out: the endpoint's retry policy may begin with a wait (`delays_s` beginning with more than 0). */
  first(delivery: PendingDelivery, endpoint: Endpoint): Promise<Ending>;
  /** Due. A repeat, or one of which a copy was under way, is run only when the ledger does not show its attempt as completed. */
  due(delivery: PendingDelivery, endpoint: Endpoint): Promise<Ending>;
}

export function createRunDelivery(deps: RunDeliveryDeps): RunDelivery {
  return {
    first(delivery, endpoint) {
      const notBeforeMs = firstAttemptAtMs(deps, delivery, endpoint);
      return notBeforeMs > deps.clock.now()
        ? deps.settle.postponed(delivery, notBeforeMs)
        : runDelivery(deps, delivery, endpoint, ANYTHING);
    },
    due(delivery, endpoint) {
      const { attempt: asked } = delivery;
      return deps.completed.unless(delivery, asked, () => runDelivery(deps, delivery, endpoint, asked));
    },
  };
}

/** `asked` is what a repeat asks the ledger for, see `completed.ts`. */
async function runDelivery(
  deps: RunDeliveryDeps,
  given: PendingDelivery,
  endpoint: Endpoint,
  asked: number,
): Promise<Ending> {
  const takenAtMs = deps.clock.now();
  const entry = await deps.limiters.enter(given, endpoint);
  const passage = { takenAtMs, limiterMs: deps.clock.now() - takenAtMs };
  const delivery = { ...sinceStandstill(deps, given), passage };
  if (entry.kind !== "go") return notNow(deps, delivery, entry, asked);
  if (delivery.repeats.length === 0) return attempt(deps, delivery, entry, asked);
  await deps.crashGuard.begin(delivery);
  try {
    return await attempt(deps, delivery, entry, asked);
  } finally {
    await deps.crashGuard.end(delivery);
  }
}

/** In the slot that the delivery entered. */
async function attempt(deps: RunDeliveryDeps, given: PendingDelivery, entry: Go, asked: number): Promise<Ending> {
  const { limiters, send, settle, lookup } = deps;
  // Whose slot this was may have been told 410 in the moment in which it left.
  const again = given.isRepeat
    ? await askAgain(deps, given, entry.endpoint, asked)
    : currentEndpoint(lookup, given, entry.endpoint);
  if (again.kind !== "active") {
    limiters.leave(entry.slot, NOT_MADE);
    return again.kind === "completed" ? "settled" : hold(deps, given, again, asked);
  }
  const result = await send(given, again.endpoint);
  const delivery = sinceStandstill(deps, given);
  if (result.kind === "not-written") {
    limiters.leave(entry.slot, NOT_MADE);
    return settle.missed(delivery, "dead", result.reason);
  }
  if (isUnmade(result, delivery.unmade)) {
    const why = result.kind === "fault" && result.fault === "exhausted" ? "exhausted" : "unresolved";
    return notNow(deps, delivery, limiters.leaveUnmade(entry.slot, result, delivery, why), asked);
  }
  limiters.leave(entry.slot, result);
  const ending = await settle.attempted(delivery, again.endpoint, result);
  if (ending === "settled" && !isFresh(given, asked)) deps.completed.made(delivery);
  return ending;
}

/** Fresh from its lane, and so in no company of copies. */
function isFresh({ isRepeat }: PendingDelivery, asked: number): boolean {
  return asked === ANYTHING && !isRepeat;
}

/** After a standstill others may have the delivery too: it is asked about before each attempt from here on, retries as well. */
function sinceStandstill({ standstill }: RunDeliveryDeps, delivery: PendingDelivery): PendingDelivery {
  return delivery.isRepeat || !standstill.isRecent() ? delivery : { ...delivery, isRepeat: true };
}

/**
 * The wait for a slot may have been long, and who had the event before may have come to its end meanwhile. The question
 * takes time, too, in which the endpoint may have been paused, disabled or deleted.
 */
async function askAgain(
  { completed, lookup }: RunDeliveryDeps,
  delivery: PendingDelivery,
  endpoint: Endpoint,
  asked: number,
): Promise<CurrentEndpoint | { readonly kind: "completed" }> {
  if (await completed.isShown(delivery, asked)) return { kind: "completed" };
  return currentEndpoint(lookup, delivery, endpoint);
}

/** No attempt is made now. */
function notNow(deps: RunDeliveryDeps, delivery: PendingDelivery, entry: NotNow, asked: number): Promise<Ending> {
  switch (entry.kind) {
    case "defer":
      return deps.settle.deferred(delivery, entry.why, entry.untilMs);
    case "overflow":
      return hold(deps, delivery, { state: "backlog", reason: backlogReason(deps.backlogMax) }, asked);
    case "given-up":
      return hold(deps, delivery, { state: "dead", reason: entry.reason }, asked);
    case "inactive":
      return hold(deps, delivery, entry, asked);
    case "stopping":
      return Promise.resolve("released");
    default:
      return unreachable(entry);
  }
}

/**
 * Into the dead-letter record: until it can be delivered, or for good. A crash may leave two chains of retries of one delivery: where the
 * other has ended it, its dead letter is not replaced by one that says less, or is held and then comes back to nothing.
 */
async function hold(
  { completed, settle }: RunDeliveryDeps,
  delivery: PendingDelivery,
  { state, reason }: { readonly state: MissedState; readonly reason: string },
  asked: number,
): Promise<Ending> {
  if ((delivery.isRepeat || delivery.attempt > 1) && (await completed.isShown(delivery, asked))) return "settled";
  return settle.missed(delivery, state, reason);
}

/** Frees the slot and says nothing of the endpoint. */
const NOT_MADE: AttemptResult = {
  kind: "fault",
  fault: "aborted",
  detail: "the ledger shows the attempt as completed",
  durationMs: 0,
};

/**
 * 0 when it may go at once. The members of a group wait for its youngest. An event is accepted before we have it: one that is
 * younger than now was accepted by a clock ahead of ours, and waits from now on.
 */
function firstAttemptAtMs(deps: RunDeliveryDeps, { members }: PendingDelivery, { retry }: Endpoint): number {
  const waitMs = waitBeforeMs(retry ?? DEFAULT_RETRY_POLICY, 1, deps.entropy.fraction()) ?? 0;
  if (waitMs === 0) return 0;
  const sinceMs = Math.max(...members.map(({ acceptedAtMs, deliverAtMs }) => deliverAtMs ?? acceptedAtMs));
  return waitMs + Math.min(sinceMs, deps.clock.now());
}

function backlogReason(backlogMax: number): string {
  return `more than ${backlogMax} deliveries already waited for this endpoint; it goes out when the endpoint recovers`;
}
