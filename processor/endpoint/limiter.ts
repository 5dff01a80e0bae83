/**
 * The gate before each endpoint. Decides for every message: go now, wait a moment, or be parked on the retry queue
 * because its endpoint is down, throttled, or so slow that waiting would hold up others. Keeps endpoints islands
 * (promise 3): each has its own adaptive in-flight cap, breaker and waiting room; LOW holds at most half of a cap.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { GateDeps, Yard } from "./limiter-registry.ts";
import type { Gate, ParkReason } from "./limiter-state.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { Waiting } from "./waiting-room.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { dropIfRemoved, gateOf, hasRoom, learn, parkUntilMs, roomAtMs } from "./limiter-state.ts";
import { createSlots } from "./slots.ts";
import { createFairSlots } from "./fair-slots.ts";

export interface EndpointLimiters {
  submit(outgoing: PendingDelivery, endpoint: Endpoint): void;
  /** The endpoint was deleted: nothing of it is remembered, as soon as nothing of it is under way. */
  removed(endpointId: string): void;
  /** An overflow was recorded. False when it may come back at once; when true, `recovered` will tell. */
  keepsBack(endpointId: string): boolean;
  inFlight(): number;
  waiting(): number;
  /** Hands back all that waits, now and from now on. */
  close(): void;
}

/**
 * How long an endpoint counts as slow after a message waited too long for it. Before that an expected wait parks
 * nobody: while an endpoint's pace is being learnt the guess is poor, and parked messages come back at the guessed pace
 * (10,000 events at once for one quick endpoint: 510 a second delivered with parking by the guess, 8,000 without).
 */
const SLOW_MS = 10_000;
/** Room for what overflowed is asked for no more often. */
const ROOM_MS = 1000;

export function createEndpointLimiters(deps: GateDeps): EndpointLimiters {
  const { clock, limits } = deps;
  const slots = createSlots({
    all: limits.inFlightMax,
    mediumAndLow: limits.inFlightMediumMax,
    low: limits.inFlightLowMax,
    tenantPerFree: limits.tenantPerFree,
  });
  const yard: Yard = {
    deps,
    gates: new Map(),
    slots,
    fairSlots: createFairSlots(slots),
    waiting: 0,
    isClosed: false,
  };
  return {
    submit(outgoing, endpoint) {
      if (yard.isClosed) return outgoing.handBack();
      const nowMs = clock.now();
      const gate = gateOf(yard.gates, outgoing, limits, nowMs);
      const { rateLimit } = endpoint;
      gate.perSecondMax = rateLimit === null ? null : (1000 * rateLimit.limit) / rateLimit.windowMs;
      if (gate.quietUntilMs - nowMs > limits.holdUpMsMax) return park(yard, gate, outgoing, "throttled");
      if (!gate.breaker.isPassable(nowMs)) return park(yard, gate, outgoing, "breaker-open");
      if (nowMs < gate.slowUntilMs) {
        const waitMs = gate.pace.waitMs(gate.room.ahead(outgoing.lane), nowMs);
        if (waitMs > limits.holdUpMsMax) return park(yard, gate, outgoing, "busy");
      }
      gate.room.push({ outgoing, endpoint, sinceMs: nowMs });
      yard.waiting += 1;
      pump(yard, gate);
    },
    removed(endpointId) {
      const gate = yard.gates.get(endpointId);
      if (gate === undefined) return;
      gate.isRemoved = true;
      dropIfRemoved(yard.gates, gate);
    },
    keepsBack(endpointId) {
      const gate = yard.gates.get(endpointId);
      if (gate === undefined || hasRoom(gate, limits, clock.now())) return false;
      askForRoom(yard, gate);
      return true;
    },
    inFlight: () => slots.count(),
    waiting: () => yard.waiting,
    close() {
      yard.isClosed = true;
      for (const gate of yard.gates.values()) {
        gate.timer?.();
        gate.timer = null;
        gate.overflow?.();
        gate.overflow = null;
        for (const { outgoing } of gate.room.takeOlder(Infinity)) outgoing.handBack();
      }
      yard.waiting = 0;
    },
  };
}

function park({ deps }: Yard, gate: Gate, outgoing: PendingDelivery, why: ParkReason): void {
  const nowMs = deps.clock.now();
  if (gate.parked.count(nowMs) >= deps.limits.backlogMax) {
    deps.overflow(outgoing);
    return;
  }
  const untilMs = parkUntilMs(gate, outgoing.parks, why, nowMs, deps.limits);
  gate.parked.add(untilMs);
  const handBack = () => {
    gate.parked.remove(untilMs);
    outgoing.handBack();
  };
  deps.park({ ...outgoing, handBack }, why, untilMs);
}

/** Calls what overflowed back once there is room. */
function askForRoom(yard: Yard, gate: Gate): void {
  const { clock, limits } = yard.deps;
  if (yard.isClosed || gate.overflow !== null) return;
  const nowMs = clock.now();
  const waitMs = Math.max(ROOM_MS, roomAtMs(gate, limits, nowMs) - nowMs);
  gate.overflow = clock.timer(waitMs, () => {
    gate.overflow = null;
    if (hasRoom(gate, limits, clock.now())) yard.deps.recovered(gate.tenant, gate.endpointId);
    else askForRoom(yard, gate);
  });
}

/** The breaker has closed: what overflowed need not wait for its hour. */
function recoverIfRoomy(yard: Yard, gate: Gate): void {
  gate.overflow?.();
  gate.overflow = null;
  if (hasRoom(gate, yard.deps.limits, yard.deps.clock.now())) yard.deps.recovered(gate.tenant, gate.endpointId);
  else askForRoom(yard, gate);
}

function parkOlder(yard: Yard, gate: Gate, sinceMs: number, why: ParkReason): void {
  const taken = gate.room.takeOlder(sinceMs);
  yard.waiting -= taken.length;
  for (const { outgoing } of taken) park(yard, gate, outgoing, why);
}

/** Launches all that may go now, then sees to it that what stays is looked at again in time. */
function pump(yard: Yard, gate: Gate): void {
  while (!yard.isClosed && step(yard, gate));
  arm(yard, gate);
}

/** Launches one message; true while it is worth asking again. */
function step(yard: Yard, gate: Gate): boolean {
  const nowMs = yard.deps.clock.now();
  const cap = gate.pace.cap();
  if (gate.quietUntilMs > nowMs || gate.pace.inFlight() >= cap) return false;
  for (const lane of LANES) {
    const next = gate.room.peek(lane);
    if (next === null) continue;
    if (lane === "low" && gate.held.low >= Math.max(1, cap >> 1)) continue;
    if (!yard.slots.isFree(lane, gate)) {
      yard.fairSlots.add(lane, gate);
      continue;
    }
    const endpoint = yard.deps.admit(next.outgoing, next.endpoint);
    if (endpoint === null) {
      gate.room.shift(lane);
      yard.waiting -= 1;
      return true;
    }
    if (!gate.breaker.isPassable(nowMs) || !hasGrant(yard, gate, endpoint)) return false;
    if (!gate.breaker.permits(nowMs)) return false;
    launch(yard, gate, next, endpoint);
    return true;
  }
  return false;
}

function launch(yard: Yard, gate: Gate, { outgoing }: Waiting, endpoint: Endpoint): void {
  const { deps, slots } = yard;
  const { lane } = outgoing;
  gate.room.shift(lane);
  yard.waiting -= 1;
  if (endpoint.rateLimit !== null) gate.grants -= 1;
  slots.take(lane, gate);
  const token = gate.pace.begin(deps.clock.now());
  if (gate.breaker.state() === "half-open") gate.probe = token;
  const attempt = async () => {
    const result = await deps.attempt(outgoing, endpoint);
    slots.free(lane, gate);
    const turned = learn(gate, token, result, deps.clock.now());
    deps.settle(outgoing, endpoint, result);
    if (turned === "opened") {
      deps.telemetry.breaker(gate.endpointId, "open");
      parkOlder(yard, gate, Infinity, "breaker-open");
    } else if (turned === "closed") {
      deps.telemetry.breaker(gate.endpointId, "closed");
      recoverIfRoomy(yard, gate);
    }
    pump(yard, gate);
    dropIfRemoved(yard.gates, gate);
    yard.fairSlots.feed((each) => pump(yard, each));
  };
  void attempt();
}

/** Has the endpoint's own rate limit room for one more attempt? Asks once, and remembers a refusal as quiet time. */
function hasGrant(yard: Yard, gate: Gate, { id, rateLimit }: Endpoint): boolean {
  if (rateLimit === null || gate.grants > 0) return true;
  if (gate.isAsking) return false;
  const { clock, rateLimiter } = yard.deps;
  const use = (verdict: { isGranted: boolean; resetMs: number }) => {
    if (verdict.isGranted) gate.grants += 1;
    else gate.quietUntilMs = Math.max(gate.quietUntilMs, clock.now() + Math.max(1, verdict.resetMs));
  };
  const answer = rateLimiter.take(`endpoint:${id}`, rateLimit, 1);
  if (!(answer instanceof Promise)) {
    use(answer);
    return gate.grants > 0;
  }
  gate.isAsking = true;
  const ask = async () => {
    try {
      use(await answer);
    } catch {
      gate.grants += 1; // A limiter that is out of order must not stop deliveries.
    }
    gate.isAsking = false;
    pump(yard, gate);
  };
  void ask();
  return false;
}

/** One timer a gate, for the earlier of: somebody waited long enough, or the endpoint may be asked again. */
function arm(yard: Yard, gate: Gate): void {
  const { clock, limits } = yard.deps;
  const sinceMs = gate.room.oldestSinceMs();
  if (sinceMs === null || yard.isClosed) return;
  const nowMs = clock.now();
  const overMs = sinceMs + limits.holdUpMsMax + 1 - nowMs;
  const quietMs = gate.quietUntilMs > nowMs ? gate.quietUntilMs - nowMs : Infinity;
  const waitMs = Math.max(1, Math.min(overMs, quietMs));
  if (gate.timer !== null && gate.timerAtMs <= nowMs + waitMs) return;
  gate.timer?.();
  gate.timerAtMs = nowMs + waitMs;
  gate.timer = clock.timer(waitMs, () => {
    gate.timer = null;
    const isQuiet = gate.quietUntilMs > clock.now();
    while (!yard.isClosed && step(yard, gate));
    const before = yard.waiting;
    parkOlder(yard, gate, clock.now() - limits.holdUpMsMax, isQuiet ? "throttled" : "busy");
    if (yard.waiting < before) gate.slowUntilMs = clock.now() + SLOW_MS;
    arm(yard, gate);
  });
}
