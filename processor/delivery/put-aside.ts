/**
 * What cannot be worked on now: the tenant's endpoints cannot be read, or the work itself threw. It leaves the place in
 * the window that others need, waits in the retry queue with growing waits, and is dead-lettered after about a day.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { RetryQueue } from "@posthaste/shared/ports/retry-queue.ts";
import type { Ending, PendingDelivery } from "./pending-delivery.ts";
import type { Settle } from "./settle.ts";
import type { UntilStored } from "./until-stored.ts";
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import { backoffMs } from "@posthaste/shared/lib/retry.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import { firstDelivery } from "./pending-delivery.ts";

/** From one second to five minutes: when a store returns, nothing waits much longer than that. */
const WAITS = { firstMs: 1000, maxMs: 300_000 } as const;
/** So often is it put aside: about a day. */
export const PUT_ASIDE_MAX = 300;

/**
 * Why. `unreadable`: the tenant's endpoints; `failed`: the work threw an error that nobody expected; `crowded`: others of the
 * tenant have all the room that one tenant may have.
 */
export type Obstacle = "unreadable" | "failed" | "crowded";

/** `undecided`: whether an event with `deliver_at` was cancelled. */
type EventObstacle = Obstacle | "undecided";

const words = {
  unreadable: "the tenant's endpoints could not be read",
  undecided: "the store did not say whether it was cancelled",
  failed: "an unexpected error, which the log names, kept it from being worked on",
  crowded: "other events of the tenant took all the room that one tenant may have",
} as const satisfies Record<EventObstacle, string>;

/** An event as it was handed out. */
export interface HandedEvent {
  /** Its `deliver_at` has come, whatever the clock says. */
  readonly isDue: boolean;
  /** How often it was put aside before. */
  readonly putAside: number;
}

export interface PutAside {
  /** An event that is still to be fanned out. */
  event(envelope: Envelope, handed: HandedEvent, why: EventObstacle): Promise<Ending>;
  delivery(delivery: PendingDelivery, why: Obstacle): Promise<Ending>;
}

export function createPutAside(deps: {
  readonly clock: Pick<Clock, "now">;
  readonly entropy: Pick<Entropy, "fraction">;
  readonly retryQueue: Pick<RetryQueue, "schedule">;
  readonly settle: Pick<Settle, "missed" | "deferred">;
  readonly untilStored: UntilStored;
}): PutAside {
  const { clock, entropy, retryQueue, settle, untilStored } = deps;
  const againAtMs = (count: number): number => Math.ceil(clock.now() + backoffMs(count, WAITS, entropy));
  return {
    async event(envelope, { isDue, putAside: count }, why) {
      const missed = (reason: string): Promise<Ending> =>
        settle.missed(firstDelivery(envelope, { id: UNKNOWN_ENDPOINT }, false), "dead", reason);
      if (count >= PUT_ASIDE_MAX) return missed(`${words[why]} for a day`);
      const atMs = againAtMs(count);
      // Never before its own time: whatever comes back from there counts as due.
      const laterMs = isDue || envelope.deliverAtMs === null ? atMs : Math.max(atMs, envelope.deliverAtMs);
      // A wait of ours is as long as it is, whatever becomes of the clock; a time of day is that time.
      const cause = laterMs === atMs ? "parked" : "deliver-at";
      const plan = { cause, notBeforeMs: laterMs, endpointId: null, generation: 0, attempt: 1 } as const;
      const item = scheduledEvent(envelope, { ...plan, putAside: count + 1 });
      const stored = await untilStored("put aside", () => retryQueue.schedule([item]));
      if (stored.kind === "aborted") return "released";
      return stored.value.kind === "scheduled" ? "settled" : missed(`${words[why]}, and the retry queue is full`);
    },
    delivery: (delivery, why) =>
      delivery.putAside >= PUT_ASIDE_MAX
        ? settle.missed(delivery, "dead", `${words[why]} for a day`)
        : settle.deferred(delivery, why, againAtMs(delivery.putAside)),
  };
}
