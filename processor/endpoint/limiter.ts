/**
 * The limiter of one endpoint. It decides for every delivery: go now, wait a moment, or be deferred, because the endpoint
 * is down, throttled, or so slow that waiting would hold up others. Each endpoint has its own adaptive in-flight cap,
 * breaker and waiting room, and LOW holds at most half of a cap (promise 3).
 */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Cancel } from "@posthaste/shared/lib/ambient.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { DeferReason, Entry, NotNow, Slot } from "./entry.ts";
import type { LimiterDeps } from "./limiter-deps.ts";
import type { HeldSlots, Standing } from "./slots.ts";
import type { PutOff } from "./shortage.ts";
import type { Waiting } from "./waiting-room.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { ALARM_MS_MAX } from "@posthaste/shared/lib/alarm.ts";
import { EndpointCondition } from "./condition.ts";
import { DeferredRecall } from "./deferred-recall.ts";
import { OVERFLOW, STOPPING } from "./entry.ts";
import { currentEndpoint } from "./lookup.ts";
import { noneHeld } from "./slots.ts";
import { shortageOf } from "./shortage.ts";
import type { OwnRate } from "./own-rate.ts";
import { createOwnRate } from "./own-rate.ts";
import { createWaitingRoom } from "./waiting-room.ts";

/** Room for what overflowed is asked for no more often. */
const ROOM_MS = 1000;

export class EndpointLimiter implements PutOff {
  readonly tenant: string;
  readonly endpointId: string;
  readonly held: HeldSlots = noneHeld();
  readonly standing = (): Standing => this.condition.standing(this.#deps.clock.now());
  readonly condition: EndpointCondition;
  readonly #deps: LimiterDeps;
  readonly #room;
  readonly #recall: DeferredRecall;
  /** Made for the first attempt under one. */
  #ownRate: OwnRate | null = null;
  #isClosed = false;
  #timer: Cancel | null = null;
  #timerAtMs = 0;
  /** Deliveries lie in the dead-letter record as `backlog`: this asks for room again. */
  #overflowTimer: Cancel | null = null;

  constructor(deps: LimiterDeps, { tenant, endpointId }: Pick<PendingDelivery, "tenant" | "endpointId">) {
    this.#deps = deps;
    this.#room = createWaitingRoom(deps.lowWaiting);
    [this.tenant, this.endpointId] = [tenant, endpointId];
    this.condition = new EndpointCondition(deps.limits, () => deps.wallTimeOf(deps.clock.now()));
    this.#recall = new DeferredRecall({
      clock: deps.clock,
      condition: this.condition,
      recall: (max) => deps.recall(endpointId, max),
      recalled: () => void (this.#overflowTimer !== null && this.#recoverIfRoomy()),
      waiting: () => this.#room.count(),
      isShort: () => LANES.some((lane) => shortageOf(deps, lane, this) !== null),
    });
  }

  enter(delivery: PendingDelivery, endpoint: Endpoint): Promise<Entry> {
    const nowMs = this.#deps.clock.now();
    this.condition.note(endpoint);
    if (delivery.deferrals + delivery.unmade > 0) this.#recall.came();
    const reason = this.condition.givenUpReason(delivery, nowMs);
    if (reason !== null) return Promise.resolve({ kind: "given-up", reason });
    const refusal =
      this.condition.refusal(this.#room.ahead(delivery.lane), nowMs) ?? shortageOf(this.#deps, delivery.lane, this);
    if (refusal !== null) return Promise.resolve(this.defer(delivery, refusal));
    return new Promise((resolve) => {
      const isCounted = this.#deps.lowWaiting.isCounted(delivery) && this.condition.isAnswering(nowMs);
      this.#room.push({ delivery, endpoint, sinceMs: nowMs, isCounted, resolve });
      this.pump();
    });
  }

  /** The same attempt again later, or an overflow when too many wait so. */
  defer(delivery: PendingDelivery, why: DeferReason): NotNow {
    if (this.condition.isBacklogFull()) return OVERFLOW;
    const { clock, wallTimeOf, shortage } = this.#deps;
    const earliestMs = this.condition.deferUntilMs(delivery, why, clock.now());
    const isShort = why === "busy" && shortageOf(this.#deps, delivery.lane, this) !== null;
    const untilMs = wallTimeOf(isShort ? shortage.putOff(delivery.lane, this, earliestMs) : earliestMs);
    this.condition.deferred.add(untilMs);
    this.#deps.ages.deferred(delivery, untilMs);
    this.#recall.deferred(why);
    return { kind: "defer", why, untilMs };
  }

  leave({ lane, token }: Slot, result: AttemptResult): void {
    const { slots, clock, telemetry } = this.#deps;
    slots.free(lane, this);
    const turned = this.condition.record(token, result, clock.now());
    if (turned === "opened") {
      telemetry.breaker(this.endpointId, "open");
      this.#deferOlder(Infinity, "breaker-open");
    } else if (turned === "closed") {
      telemetry.breaker(this.endpointId, "closed");
      this.#recoverIfRoomy();
    }
    this.pump();
    this.#recall.attempted(result);
  }

  /** Lets all go that may go now, then sees to it that what stays is looked at again in time. */
  pump(): void {
    while (!this.#isClosed && this.#letOneGo());
    this.#arm();
  }

  waiting(): number {
    return this.#room.count();
  }

  hasDeferred(): boolean {
    return this.condition.deferredCount() > 0;
  }

  callOne(): boolean {
    return this.#room.count() === 0 && this.#recall.callOne();
  }

  isUnused(): boolean {
    return this.condition.pace.inFlight() === 0 && this.#room.count() === 0 && this.#ownRate?.isAsking() !== true;
  }

  /** Would nothing be lost if it were forgotten? What overflowed has to be called back first. */
  isForgettable(nowMs: number): boolean {
    return this.isUnused() && this.#overflowTimer === null && this.condition.isBlank(nowMs);
  }

  /** An overflow was recorded. False when it may come back at once; when true, `recovered` will be emitted. */
  keepsBack(): boolean {
    if (this.#isClosed || this.condition.hasRoom(this.#deps.clock.now())) return false;
    this.#askForRoom();
    return true;
  }

  /** Answers all that waits with `stopping`, and ends all timers. True: what overflowed was to be called back from here. */
  close(): boolean {
    this.#isClosed = true;
    this.#recall.close();
    for (const cancel of [this.#timer, this.#overflowTimer]) cancel?.();
    for (const { resolve } of this.#room.takeOlder(Infinity)) resolve(STOPPING);
    return this.#overflowTimer !== null;
  }

  /** Answers one of those that wait; true while it is worth asking again. */
  #letOneGo(): boolean {
    const { clock, slots, fairSlots, lookup } = this.#deps;
    const { condition } = this;
    const nowMs = clock.now();
    if (condition.quietUntilMs > nowMs || condition.pace.inFlight() >= condition.pace.cap()) return false;
    for (const lane of LANES) {
      const next = this.#room.peek(lane);
      if (next === null || !condition.isOpenTo(lane, this.held.low)) continue;
      if (!slots.isFree(lane, this)) {
        fairSlots.add(lane, this);
        continue;
      }
      const current = currentEndpoint(lookup, next.delivery, next.endpoint);
      if (current.kind === "inactive") {
        this.#room.shift(lane);
        next.resolve(current);
        return true;
      }
      if (!condition.breaker.isPassable(nowMs) || !this.#hasOwnRoom(current.endpoint)) return false;
      if (!condition.breaker.permits(nowMs)) return false;
      this.#grantSlot(lane, next, current.endpoint);
      return true;
    }
    return false;
  }

  #grantSlot(lane: Lane, { resolve }: Waiting, endpoint: Endpoint): void {
    this.#room.shift(lane);
    this.#ownRate?.use(endpoint);
    this.#deps.slots.take(lane, this);
    const token = this.condition.begin(lane, this.held.low, this.#deps.clock.now());
    resolve({ kind: "go", slot: { endpointId: this.endpointId, lane, token }, endpoint });
  }

  #deferOlder(sinceMs: number, why: DeferReason): readonly Waiting[] {
    const taken = this.#room.takeOlder(sinceMs);
    for (const { delivery, resolve } of taken) resolve(this.defer(delivery, why));
    return taken;
  }

  /** The breaker has closed: what overflowed need not wait for its hour. */
  #recoverIfRoomy(): void {
    this.#overflowTimer?.();
    this.#overflowTimer = null;
    if (this.condition.hasRoom(this.#deps.clock.now())) this.#deps.recovered(this.tenant, this.endpointId);
    else this.#askForRoom();
  }

  /** Calls what overflowed back once there is room. */
  #askForRoom(): void {
    if (this.#isClosed || this.#overflowTimer !== null) return;
    const waitMs = Math.min(Math.max(ROOM_MS, this.condition.roomInMs(this.#deps.clock.now())), ALARM_MS_MAX);
    this.#overflowTimer = this.#deps.clock.timer(waitMs, () => this.#recoverIfRoomy());
  }

  #hasOwnRoom(endpoint: Endpoint): boolean {
    if (endpoint.rateLimit === null) return true;
    const quietUntil = (atMs: number): void => this.condition.quietUntil(atMs);
    this.#ownRate ??= createOwnRate({ ...this.#deps, quietUntil, answered: () => this.pump() });
    return this.#ownRate.hasRoom(endpoint);
  }

  /** One timer, for the earlier of: somebody waited long enough, or the endpoint may be asked again. */
  #arm(): void {
    const sinceMs = this.#room.oldestSinceMs();
    if (sinceMs === null || this.#isClosed) return;
    const { clock, limits } = this.#deps;
    const nowMs = clock.now();
    const quietMs = this.condition.quietUntilMs > nowMs ? this.condition.quietUntilMs - nowMs : Infinity;
    const waitMs = Math.max(1, Math.min(sinceMs + limits.holdUpMsMax + 1 - nowMs, quietMs));
    if (this.#timer !== null && this.#timerAtMs <= nowMs + waitMs) return;
    this.#timer?.();
    this.#timerAtMs = nowMs + waitMs;
    this.#timer = clock.timer(waitMs, () => this.#look());
  }

  /** The endpoint was too slow, or it had room and there was no slot for its tenant. */
  #foundSlow(deferred: readonly Waiting[]): void {
    const { clock, shortage, slots } = this.#deps;
    const isFull = this.condition.pace.inFlight() >= this.condition.pace.cap();
    for (const lane of new Set(deferred.map(({ delivery }) => delivery.lane))) {
      if (isFull || slots.isFree(lane, this)) this.condition.foundSlow(clock.now());
      else shortage.found(lane, this.tenant);
    }
  }

  /** Lets go what may go, and defers what has waited too long. */
  #look(): void {
    const { clock, limits } = this.#deps;
    this.#timer = null;
    const isQuiet = this.condition.quietUntilMs > clock.now();
    while (!this.#isClosed && this.#letOneGo());
    const deferred = this.#deferOlder(clock.now() - limits.holdUpMsMax, isQuiet ? "throttled" : "busy");
    if (deferred.length > 0) this.#foundSlow(deferred);
    this.#arm();
  }
}
