/** The loop that reads the retry queue: events whose `deliver_at` has come, and deliveries whose attempt is due. */
import type { RetryItem, RetryQueue } from "@posthaste/shared/ports/retry-queue.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { DeliverEvent } from "../delivery/deliver-event.ts";
import type { Ending } from "../delivery/pending-delivery.ts";
import type { Obstacle, PutAside } from "../delivery/put-aside.ts";
import type { RunDelivery } from "../delivery/run-delivery.ts";
import type { Settle } from "../delivery/settle.ts";
import type { DueLookup } from "../endpoint/lookup.ts";
import type { InHand } from "./in-hand.ts";
import type { QueueItemDeps, Weigh } from "./queue-items.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";
import { dueDelivery, firstDelivery, firstMember } from "../delivery/pending-delivery.ts";
import { ENDPOINT_DELETED } from "../endpoint/lookup.ts";
import { requireStopping, runItem } from "./queue-items.ts";
import { holderOf } from "./window.ts";

export interface RetryLoopDeps extends QueueItemDeps {
  readonly retryQueue: RetryQueue;
  readonly inHand: InHand;
  readonly lookup: Pick<DueLookup, "findDue">;
  readonly deliverEvent: DeliverEvent;
  readonly run: Pick<RunDelivery, "due">;
  readonly settle: Pick<Settle, "missed" | "filtered">;
  readonly putAside: PutAside;
}

export function createRetryLoop(deps: RetryLoopDeps): (signal: AbortSignal) => Promise<void> {
  const { retryQueue, window, hands } = deps;
  return async (signal) => {
    while (!isAborted(signal)) {
      const room = await window.room(signal);
      if (room === 0) return;
      const items = await retryQueue.take(Math.min(room, hands.max()), signal);
      if (items.length === 0) return requireStopping(signal);
      for (const item of items) {
        // Items taken before may have become many deliveries. One that found no room before a stop goes back.
        const isRoomy = !window.isFull() || (await window.room(signal)) > 0;
        const ended = deps.inHand.take(item);
        void runItem(deps, retryQueue, item, holderOf(item.members), {
          run: async (weigh) => (isRoomy ? runRetryItem(deps, item, weigh) : "released"),
          putAside: () => putAside(deps, item, "failed"),
        }).finally(ended);
      }
      await hands.taken(items.length);
    }
  };
}

function runRetryItem(deps: RetryLoopDeps, item: RetryItem, weigh: Weigh): Promise<Ending> {
  const { endpointId } = item;
  if (endpointId !== null) return resume(deps, { ...item, endpointId });
  const isCopy = item.cause === "relieved";
  // Put aside, or replayed after that, it may have been fanned out in part before.
  const isRepeat = item.isRepeat || isCopy || item.putAside > 0 || item.cause === "replay";
  const handed = { isRepeat, isCopy, isDue: true, putAside: item.putAside, weigh };
  return deps.deliverEvent(firstMember(item), handed);
}

function putAside(deps: RetryLoopDeps, item: RetryItem, why: Obstacle): Promise<Ending> {
  const { endpointId } = item;
  return endpointId === null
    ? deps.putAside.event(firstMember(item), { isDue: true, putAside: item.putAside }, why)
    : deps.putAside.delivery(dueDelivery({ ...item, endpointId }), why);
}

/** Goes on with a delivery that is due. One whose tenant cannot be read is put aside: handed back it would be due at once. */
async function resume(deps: RetryLoopDeps, item: RetryItem & { readonly endpointId: string }): Promise<Ending> {
  const delivery = dueDelivery(item);
  const found = await deps.lookup.findDue(delivery).catch((error: unknown) => {
    deps.onFailure("read directory", error, 0);
    return null;
  });
  if (found === null) return deps.putAside.delivery(delivery, "unreadable");
  switch (found.kind) {
    case "there":
      return isUnasked(delivery, found.endpoint)
        ? deps.settle.filtered(delivery)
        : deps.run.due(delivery, found.endpoint);
    case "deleted":
      return deps.settle.missed(delivery, ENDPOINT_DELETED.state, ENDPOINT_DELETED.reason);
    case "lost":
      return lost(deps, delivery, found.atMs);
    default:
      return unreachable(found);
  }
}

/**
 * Its endpoint went with the store's data. What is left of the delivery are its events: each is dead as a whole, so that a
 * replay fans it out to the endpoints that were made again.
 */
async function lost({ settle }: RetryLoopDeps, delivery: PendingDelivery, atMs: number): Promise<Ending> {
  const when = new Date(atMs).toISOString();
  const reason = `the endpoint ${delivery.endpointId} was lost when Redis was emptied (found at ${when}); a replay goes to the tenant's endpoints of then`;
  const events = delivery.members.map((member) => firstDelivery(member, { id: UNKNOWN_ENDPOINT }, true));
  const endings = await Promise.all(events.map((event) => settle.missed(event, "dead", reason)));
  return endings.every((ending) => ending === "settled") ? "settled" : "released";
}

/** Its endpoint could not be read at the fan-out, and never asked for it. */
function isUnasked(delivery: PendingDelivery, endpoint: Endpoint): boolean {
  const isFirst = delivery.putAside > 0 && delivery.attempt === 1 && delivery.generation === 0;
  return isFirst && !delivery.members.some(({ type }) => matches(endpoint, type));
}
