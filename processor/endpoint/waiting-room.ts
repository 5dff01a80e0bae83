/** Messages of one endpoint that wait for a slot, first in first out within a lane, HIGH before MEDIUM before LOW. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";

export interface Waiting {
  readonly outgoing: PendingDelivery;
  /** As it was when the message came; looked up again at launch. */
  readonly endpoint: Endpoint;
  readonly sinceMs: number;
}

export interface WaitingRoom {
  push(waiting: Waiting): void;
  peek(lane: Lane): Waiting | null;
  shift(lane: Lane): void;
  /** How many a newcomer of this lane would stand behind. */
  ahead(lane: Lane): number;
  count(): number;
  /** Since when the one waiting longest waits; null when empty. */
  oldestSinceMs(): number | null;
  /** Takes out all that wait since before `sinceMs`, exclusive; all of them for Infinity. */
  takeOlder(sinceMs: number): readonly Waiting[];
}

/** A queue that moves its head instead of its items; compacted when half of it is behind the head. */
interface Fifo {
  items: Waiting[];
  head: number;
}

export function createWaitingRoom(): WaitingRoom {
  const queues: Record<Lane, Fifo> = {
    high: { items: [], head: 0 },
    medium: { items: [], head: 0 },
    low: { items: [], head: 0 },
  };
  const size = (lane: Lane) => queues[lane].items.length - queues[lane].head;
  const peek = (lane: Lane) => queues[lane].items[queues[lane].head] ?? null;
  const shift = (lane: Lane) => {
    const queue = queues[lane];
    queue.head += 1;
    if (queue.head >= queue.items.length) {
      queue.items = [];
      queue.head = 0;
    } else if (queue.head >= 64 && queue.head * 2 >= queue.items.length) {
      queue.items = queue.items.slice(queue.head);
      queue.head = 0;
    }
  };

  return {
    peek,
    shift,
    push: (waiting) => {
      queues[waiting.outgoing.lane].items.push(waiting);
    },
    ahead: (lane) => LANES.slice(0, LANES.indexOf(lane) + 1).reduce((sum, each) => sum + size(each), 0),
    count: () => LANES.reduce((sum, lane) => sum + size(lane), 0),
    oldestSinceMs: () => {
      let oldest = Infinity;
      for (const lane of LANES) oldest = Math.min(oldest, peek(lane)?.sinceMs ?? Infinity);
      return oldest === Infinity ? null : oldest;
    },
    takeOlder(sinceMs) {
      const taken: Waiting[] = [];
      for (const lane of LANES) {
        for (let next = peek(lane); next !== null && next.sinceMs < sinceMs; next = peek(lane)) {
          taken.push(next);
          shift(lane);
        }
      }
      return taken;
    },
  };
}
