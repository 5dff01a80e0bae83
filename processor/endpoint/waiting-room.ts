/** Deliveries of one endpoint that wait for a slot, first in first out within a lane, HIGH before MEDIUM before LOW. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { Entry } from "./entry.ts";
import type { LowWaiting } from "./low-waiting.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { Fifo } from "@posthaste/shared/lib/fifo.ts";

export interface Waiting {
  readonly delivery: PendingDelivery;
  /** As it was when the delivery came; looked up again when it may go. */
  readonly endpoint: Endpoint;
  readonly sinceMs: number;
  /** It is one of those that `LowWaiting` counts. */
  readonly isCounted: boolean;
  readonly resolve: (entry: Entry) => void;
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

export function createWaitingRoom(lowWaiting: Pick<LowWaiting, "came" | "went">): WaitingRoom {
  const queues: Record<Lane, Fifo<Waiting>> = { high: new Fifo(), medium: new Fifo(), low: new Fifo() };
  const peek = (lane: Lane): Waiting | null => queues[lane].peek() ?? null;
  const shift = (lane: Lane): void => {
    const waiting = queues[lane].shift();
    if (waiting?.isCounted === true) lowWaiting.went(waiting.delivery);
  };

  return {
    peek,
    shift,
    push: (waiting) => {
      const { lane } = waiting.delivery;
      queues[lane].push(waiting);
      if (waiting.isCounted) lowWaiting.came(waiting.delivery);
    },
    ahead: (lane) => LANES.slice(0, LANES.indexOf(lane) + 1).reduce((sum, each) => sum + queues[each].length, 0),
    count: () => LANES.reduce((sum, lane) => sum + queues[lane].length, 0),
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
