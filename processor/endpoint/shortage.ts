/**
 * Tenants that had to wait too long for a slot of the process. For a while whoever of them finds no slot is deferred at once:
 * what waits fills the window of its lane, and a thousand endpoints that hang would fill it again each second. Who was put
 * off is called when one of the tenant's slots is given back, one for each, endpoints in turn. The times planned are for when none is
 * given back, and at a rate that costs little: whoever comes sooner finds no slot either, and is read and written again for that.
 */
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { DeferReason } from "./entry.ts";
import type { Holder, Slots } from "./slots.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { Lru } from "@posthaste/shared/lib/lru.ts";

/** How long a tenant counts as short of slots after one of its deliveries waited too long for one. */
const SHORT_MS = 10_000;
/** Tenants remembered; one that is forgotten waits once more. */
const TENANTS_MAX = 10_000;
/** Between two of a tenant and lane that come back by themselves. */
const SPACING_MS = 10;
/** They are spread over no more than this; who comes later shares the last place. */
const HORIZON_MS = 30 * 60 * 1000;
/** Endpoints of a tenant and lane that are remembered as having some put off; those of one that is forgotten come back by themselves. */
const WAITERS_MAX = 10_000;
/** Endpoints that are asked for one of theirs, for each slot that is given back. */
const ASKED_MAX = 4;

/** An endpoint some of whose deliveries were put off. */
export interface PutOff extends Holder {
  /** Calls one of its deferred deliveries back; false when none may come now. */
  callOne(): boolean;
  hasDeferred(): boolean;
}

export interface Shortage<Waiter extends PutOff> {
  found(lane: Lane, tenant: string): void;
  isShort(lane: Lane, tenant: string): boolean;
  /** One found no slot and is deferred: when it comes back by itself, not before `earliestMs`. */
  putOff(lane: Lane, waiter: Waiter, earliestMs: number): number;
  /** A slot of the tenant was given back. */
  givenBack(tenant: string): void;
}

interface Line<Waiter> {
  shortUntilMs: number;
  /** The last time planned. */
  lastMs: number;
  /** Whose turn it is, first. */
  readonly waiters: Set<Waiter>;
}

export function createShortage<Waiter extends PutOff>(
  clock: Pick<Clock, "monotonic">,
  slots: Pick<Slots, "isFree">,
): Shortage<Waiter> {
  const newLines = () => new Lru<string, Line<Waiter>>({ countMax: TENANTS_MAX });
  const lines: Record<Lane, ReturnType<typeof newLines>> = { high: newLines(), medium: newLines(), low: newLines() };

  function lineOf(lane: Lane, tenant: string): Line<Waiter> {
    const line = lines[lane].get(tenant) ?? { shortUntilMs: -Infinity, lastMs: 0, waiters: new Set() };
    lines[lane].set(tenant, line);
    return line;
  }

  /** Of those for whom a slot is free, the first that has one to call. */
  function callFirst(lane: Lane, waiters: Set<Waiter>): boolean {
    let asked = 0;
    for (const waiter of waiters) {
      if (asked === ASKED_MAX) return false;
      asked += 1;
      waiters.delete(waiter);
      if (!waiter.hasDeferred()) continue;
      waiters.add(waiter);
      if (slots.isFree(lane, waiter) && waiter.callOne()) return true;
    }
    return false;
  }

  return {
    found(lane, tenant) {
      lineOf(lane, tenant).shortUntilMs = clock.monotonic() + SHORT_MS;
    },
    isShort: (lane, tenant) => clock.monotonic() < (lines[lane].peek(tenant)?.shortUntilMs ?? -Infinity),
    putOff(lane, waiter, earliestMs) {
      const line = lineOf(lane, waiter.tenant);
      const [oldest] = line.waiters;
      if (line.waiters.size >= WAITERS_MAX && oldest !== undefined) line.waiters.delete(oldest);
      line.waiters.add(waiter);
      line.lastMs = Math.min(Math.max(earliestMs, line.lastMs + SPACING_MS), earliestMs + HORIZON_MS);
      return line.lastMs;
    },
    givenBack(tenant) {
      LANES.some((lane) => {
        const waiters = lines[lane].peek(tenant)?.waiters;
        return waiters !== undefined && callFirst(lane, waiters);
      });
    },
  };
}

interface SlotState {
  readonly shortage: Pick<Shortage<never>, "isShort">;
  readonly slots: Pick<Slots, "isFree">;
}

/** Why one that finds no slot need not even wait for one; null when it may. */
export function shortageOf({ shortage, slots }: SlotState, lane: Lane, holder: Holder): DeferReason | null {
  return shortage.isShort(lane, holder.tenant) && !slots.isFree(lane, holder) ? "busy" : null;
}
