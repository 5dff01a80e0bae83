/**
 * The attempts that may be in flight at once in this process, by lane: LOW has its part, MEDIUM and LOW together
 * theirs, HIGH the whole, so that HIGH always finds a slot that a slow backlog cannot hold.
 */
import type { Lane } from "@posthaste/shared/domain/event.ts";

export interface Slots {
  isFree(lane: Lane): boolean;
  take(lane: Lane): void;
  free(lane: Lane): void;
  count(): number;
}

export function createSlots(bounds: { all: number; mediumAndLow: number; low: number }): Slots {
  const taken = { high: 0, medium: 0, low: 0 };
  const all = () => taken.high + taken.medium + taken.low;
  return {
    isFree(lane) {
      if (all() >= bounds.all) return false;
      if (lane === "high") return true;
      if (taken.medium + taken.low >= bounds.mediumAndLow) return false;
      return lane === "medium" || taken.low < bounds.low;
    },
    take(lane) {
      taken[lane] += 1;
    },
    free(lane) {
      taken[lane] -= 1;
    },
    count: all,
  };
}
