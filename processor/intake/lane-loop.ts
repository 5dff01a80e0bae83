/** The loop that reads one lane. It takes only what its window has room for. */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { LaneItem, Lanes } from "@posthaste/shared/ports/lanes.ts";
import type { DeliverEvent } from "../delivery/deliver-event.ts";
import type { Ending } from "../delivery/pending-delivery.ts";
import type { PutAside } from "../delivery/put-aside.ts";
import type { BatchGroups } from "./batch-groups.ts";
import type { LowThrottle } from "./low-throttle.ts";
import type { QueueItemDeps, Weigh } from "./queue-items.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";
import { requireStopping, runItem } from "./queue-items.ts";
import { holderOf } from "./window.ts";

export interface LaneLoopDeps extends QueueItemDeps {
  readonly lane: Lane;
  readonly lanes: Lanes;
  /** Those of LOW; null in the other lanes. */
  readonly groups: Pick<BatchGroups, "closeFullest"> | null;
  readonly lowThrottle: LowThrottle;
  readonly deliverEvent: DeliverEvent;
  readonly putAside: Pick<PutAside, "event">;
}

/** What a lane hands out was neither put aside nor looked at for its time. */
const FROM_LANE = { isDue: false, putAside: 0 } as const;

export function createLaneLoop(deps: LaneLoopDeps): (signal: AbortSignal) => Promise<void> {
  const { lane, lanes, lowThrottle, deliverEvent, putAside, window, hands } = deps;
  return async (signal) => {
    while (!isAborted(signal)) {
      closeGroups(deps);
      const room = await window.room(signal);
      if (room === 0) return;
      const most = Math.min(room, hands.max());
      const wanted = lane === "low" ? await lowThrottle.turn(most, signal) : most;
      const admits = lane === "low" ? lowThrottle.admission(window.admission()) : window.admission();
      const items = await lanes.take(lane, wanted, signal, admits);
      if (items.length === 0) return requireStopping(signal);
      if (lane === "high") lowThrottle.highTaken(items.length);
      if (lane === "low")
        lowThrottle.lowTaken(items.length, items.filter(({ isSurplus }) => isSurplus === true).length);
      for (const item of items) {
        const { envelope, isRepeat } = item;
        const holder = holderOf([envelope]);
        const run = (weigh: Weigh): Promise<Ending> => {
          const handed = { isRepeat, isCopy: false, ...FROM_LANE, weigh };
          return deliverEvent(envelope, handed);
        };
        const ended = runItem(deps, lanes, item, holder, {
          run: window.isOpen(holder) ? run : () => withoutRoom(deps, item),
          putAside: () => putAside.event(envelope, FROM_LANE, "failed"),
        });
        if (lane === "high") void ended.finally(lowThrottle.highEnded);
      }
      await hands.taken(items.length);
    }
  };
}

/**
 * Items taken before may have become many deliveries: what has no room now stays in the lane. What the lane cannot keep
 * waits in the retry queue, so that those behind it are seen.
 */
async function withoutRoom({ putAside }: LaneLoopDeps, { envelope, isSurplus }: LaneItem): Promise<Ending> {
  return isSurplus === true ? putAside.event(envelope, FROM_LANE, "crowded") : "released";
}

/** What waits for its group to fill must not keep others from being read. */
function closeGroups({ window, groups }: LaneLoopDeps): void {
  while (window.isCrowded() && groups?.closeFullest() === true);
}
