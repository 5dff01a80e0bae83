/**
 * The fair slot scheduler: endpoints that could attempt but for a free slot of the lane, by tenant, served in turn. One
 * that may not have a slot yet goes to the end of its tenant's row, and the tenant to the end of the tenants: it keeps
 * nobody else waiting.
 */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Holder, Slots } from "./slots.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";

export interface FairSlots<Waiter extends Holder> {
  add(lane: Lane, waiter: Waiter): void;
  /** Gives free slots to those who wait; `pump` lets go what may go, and may add the waiter again. */
  serve(pump: (waiter: Waiter) => void): void;
}

/**
 * Refusals per lane, and per tenant of them, before a round ends. Who was not looked at waits for the next end of an
 * attempt: a waiter with nothing in flight is refused only while its tenant, or all together, have something in flight.
 */
const REFUSALS_MAX = 64;
const TENANT_REFUSALS_MAX = 4;

export function createFairSlots<Waiter extends Holder>(slots: Pick<Slots, "isOpen" | "isFree">): FairSlots<Waiter> {
  const rows: Record<Lane, Map<string, Set<Waiter>>> = { high: new Map(), medium: new Map(), low: new Map() };

  /** How many waiters of the tenant were refused. */
  const serveTenant = (lane: Lane, waiters: Set<Waiter>, pump: (waiter: Waiter) => void): number => {
    let refusals = 0;
    let left = waiters.size;
    for (const waiter of waiters) {
      if (left === 0 || refusals >= TENANT_REFUSALS_MAX || !slots.isOpen(lane)) break;
      left -= 1;
      waiters.delete(waiter);
      if (slots.isFree(lane, waiter)) {
        pump(waiter);
      } else {
        waiters.add(waiter);
        refusals += 1;
      }
    }
    return refusals;
  };

  return {
    add(lane, waiter) {
      const waiters = rows[lane].get(waiter.tenant);
      if (waiters === undefined) rows[lane].set(waiter.tenant, new Set([waiter]));
      else waiters.add(waiter);
    },
    serve(pump) {
      for (const lane of LANES) {
        const tenants = rows[lane];
        let refusals = 0;
        let left = tenants.size;
        for (const [tenant, waiters] of tenants) {
          if (left === 0 || refusals >= REFUSALS_MAX || !slots.isOpen(lane)) break;
          left -= 1;
          refusals += serveTenant(lane, waiters, pump);
          tenants.delete(tenant);
          if (waiters.size > 0) tenants.set(tenant, waiters);
        }
      }
    },
  };
}
