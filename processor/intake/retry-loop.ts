/** The loop that reads the retry queue: events whose `deliver_at` has come, and deliveries whose attempt is due. */
import type { RetryItem, RetryQueue } from "@posthaste/shared/ports/retry-queue.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { DeliverEvent } from "../delivery/deliver-event.ts";
import type { Ending } from "../delivery/pending-delivery.ts";
import type { Obstacle, PutAside } from "../delivery/put-aside.ts";
import type { RunDelivery } from "../delivery/run-delivery.ts";
import type { Settle } from "../delivery/settle.ts";
import type { EndpointLookup } from "../endpoint/lookup.ts";
import type { QueueItemDeps, Weigh } from "./queue-items.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";
import { dueDelivery, firstMember } from "../delivery/pending-delivery.ts";
import { ENDPOINT_DELETED } from "../endpoint/lookup.ts";
import { afterTaking, requireStopping, runItem } from "./queue-items.ts";
import { TAKE_MAX, holderOf } from "./window.ts";

export interface RetryLoopDeps extends QueueItemDeps {
  readonly retryQueue: RetryQueue;
  readonly lookup: EndpointLookup;
  readonly deliverEvent: DeliverEvent;
  readonly run: Pick<RunDelivery, "due">;
  readonly settle: Pick<Settle, "missed" | "filtered">;
  readonly putAside: PutAside;
}

export function createRetryLoop(deps: RetryLoopDeps): (signal: AbortSignal) => Promise<void> {
  const { retryQueue, window } = deps;
  return async (signal) => {
    while (!isAborted(signal)) {
      const room = await window.room(signal);
      if (room === 0) return;
      const items = await retryQueue.take(Math.min(room, TAKE_MAX), signal);
      if (items.length === 0) return requireStopping(signal);
      for (const item of items) {
        // Items taken before may have become many deliveries. One that found no room before a stop goes back.
        const isRoomy = !window.isFull() || (await window.room(signal)) > 0;
        void runItem(deps, retryQueue, item, holderOf(item.members), {
          run: async (weigh) => (isRoomy ? runRetryItem(deps, item, weigh) : "released"),
          putAside: () => putAside(deps, item, "failed"),
        });
      }
      await afterTaking(items.length, deps);
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
    ? deps.putAside.event(firstMember(item), item.putAside, why)
    : deps.putAside.delivery(dueDelivery({ ...item, endpointId }), why);
}

/** Goes on with a delivery that is due. One whose tenant cannot be read is put aside: handed back it would be due at once. */
async function resume(deps: RetryLoopDeps, item: RetryItem & { readonly endpointId: string }): Promise<Ending> {
  const delivery = dueDelivery(item);
  const endpoint = await deps.lookup.find(delivery.tenant, delivery.endpointId).catch((error: unknown) => {
    deps.onFailure("read directory", error, 0);
    return undefined;
  });
  if (endpoint === undefined) return deps.putAside.delivery(delivery, "unreadable");
  if (endpoint === null) return deps.settle.missed(delivery, ENDPOINT_DELETED.state, ENDPOINT_DELETED.reason);
  return isUnasked(delivery, endpoint) ? deps.settle.filtered(delivery) : deps.run.due(delivery, endpoint);
}

/** Its endpoint could not be read at the fan-out, and never asked for it. */
function isUnasked(delivery: PendingDelivery, { eventTypes }: Endpoint): boolean {
  const isFirst = delivery.putAside > 0 && delivery.attempt === 1 && delivery.generation === 0;
  return isFirst && !delivery.members.some(({ type }) => matches(eventTypes, type));
}
