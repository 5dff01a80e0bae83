/**
 * LOW deliveries that wait for nothing but those before them, at endpoints that answer, by tenant and flow. Taking more of
 * such a flow would only have them deferred, which costs their way through the retry queue besides. Who lets much wait keeps
 * nobody else's LOW in its lane: no tenant counts for another, a flow that has nothing waiting is always let in, and one that goes to
 * several endpoints counts nothing, as one of them may be quicker.
 */
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import { flowOf } from "@posthaste/shared/domain/flow.ts";

/** One flow alone gets half of it; with several, one more is let in while as many are free as its flow has waiting. */
export const TENANT_WAITING_MAX = 128;

export interface LowWaiting {
  /** May this delivery be counted? */
  isCounted(delivery: PendingDelivery): boolean;
  came(delivery: PendingDelivery): void;
  went(delivery: PendingDelivery): void;
  /** So many of this flow wait that no more should be taken; with null, of a flow that has nothing under way. */
  isEnough(tenant: string, flow: number | null): boolean;
}

interface TenantWaiting {
  count: number;
  readonly flows: Map<number, number>;
}

/** `isWide`: events of this flow go to several endpoints. `fewer` is called when `isEnough` has said yes and fewer wait now. */
export function createLowWaiting(isWide: (tenant: string, flow: number) => boolean, fewer: () => void): LowWaiting {
  /** Of those that have something waiting, so at most as many as the window of LOW and that of the retry queue let in. */
  const tenants = new Map<string, TenantWaiting>();
  let hasRefused = false;

  return {
    isCounted: (delivery) => delivery.lane === "low" && !isWide(delivery.tenant, flowOfDelivery(delivery)),
    came(delivery) {
      const { tenant } = delivery;
      let waiting = tenants.get(tenant);
      if (waiting === undefined) tenants.set(tenant, (waiting = { count: 0, flows: new Map() }));
      const flow = flowOfDelivery(delivery);
      waiting.count += 1;
      waiting.flows.set(flow, (waiting.flows.get(flow) ?? 0) + 1);
    },
    went(delivery) {
      const { tenant } = delivery;
      const waiting = tenants.get(tenant);
      if (waiting === undefined) return;
      const flow = flowOfDelivery(delivery);
      const left = (waiting.flows.get(flow) ?? 0) - 1;
      waiting.count -= 1;
      if (left > 0) waiting.flows.set(flow, left);
      else waiting.flows.delete(flow);
      if (waiting.count <= 0) tenants.delete(tenant);
      if (!hasRefused) return;
      hasRefused = false;
      fewer();
    },
    isEnough(tenant, flow) {
      const waiting = tenants.get(tenant);
      const own = flow === null ? 0 : (waiting?.flows.get(flow) ?? 0);
      const isEnough = own > 0 && TENANT_WAITING_MAX - (waiting?.count ?? 0) < own;
      hasRefused ||= isEnough;
      return isEnough;
    },
  };
}

/** The first of the members stands for all, as in the window. */
function flowOfDelivery({ members }: PendingDelivery): number {
  return flowOf(members[0]?.type ?? "");
}
