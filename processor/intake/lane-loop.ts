/** The loop that reads one lane. It takes only what its window has room for. */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Lanes } from "@posthaste/shared/ports/lanes.ts";
import type { DeliverEvent } from "../delivery/deliver-event.ts";
import type { PutAside } from "../delivery/put-aside.ts";
import type { BatchGroups } from "./batch-groups.ts";
import type { LowThrottle } from "./low-throttle.ts";
import type { QueueItemDeps } from "./queue-items.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";
import { requireStopping, runItem } from "./queue-items.ts";
import { TAKE_MAX } from "./window.ts";

export interface LaneLoopDeps extends QueueItemDeps {
  readonly lane: Lane;
  readonly lanes: Lanes;
  /** Those of LOW; null in the other lanes. */
  readonly groups: Pick<BatchGroups, "closeFullest"> | null;
  readonly lowThrottle: LowThrottle;
  readonly deliverEvent: DeliverEvent;
  readonly putAside: Pick<PutAside, "event">;
}

export function createLaneLoop(deps: LaneLoopDeps): (signal: AbortSignal) => Promise<void> {
  const { lane, lanes, lowThrottle, deliverEvent, putAside, window } = deps;
  return async (signal) => {
    while (!isAborted(signal)) {
      closeGroups(deps);
      const room = await window.room(signal);
      if (room === 0) return;
      const most = Math.min(room, TAKE_MAX);
      const items = await lanes.take(lane, lane === "low" ? await lowThrottle.turn(most, signal) : most, signal);
      if (items.length === 0) return requireStopping(signal);
      if (lane === "high") lowThrottle.highTaken(items.length);
      if (lane === "low") lowThrottle.lowTaken(items.length);
      for (const item of items) {
        closeGroups(deps);
        // Items taken before may have become many deliveries. One that found no room before a stop goes back.
        const isRoomy = !window.isFull() || (await window.room(signal)) > 0;
        const { envelope, isRepeat } = item;
        const ended = runItem(deps, lanes, item, envelope.body.length, {
          run: async (weigh) =>
            isRoomy
              ? deliverEvent(envelope, { isRepeat, isCopy: false, isDue: false, putAside: 0, weigh })
              : "released",
          putAside: () => putAside.event(envelope, 0, "failed"),
        });
        if (lane === "high") void ended.finally(lowThrottle.highEnded);
      }
    }
  };
}

/** What waits for its group to fill must not keep others from being read. */
function closeGroups({ window, groups }: LaneLoopDeps): void {
  while (window.isFull() && groups?.closeFullest() === true);
}
