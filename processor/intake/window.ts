/**
 * How much of a queue may be unsettled in this process at once, in deliveries and bytes: an item counts one, and after
 * its fan-out as many as there are deliveries of it left. The waiter waits here; that wait is
 * the back-pressure that leaves overflow in the queue.
 *
 * A lane's window is shared as the slots of attempts are (`endpoint/slots.ts`): a flow is let in only while as much is free
 * as it holds itself and an eighth of what its tenant holds. One flow alone gets eight seventeenths of the window, a
 * tenant with many flows eight ninths, and who holds nothing gets in at once, however many events of others wait. An item that is
 * not let in yet counts as much as the last of its flow became: taken and then without room it would go back as a repeat.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { flowOf } from "@posthaste/shared/domain/flow.ts";
import type { Admits } from "@posthaste/shared/lib/flow-rows.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";
import { Lru } from "@posthaste/shared/lib/lru.ts";
import { onAbort } from "@posthaste/shared/lib/on-abort.ts";

/**
 * What is settled gives its place away before its ack is durable, up to so many; from there on it keeps it until then. Where
 * no store takes acks, that is what a process that dies has delivered in vain, beside what was under way.
 */
export const UNACKED_MAX = 2048;

export interface WindowBounds {
  readonly itemsMax: number;
  readonly bytesMax: number;
  /** So much of a tenant needs one more to be free. */
  readonly perFree: number;
}

/** Whose an item is, and how many bytes it has. */
export interface Holder {
  readonly tenant: string;
  readonly flow: number;
  readonly bytes: number;
}

/** The first of the members stands for all: those of a group are of one tenant. */
export function holderOf(members: readonly Envelope[]): Holder {
  const [first] = members;
  const bytes = members.reduce((sum, { body }) => sum + body.length, 0);
  return { tenant: first?.tenant ?? "", flow: flowOf(first?.type ?? ""), bytes };
}

/** What an item holds until it is freed. */
export interface Place {
  /** The item weighs so much from now on, at least 1; it weighed 1. */
  weigh(weight: number): void;
  free(): void;
  /** Instead of `free`, when it is settled. What is returned is to be called once its ack is durable. */
  settled(): () => void;
}

export interface Window {
  /** Waits for room; resolves with how many items may be taken now, 0 only when aborted. */
  room(signal: AbortSignal): Promise<number>;
  /** Whom one take may give items of, counting those that it has let pass. */
  admission(): Admits;
  /** Is there room for one more of this tenant and flow? */
  isOpen(holder: Pick<Holder, "tenant" | "flow">): boolean;
  hold(holder: Holder): Place;
  /** The last item of this flow became several deliveries, as far as that is remembered. */
  isWide(tenant: string, flow: number): boolean;
  /** What all items held weigh. */
  count(): number;
  isFull(): boolean;
  /** So much is held that somebody may be refused. */
  isCrowded(): boolean;
}

/** Below it nobody is refused: a flow that holds this much still finds that much and an eighth free. */
const CROWDED = 0.45;

/** Flows of which it is kept that their items become many deliveries; one that is forgotten counts 1 again. */
const WIDE_FLOWS_MAX = 10_000;

interface Share {
  weight: number;
  bytes: number;
}

interface TenantShare extends Share {
  readonly flows: Map<number, Share>;
}

/**
 * Past its bytes the window still lets one item in when it is empty, so that no item is too large for ever. `roomier` is
 * called when somebody was refused and less is held now.
 */
export function createWindow(bounds: WindowBounds, roomier: () => void): Window {
  const { itemsMax, bytesMax, perFree } = bounds;
  const all: Share = { weight: 0, bytes: 0 };
  /** Of those who hold something. */
  const tenants = new Map<string, TenantShare>();
  /** What the last item of a flow weighed after its fan-out, where that was more than 1. */
  const widths = new Lru<string, number>({ countMax: WIDE_FLOWS_MAX });
  let unacked = 0;
  let wake: (() => void) | null = null;
  let hasRefused = false;

  const room = () => (all.bytes >= bytesMax && all.weight > 0 ? 0 : Math.max(0, itemsMax - all.weight));

  function isFree(
    tenant: string,
    flow: number | null,
    more: number,
    moreOfTenant: number,
    moreOfFlow: number,
  ): boolean {
    if (all.weight + more === 0) return true;
    const ofTenant = tenants.get(tenant);
    const own = flow === null ? undefined : ofTenant?.flows.get(flow);
    const weightNeeded = (own?.weight ?? 0) + moreOfFlow + ((ofTenant?.weight ?? 0) + moreOfTenant) / perFree;
    const bytesNeeded = (own?.bytes ?? 0) + (ofTenant?.bytes ?? 0) / perFree;
    const isIn =
      itemsMax - all.weight - more >= Math.max(1, weightNeeded) && bytesMax - all.bytes >= Math.max(1, bytesNeeded);
    hasRefused ||= !isIn;
    return isIn;
  }

  function lessHeld(): void {
    if (wake !== null && room() > 0) {
      const waiter = wake;
      wake = null;
      waiter();
    }
    if (!hasRefused) return;
    hasRefused = false;
    roomier();
  }

  return {
    async room(signal) {
      while (room() === 0 && !isAborted(signal)) {
        await new Promise<void>((resolve) => {
          const cancel = onAbort(signal, resolve);
          wake = () => {
            cancel();
            resolve();
          };
        });
      }
      return isAborted(signal) ? 0 : room();
    },
    admission: () => admissionOf(isFree, (tenant, flow) => widths.get(keyOf(tenant, flow)) ?? 1),
    isOpen: ({ tenant, flow }) => isFree(tenant, flow, 0, 0, 0),
    hold({ tenant, flow, bytes }) {
      let ofTenant = tenants.get(tenant);
      if (ofTenant === undefined) tenants.set(tenant, (ofTenant = { weight: 0, bytes: 0, flows: new Map() }));
      let own = ofTenant.flows.get(flow);
      if (own === undefined) ofTenant.flows.set(flow, (own = { weight: 0, bytes: 0 }));
      const [shareOfTenant, share] = [ofTenant, own];
      const add = (weight: number, size: number): void => {
        for (const each of [all, shareOfTenant, share]) {
          each.weight += weight;
          each.bytes += size;
        }
      };
      let weight = 1;
      add(1, bytes);
      const noteWidth = (width: number): void => {
        if (width > 1) widths.set(keyOf(tenant, flow), width);
        else if (widths.size > 0) widths.delete(keyOf(tenant, flow));
      };
      const free = (): void => {
        add(-weight, -bytes);
        if (share.weight === 0) shareOfTenant.flows.delete(flow);
        if (shareOfTenant.weight === 0) tenants.delete(tenant);
        lessHeld();
      };
      return {
        weigh(now) {
          add(now - weight, 0);
          if (weight === 1 || now > weight) noteWidth(now);
          const isLess = now < weight;
          weight = now;
          if (isLess) lessHeld();
        },
        free,
        settled() {
          const isKept = unacked >= UNACKED_MAX;
          unacked += 1;
          if (!isKept) free();
          return () => {
            unacked -= 1;
            if (isKept) free();
          };
        },
      };
    },
    isWide: (tenant, flow) => widths.peek(keyOf(tenant, flow)) !== undefined,
    count: () => all.weight,
    isFull: () => room() === 0,
    isCrowded: () => all.weight >= itemsMax * CROWDED || all.bytes >= bytesMax * CROWDED,
  };
}

type IsFree = (tenant: string, flow: number | null, more: number, moreOfTenant: number, moreOfFlow: number) => boolean;

/** What it has let pass is held only later, when the take has ended. */
function admissionOf(isFree: IsFree, widthOf: (tenant: string, flow: number) => number): Admits {
  let passed = 0;
  const byTenant = new Map<string, number>();
  const byFlow = new Map<string, number>();
  const admits = (tenant: string, flow: number | null): boolean => {
    const key = keyOf(tenant, flow);
    const ofTenant = byTenant.get(tenant) ?? 0;
    const ofFlow = flow === null ? 0 : (byFlow.get(key) ?? 0);
    if (!isFree(tenant, flow, passed, ofTenant, ofFlow)) return false;
    if (flow === null) return true;
    const width = widthOf(tenant, flow);
    passed += width;
    byTenant.set(tenant, ofTenant + width);
    byFlow.set(key, ofFlow + width);
    return true;
  };
  return Object.assign(admits, { anew: () => admissionOf(isFree, widthOf) });
}

function keyOf(tenant: string, flow: number | null): string {
  return `${tenant}\n${String(flow)}`;
}
