/**
 * Calls back what was deferred for one endpoint while it answers. The time planned in the retry queue was a guess, and grew
 * with each deferral; an answer tells that there is room now. Each answer asks for as many as the endpoint can take at its
 * pace, so they come by a ramp, and few are deferred again when it fails once more. While the breaker is open one is
 * called for each probe.
 */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Cancel, Clock } from "@posthaste/shared/lib/ambient.ts";
import type { EndpointCondition } from "./condition.ts";
import type { DeferReason } from "./entry.ts";
import { isUnsent } from "@posthaste/shared/domain/outcome.ts";

/** Asked for at once, at most. */
const RECALL_MAX = 256;
/** Looked at again while some are left and no answer is awaited that would ask: first and, doubled each time, last. */
const LOOK_MS = 1000;
const LOOK_MS_MAX = 32_000;
/** What was called back comes within this, or has gone elsewhere. */
const COMING_MS = 1000;

export interface DeferredRecallDeps {
  readonly clock: Clock;
  readonly condition: EndpointCondition;
  /** Makes at most `max` deferred deliveries of the endpoint due; how many those were. */
  readonly recall: (max: number) => Promise<number>;
  /** Some came back, and are counted no more: there may be room for what overflowed. */
  readonly recalled: () => void;
  /** Deliveries of the endpoint that wait for a slot. */
  readonly waiting: () => number;
  /** Who came now would be deferred at once, as the tenant is short of slots. */
  readonly isShort: () => boolean;
}

export class DeferredRecall {
  readonly #deps: DeferredRecallDeps;
  #isAsking = false;
  #isClosed = false;
  /** Nothing is left as far as is known; at the start a process before this one may have deferred some. */
  #isDone = false;
  /** Called back, and not come yet. */
  #coming = 0;
  #comingUntilMs = 0;
  #lookMs = LOOK_MS;
  #timer: Cancel | null = null;

  constructor(deps: DeferredRecallDeps) {
    this.#deps = deps;
  }

  /**
   * One was deferred, and is counted. Who waited in vain a moment ago is not called at once: he would do so again. Who has
   * no address, or no socket, waits for his time, or for an answer to somebody else.
   */
  deferred(why: DeferReason): void {
    this.#isDone = false;
    if (why === "unresolved" || why === "exhausted") return;
    if (this.#timer !== null || this.#isAsking) return;
    const waitMs = this.#refusesForMs();
    if (waitMs > 0) this.#lookIn(waitMs);
    else this.#lookLater();
  }

  /** One that had been deferred came. */
  came(): void {
    this.#coming = Math.max(0, this.#coming - 1);
  }

  /** An attempt ended, and the condition knows of it. What was never sent says nothing of room at the endpoint. */
  attempted(result: AttemptResult): void {
    if (isUnsent(result)) return;
    this.#lookMs = LOOK_MS;
    this.#look();
  }

  /** There is a slot for one; false when it may not come now, or those before it are still asked for. */
  callOne(): boolean {
    const { condition } = this.#deps;
    if (this.#isClosed || this.#isAsking || condition.deferredCount() === 0) return false;
    if (this.#refusesForMs() > 0 || condition.breaker.state() !== "closed") return false;
    void this.#recall(1);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.();
  }

  #look(): void {
    const { clock, condition, waiting } = this.#deps;
    if (this.#isClosed || this.#isAsking || this.#isDone) return;
    const nowMs = clock.now();
    const waitMs = this.#refusesForMs();
    if (waitMs > 0) {
      if (condition.deferredCount() > 0) this.#lookIn(waitMs);
      return;
    }
    const state = condition.breaker.state();
    // The end of a probe that is under way brings us back.
    if (state === "half-open") return;
    if (nowMs >= this.#comingUntilMs) this.#coming = 0;
    const room = state === "open" ? 1 : condition.room(waiting() + this.#coming, nowMs);
    // One is called even then: it finds out when the shortage is over.
    if (room > 0) void this.#recall(this.#deps.isShort() ? 1 : Math.min(RECALL_MAX, room));
    else this.#lookLater();
  }

  /** For how long nobody who came would be let in: until the probe, and until the endpoint's silence is over. */
  #refusesForMs(): number {
    const { clock, condition } = this.#deps;
    return Math.max(condition.breaker.probeAtMs(), condition.quietUntilMs) - clock.now();
  }

  async #recall(max: number): Promise<void> {
    const { clock, condition, recall } = this.#deps;
    this.#isAsking = true;
    this.#coming = 0;
    // A queue that fails costs nothing but the time that was planned.
    const count = await recall(max).catch(() => 0);
    this.#isAsking = false;
    const nowMs = clock.now();
    this.#coming += count;
    this.#comingUntilMs = nowMs + COMING_MS;
    condition.deferred.take(count);
    if (count > 0 && !this.#isClosed) this.#deps.recalled();
    this.#isDone = count === 0 && condition.deferredCount() === 0;
    this.#lookLater();
  }

  /** Who was called back may go without an attempt, or lie where the queue does not reach it yet. */
  #lookLater(): void {
    const { condition } = this.#deps;
    if (this.#isDone || condition.pace.inFlight() > 0 || condition.deferredCount() === 0) return;
    // What could not be found so often has gone elsewhere, or comes at its time.
    if (this.#lookMs > LOOK_MS_MAX) return;
    this.#lookIn(this.#lookMs);
    this.#lookMs *= 2;
  }

  /** Not for long at once: the clock may be set meanwhile, and a timer may come early by less than a millisecond. */
  #lookIn(waitMs: number): void {
    this.#timer?.();
    if (this.#isClosed) return;
    this.#timer = this.#deps.clock.timer(Math.min(Math.max(1, waitMs), LOOK_MS_MAX), () => {
      this.#timer = null;
      this.#look();
    });
  }
}
