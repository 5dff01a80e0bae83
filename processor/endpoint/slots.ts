/**
 * The attempts that may be in flight at once in this process. By lane: LOW has its part, MEDIUM and LOW together theirs,
 * HIGH the whole, so that HIGH always finds a slot that a slow backlog cannot hold. By tenant and endpoint: who holds
 * much already needs much to be free (dynamic thresholds: Choudhury and Hahne, IEEE/ACM Trans. Networking 6(2), 1998).
 * So one tenant whose endpoints hang leaves slots to the others, and nobody has to know how many tenants there are. What a
 * tenant holds counts for more the longer an endpoint is likely to keep a slot: however many of them hang, those that answer
 * find slots, which they give back at once. Alone a tenant gets about nine of ten slots, and its endpoints that fail half of all.
 */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";

/** Attempts in flight, by lane. */
export type HeldSlots = Record<Lane, number>;

/** How soon an endpoint gives a slot back: it answers within a second; its last attempt failed, or its first has no end yet; neither is so. */
export type Standing = "quick" | "failing" | "unknown";

/** Who asks for a slot: an endpoint of a tenant. `held` is kept by `take` and `free`. */
export interface Holder {
  readonly tenant: string;
  readonly held: HeldSlots;
  /** As of now. */
  standing(): Standing;
}

export interface Slots {
  /** Is there a slot of the lane for anybody? */
  isOpen(lane: Lane): boolean;
  /** Is there one for this endpoint, beside what it and its tenant hold? */
  isFree(lane: Lane, holder: Holder): boolean;
  take(lane: Lane, holder: Holder): void;
  free(lane: Lane, holder: Holder): void;
  count(): number;
  /** Of all endpoints, by lane. */
  taken(): Readonly<HeldSlots>;
}

export interface SlotBounds {
  readonly all: number;
  readonly mediumAndLow: number;
  readonly low: number;
  /** So many slots of a tenant need one more to be free. */
  readonly tenantPerFree: number;
}

export function noneHeld(): HeldSlots {
  return { high: 0, medium: 0, low: 0 };
}

/** What the endpoint itself holds counts double: each that begins to hang takes at most a third of what is left. */
const OWN_WEIGHT = 2;

/**
 * So much counts what its tenant holds. Those that fail get half of all at most, so that those that were never tried find slots; what
 * both leave is for those that answer.
 */
const TENANT_WEIGHT: Readonly<Record<Standing, number>> = { quick: 0.75, unknown: 1, failing: 8 };

/** What counts against each bound that a lane is under. */
const scopes = {
  all: (held: HeldSlots) => held.high + held.medium + held.low,
  mediumAndLow: (held: HeldSlots) => held.medium + held.low,
  low: (held: HeldSlots) => held.low,
} as const;
const scopesOf = {
  high: ["all"],
  medium: ["all", "mediumAndLow"],
  low: ["all", "mediumAndLow", "low"],
} as const satisfies Record<Lane, readonly (keyof typeof scopes)[]>;

export function createSlots(bounds: SlotBounds): Slots {
  const taken = noneHeld();
  /** Tenants that hold a slot, so at most as many as there are slots. */
  const tenants = new Map<string, HeldSlots>();
  const nothing = noneHeld();
  return {
    isOpen: (lane) => scopesOf[lane].every((scope) => scopes[scope](taken) < bounds[scope]),
    isFree(lane, holder) {
      const ofTenant = tenants.get(holder.tenant) ?? nothing;
      const weight = TENANT_WEIGHT[holder.standing()] / bounds.tenantPerFree;
      for (const scope of scopesOf[lane]) {
        const count = scopes[scope];
        const free = bounds[scope] - count(taken);
        const needed = OWN_WEIGHT * count(holder.held) + Math.floor(weight * count(ofTenant));
        if (free < Math.max(1, needed)) return false;
      }
      return true;
    },
    take(lane, { tenant, held }) {
      let ofTenant = tenants.get(tenant);
      if (ofTenant === undefined) {
        ofTenant = noneHeld();
        tenants.set(tenant, ofTenant);
      }
      for (const each of [taken, ofTenant, held]) each[lane] += 1;
    },
    free(lane, { tenant, held }) {
      taken[lane] -= 1;
      held[lane] -= 1;
      const ofTenant = tenants.get(tenant);
      if (ofTenant === undefined) return;
      ofTenant[lane] -= 1;
      if (scopes.all(ofTenant) === 0) tenants.delete(tenant);
    },
    count: () => scopes.all(taken),
    taken: () => ({ ...taken }),
  };
}

/**
 * The fair slot scheduler: endpoints that could attempt but for a free slot of the lane, by tenant, served in turn. One
 * that may not have a slot yet goes to the end of its tenant's row, and the tenant to the end of the tenants: it keeps
 * nobody else waiting.
 */
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
