/**
 * Gates that could launch but for a free slot of the lane, by tenant, served in turn. An endpoint that may not have a
 * slot yet goes to the end of its tenant's row, and the tenant to the end of the tenants: it keeps nobody else waiting.
 */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Gate } from "./limiter-state.ts";
import type { Slots } from "./slots.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";

export interface FairSlots {
  add(lane: Lane, gate: Gate): void;
  /** Gives free slots to those who wait; `pump` launches what may go, and may add the gate again. */
  feed(pump: (gate: Gate) => void): void;
}

/**
 * Refusals per lane, and per tenant of them, before a feed ends. Who was not looked at waits for the next end of an
 * attempt: a gate with nothing in flight is refused only while its tenant, or all together, have something in flight.
 */
const REFUSALS_MAX = 64;
const TENANT_REFUSALS_MAX = 4;

export function createFairSlots(slots: Pick<Slots, "isOpen" | "isFree">): FairSlots {
  const rows: Record<Lane, Map<string, Set<Gate>>> = { high: new Map(), medium: new Map(), low: new Map() };

  /** How many gates of the tenant were refused. */
  const feedTenant = (lane: Lane, gates: Set<Gate>, pump: (gate: Gate) => void): number => {
    let refusals = 0;
    let left = gates.size;
    for (const gate of gates) {
      if (left === 0 || refusals >= TENANT_REFUSALS_MAX || !slots.isOpen(lane)) break;
      left -= 1;
      gates.delete(gate);
      if (slots.isFree(lane, gate)) {
        pump(gate);
      } else {
        gates.add(gate);
        refusals += 1;
      }
    }
    return refusals;
  };

  return {
    add(lane, gate) {
      const gates = rows[lane].get(gate.tenant);
      if (gates === undefined) rows[lane].set(gate.tenant, new Set([gate]));
      else gates.add(gate);
    },
    feed(pump) {
      for (const lane of LANES) {
        const tenants = rows[lane];
        let refusals = 0;
        let left = tenants.size;
        for (const [tenant, gates] of tenants) {
          if (left === 0 || refusals >= REFUSALS_MAX || !slots.isOpen(lane)) break;
          left -= 1;
          refusals += feedTenant(lane, gates, pump);
          tenants.delete(tenant);
          if (gates.size > 0) tenants.set(tenant, gates);
        }
      }
    },
  };
}
