/**
 * The loops that read the queues: one per lane and one for the retry queue. Each takes only what its window has room
 * for, and acknowledges an item when all that came of it is settled.
 */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { LaneItem, Lanes } from "@posthaste/shared/ports/lanes.ts";
import type { RetryItem, RetryQueue } from "@posthaste/shared/ports/retry-queue.ts";
import type { LowThrottle } from "./low-throttle.ts";
import type { Dispatcher } from "../delivery/dispatcher.ts";
import type { EndpointLookup } from "../endpoint/lookup.ts";
import type { BatchGroups, Source } from "./batch-groups.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { Outstanding } from "./outstanding.ts";
import type { Persist } from "../delivery/persistence.ts";
import type { Settle } from "../delivery/settle.ts";
import type { Settlements } from "../delivery/settlements.ts";
import type { Window } from "./window.ts";
import { laneOf } from "@posthaste/shared/domain/envelope.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";
import { firstMember } from "../delivery/pending-delivery.ts";

/** Items asked for at once. */
const TAKE_MAX = 256;

export interface SourceDeps {
  readonly dispatcher: Dispatcher;
  readonly outstanding: Outstanding;
  readonly persist: Persist;
  readonly settlements: Pick<Settlements, "ack">;
}

/** What becomes of a taken item, and how much room it takes meanwhile. */
export interface WindowedSource extends Source {
  /** The deliveries that the item still stands for: all of them after its fan-out, fewer as they end. */
  readonly weigh: (deliveries: number) => void;
}

/** An item leaves the window at once when settled, and stays outstanding until its ack or release is durable. */
function letGo<Item>(
  deps: SourceDeps,
  queue: { ack(items: readonly Item[]): Promise<void>; release(items: readonly Item[]): Promise<void> },
  window: Window,
  item: Item,
  bytes: number,
): WindowedSource {
  let weight = 1;
  const release = async () => {
    await deps.persist("release", () => queue.release([item]));
    deps.outstanding.leave();
  };
  deps.outstanding.enter();
  window.hold(bytes);
  return {
    weigh: (deliveries) => {
      const next = Math.max(1, deliveries);
      window.weigh(weight, next);
      weight = next;
    },
    done: () => {
      window.free(bytes, weight);
      deps.settlements.ack(queue, item, deps.outstanding.leave);
    },
    handBack: () => {
      window.free(bytes, weight);
      void release();
    },
  };
}

export function createLaneLoop(
  deps: SourceDeps & { lane: Lane; lanes: Lanes; window: Window; groups: BatchGroups | null; lowThrottle: LowThrottle },
): (signal: AbortSignal) => Promise<void> {
  const { lowThrottle, lane } = deps;
  return async (signal) => {
    while (!isAborted(signal)) {
      closeGroups(deps);
      const room = await deps.window.room(signal);
      if (room === 0) return;
      const most = Math.min(room, TAKE_MAX);
      const items = await deps.lanes.take(lane, lane === "low" ? await lowThrottle.turn(most, signal) : most, signal);
      if (lane === "high" && items.length > 0) lowThrottle.highTaken();
      if (lane === "low") lowThrottle.lowTaken(items.length);
      for (const item of items) {
        closeGroups(deps);
        const roomy = isStillRoomy(deps.window, signal);
        start(deps, item, roomy instanceof Promise ? await roomy : roomy);
      }
    }
  };
}

/** What waits for its group to fill must not keep others from being read. */
function closeGroups({ window, groups }: { window: Window; groups: BatchGroups | null }): void {
  while (window.isFull() && groups?.closeFullest() === true);
}

/** Items taken before may have become many deliveries; waits for room, and is false after a stop. */
function isStillRoomy(window: Window, signal: AbortSignal): boolean | Promise<boolean> {
  return window.isFull() ? window.room(signal).then((room) => room > 0) : true;
}

/** An item that found no room before a stop goes back. */
function start(deps: SourceDeps & { lanes: Lanes; window: Window }, item: LaneItem, isRoomy: boolean): void {
  const source = letGo(deps, deps.lanes, deps.window, item, item.envelope.body.length);
  if (!isRoomy) return source.handBack();
  deps.dispatcher.dispatch(item.envelope, { ...source, isRepeat: item.isRepeat, isDue: false });
}

export function createRetryLoop(
  deps: SourceDeps & {
    retryQueue: RetryQueue;
    window: Window;
    lookup: EndpointLookup;
    settle: Pick<Settle, "missed">;
  },
): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    while (!isAborted(signal)) {
      const room = await deps.window.room(signal);
      if (room === 0) return;
      const items = await deps.retryQueue.take(Math.min(room, TAKE_MAX), signal);
      for (const item of items) {
        const roomy = isStillRoomy(deps.window, signal);
        const isRoomy = roomy instanceof Promise ? await roomy : roomy;
        const bytes = item.members.reduce((sum, member) => sum + member.body.length, 0);
        const source = letGo(deps, deps.retryQueue, deps.window, item, bytes);
        if (!isRoomy) {
          source.handBack();
        } else if (item.endpointId === null) {
          const isRepeat = item.isRepeat || item.cause === "relieved";
          deps.dispatcher.dispatch(firstMember(item), { ...source, isRepeat, isDue: true });
        } else {
          void resume(deps, item, source);
        }
      }
    }
  };
}

/** Goes on with a delivery that is due. */
async function resume(deps: Parameters<typeof createRetryLoop>[0], item: RetryItem, source: Source): Promise<void> {
  const { endpointId, generation, attempt, deferrals: parks, members, group, cause } = item;
  assert(endpointId !== null, "only deliver-at items have no endpoint yet");
  const first = firstMember(item);
  const outgoing: PendingDelivery = {
    tenant: first.tenant,
    endpointId,
    lane: laneOf(first),
    generation,
    attempt,
    parks,
    members,
    group,
    done: source.done,
    handBack: source.handBack,
  };
  const found = deps.lookup.find(first.tenant, endpointId);
  const endpoint = found instanceof Promise ? await found.catch(() => undefined) : found;
  if (endpoint === undefined) outgoing.handBack();
  else if (endpoint === null) await deps.settle.missed(outgoing, "dead", "the endpoint was deleted");
  else deps.dispatcher.submit(outgoing, endpoint, item.isRepeat || cause === "replay");
}
