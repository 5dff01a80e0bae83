/** What the gate remembers of one endpoint, and what it learns from each answer. */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Cancel } from "@posthaste/shared/lib/ambient.ts";
import type { CircuitBreaker } from "@posthaste/shared/lib/circuit-breaker.ts";
import type { EndpointPace } from "./pace.ts";
import type { ProcessorLimits } from "../limits.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { Parked } from "./deferred.ts";
import type { Held } from "./slots.ts";
import type { WaitingRoom } from "./waiting-room.ts";
import { verdictOf } from "@posthaste/shared/domain/outcome.ts";
import { parseRetryAfterMs } from "@posthaste/shared/domain/retry-policy.ts";
import { createCircuitBreaker } from "@posthaste/shared/lib/circuit-breaker.ts";
import { createEndpointPace } from "./pace.ts";
import { createParked } from "./deferred.ts";
import { noneHeld } from "./slots.ts";
import { createWaitingRoom } from "./waiting-room.ts";

export type ParkReason = "breaker-open" | "throttled" | "busy";

export interface Gate {
  readonly tenant: string;
  readonly endpointId: string;
  readonly pace: EndpointPace;
  readonly breaker: CircuitBreaker;
  readonly room: WaitingRoom;
  /** Slots held, by lane. */
  readonly held: Held;
  /** The endpoint's own rate limit, as it was last seen; null without one. */
  perSecondMax: number | null;
  readonly parked: Parked;
  /** The endpoint asked for silence until then (429 or 503 with Retry-After, or its rate limit). */
  quietUntilMs: number;
  /** Grants of the rate limiter not used yet, and whether one is being asked for. */
  grants: number;
  isAsking: boolean;
  timer: Cancel | null;
  timerAtMs: number;
  /** The attempt that decides for a half-open breaker. */
  probe: number | null;
  /** Deliveries lie in the dead-letter record as `backlog` and wait for `hasRoom`: this asks again. */
  overflow: Cancel | null;
  /** Until then newcomers with a long expected wait are parked at once: somebody really waited too long lately. */
  slowUntilMs: number;
  /** Its endpoint was deleted: the gate goes when its last attempt ends. */
  isRemoved: boolean;
}

/** Gates kept; past it idle ones are forgotten, and learn their endpoint's pace again. */
const GATES_MAX = 10_000;
/** Gates looked at for each new one past that; those that are not idle are looked at again after all others. */
const FORGET_SCAN = 64;
/** A Retry-After quiets the whole endpoint at most this long; the single delivery obeys all of it. */
const QUIET_MS_MAX = 3600 * 1000;

export function gateOf(
  gates: Map<string, Gate>,
  { tenant, endpointId }: PendingDelivery,
  limits: ProcessorLimits,
  nowMs: number,
): Gate {
  const known = gates.get(endpointId);
  if (known !== undefined) return known;
  if (gates.size >= GATES_MAX) forgetIdle(gates, nowMs);
  const gate: Gate = {
    tenant,
    endpointId,
    pace: createEndpointPace({
      capFirst: limits.capFirst,
      capStart: limits.capStart,
      capMax: limits.inFlightPerEndpointMax,
    }),
    breaker: createCircuitBreaker(limits.breaker),
    room: createWaitingRoom(),
    held: noneHeld(),
    perSecondMax: null,
    parked: createParked(),
    quietUntilMs: 0,
    grants: 0,
    isAsking: false,
    timer: null,
    timerAtMs: 0,
    probe: null,
    overflow: null,
    slowUntilMs: 0,
    isRemoved: false,
  };
  gates.set(endpointId, gate);
  return gate;
}

function forgetIdle(gates: Map<string, Gate>, nowMs: number): void {
  let left = FORGET_SCAN;
  for (const [id, gate] of gates) {
    if (left === 0) return;
    left -= 1;
    gates.delete(id);
    if (!isForgettable(gate, nowMs)) gates.set(id, gate);
  }
}

/** An open breaker is worth remembering until its probe is due; what overflowed, until it was called back. */
function isForgettable(gate: Gate, nowMs: number): boolean {
  const knowsNothing = gate.breaker.probeAtMs() <= nowMs && gate.quietUntilMs <= nowMs && gate.overflow === null;
  return isUnused(gate) && gate.parked.count(nowMs) === 0 && knowsNothing;
}

function isUnused(gate: Gate): boolean {
  return gate.pace.inFlight() === 0 && gate.room.count() === 0 && !gate.isAsking;
}

/** Lets go of the gate of a deleted endpoint once nothing is under way in it; what is parked needs no gate to end. */
export function dropIfRemoved(gates: Map<string, Gate>, gate: Gate): void {
  if (!gate.isRemoved || !isUnused(gate) || gates.get(gate.endpointId) !== gate) return;
  gate.timer?.();
  gate.timer = null;
  gate.overflow?.();
  gate.overflow = null;
  gates.delete(gate.endpointId);
}

/** Takes an answer into pace, breaker and quiet time; tells when that turned the breaker. */
export function learn(gate: Gate, token: number, result: AttemptResult, nowMs: number): "opened" | "closed" | null {
  // While half-open the probe alone decides: attempts from before the breaker opened say nothing about now.
  const isTelling = gate.breaker.state() !== "half-open" || token === gate.probe;
  if (result.kind === "fault" && result.fault === "aborted") {
    gate.pace.end(token, nowMs, "none");
    if (isTelling) gate.breaker.forget();
    return null;
  }
  const verdict = verdictOf(result);
  gate.pace.end(token, nowMs, verdict === "overloaded" ? "overloaded" : "healthy");
  if (result.kind === "answered" && (result.status === 429 || result.status === 503)) {
    const askedMs = Math.min(parseRetryAfterMs(result.retryAfter, nowMs) ?? 0, QUIET_MS_MAX);
    gate.quietUntilMs = Math.max(gate.quietUntilMs, nowMs + askedMs);
  }
  if (!isTelling) return null;
  // 429 is an answer of a living endpoint that wants less; it slows, it does not open the breaker.
  const isAlive = verdict === "healthy" || (result.kind === "answered" && result.status === 429);
  if (isAlive) return gate.breaker.succeed() ? "closed" : null;
  return gate.breaker.fail(nowMs) ? "opened" : null;
}

/**
 * May deliveries that overflowed come back? With half of the bound free, so that they do not overflow again at once. An
 * endpoint that does not answer gets some when nothing else of this process is there to ask it: what was parked may come
 * back to other processes.
 */
export function hasRoom(gate: Gate, limits: ProcessorLimits, nowMs: number): boolean {
  if (gate.breaker.state() === "closed") return gate.parked.count(nowMs) <= limits.backlogMax / 2;
  return gate.breaker.isPassable(nowMs) && gate.parked.count(nowMs) === 0;
}

/** When that may be worth asking again. */
export function roomAtMs(gate: Gate, limits: ProcessorLimits, nowMs: number): number {
  const most = gate.breaker.state() === "closed" ? limits.backlogMax / 2 : 0;
  return Math.max(gate.parked.whenAtMostMs(most, nowMs), gate.breaker.probeAtMs());
}

/**
 * Not before the endpoint can have changed, doubled per park, and then its next free slot. Whoever waits for the
 * endpoint's own rate limit gets a slot at the rate of that limit, and is not put off for longer each time: it is known
 * when there is room (40 events at a limit of 2 a second took 35 minutes with doubling).
 */
export function parkUntilMs(
  gate: Gate,
  parks: number,
  why: ParkReason,
  nowMs: number,
  limits: ProcessorLimits,
): number {
  const isOwnLimit = why !== "breaker-open" && gate.perSecondMax !== null;
  const firstMs = why === "breaker-open" ? limits.parkMs : limits.holdUpMsMax;
  const delayMs = Math.min(firstMs * 2 ** (isOwnLimit ? 0 : Math.min(parks, 30)), limits.parkMsMax);
  const earliestMs = Math.max(nowMs + delayMs, gate.breaker.probeAtMs(), gate.quietUntilMs);
  return gate.pace.reserve(earliestMs, why === "breaker-open" ? limits.recoveryPerS : gate.perSecondMax);
}
