/**
 * Tenants that had to wait too long for a slot of the process. For a while whoever of them finds no slot is deferred at once:
 * what waits fills the window of its lane, and a thousand endpoints that hang would fill it again each second.
 */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { DeferReason } from "./entry.ts";
import type { Holder, Slots } from "./slots.ts";
import { Lru } from "@posthaste/shared/lib/lru.ts";

/** How long a tenant counts as short of slots after one of its deliveries waited too long for one. */
const SHORT_MS = 10_000;
/** Tenants remembered; one that is forgotten waits once more. */
const TENANTS_MAX = 10_000;

export interface Shortage {
  found(lane: Lane, tenant: string): void;
  isShort(lane: Lane, tenant: string): boolean;
}

export function createShortage(clock: Pick<Clock, "monotonic">): Shortage {
  const age = { ms: SHORT_MS, clock };
  const options = { countMax: TENANTS_MAX, age };
  const short: Record<Lane, Lru<string, true>> = {
    high: new Lru(options),
    medium: new Lru(options),
    low: new Lru(options),
  };
  return {
    found: (lane, tenant) => short[lane].set(tenant, true),
    isShort: (lane, tenant) => short[lane].peek(tenant) === true,
  };
}

interface SlotState {
  readonly shortage: Pick<Shortage, "isShort">;
  readonly slots: Pick<Slots, "isFree">;
}

/** Why one that finds no slot need not even wait for one; null when it may. */
export function shortageOf({ shortage, slots }: SlotState, lane: Lane, holder: Holder): DeferReason | null {
  return shortage.isShort(lane, holder.tenant) && !slots.isFree(lane, holder) ? "busy" : null;
}
