/**
 * One lane from several sources, by tenant and flow in turn. Each source has at most one take under way. What it brings
 * that is not admitted is kept, leased by us, up to `KEPT_MAX`, and does not keep others from being asked for. A tenant of
 * which more is kept than there is room left is left out by its source, where that can be.
 */
import { PosthasteError } from "../../domain/errors.ts";
import { flowOf } from "../../domain/flow.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { Admits } from "../../lib/flow-rows.ts";
import { FifoRow, FlowRows, admitsAll } from "../../lib/flow-rows.ts";
import { isAborted } from "../../lib/lifecycle.ts";
import { onAbort } from "../../lib/on-abort.ts";
import { createOutflow } from "../../lib/outflow.ts";
import type { LaneItem } from "../../ports/lanes.ts";

/** Items that wait here to be admitted, and up to one take of each source more; from there on they are surplus. */
export const KEPT_MAX = 2048;
/** Items of one take. */
const SURPLUS_MAX = 64;

export interface LaneSource {
  take(max: number, signal: AbortSignal, admits: Admits): Promise<readonly LaneItem[]>;
  /** From now on nothing of these tenants is wanted, and all of others. Null when the source brings what it has. */
  readonly leaveOut: ((tenants: readonly string[]) => void) | null;
}

export interface MergedLane {
  take(max: number, signal: AbortSignal, admits: Admits): Promise<readonly LaneItem[]>;
  lookAgain(): void;
}

export function createMergedLane(
  clock: Pick<Clock, "monotonic">,
  sources: readonly LaneSource[],
  giveBack: (items: readonly LaneItem[]) => void,
): MergedLane {
  const outflow = createOutflow(clock);
  const kept = createKept();
  const underWay = new Set<LaneSource>();
  let failure: { readonly error: unknown } | null = null;
  let waiting: (() => void)[] = [];
  let leftOut: readonly string[] = [];

  function wake(): void {
    const woken = waiting;
    waiting = [];
    for (const each of woken) each();
  }

  function leaveOutHeavy(): void {
    const tenants = kept.heavyTenants();
    if (tenants.length === leftOut.length && tenants.every((tenant) => leftOut.includes(tenant))) return;
    leftOut = tenants;
    for (const source of sources) source.leaveOut?.(tenants);
  }

  async function ask(source: LaneSource, max: number, signal: AbortSignal, admits: Admits): Promise<void> {
    underWay.add(source);
    try {
      // It may wait for far longer than the take that asks, and what it brings is admitted once more.
      const items = await source.take(max, signal, admits.anew?.() ?? admits);
      if (isAborted(signal)) giveBack(items);
      else if (items.length === 0) failure = { error: closed() };
      else items.forEach(kept.add);
      leaveOutHeavy();
    } catch (error) {
      failure = { error };
    } finally {
      underWay.delete(source);
      wake();
    }
  }

  async function take(max: number, signal: AbortSignal, admits: Admits): Promise<readonly LaneItem[]> {
    while (!isAborted(signal)) {
      const items = kept.take(max, admits);
      outflow.handedOut(items.length);
      if (items.length > 0) return items;
      if (failure !== null) {
        const { error } = failure;
        failure = null;
        throw error;
      }
      const isFull = kept.count() >= KEPT_MAX;
      const isSurplus = (isFull || leftOut.length > 0) && outflow.isSlow();
      const woken = isSurplus ? null : new Promise<void>((resolve) => waiting.push(resolve));
      for (const source of sources) {
        if (!underWay.has(source) && !isFull) void ask(source, max, signal, admits);
      }
      if (woken === null) return kept.takeSurplus(Math.min(max, SURPLUS_MAX));
      await woken;
    }
    const left = kept.take(Infinity, admitsAll);
    if (left.length > 0) giveBack(left);
    return [];
  }

  return {
    async take(max, signal, admits) {
      const cancel = onAbort(signal, wake);
      try {
        return await take(max, signal, admits);
      } finally {
        cancel();
        leaveOutHeavy();
      }
    },
    lookAgain: wake,
  };
}

function createKept() {
  const rows = new FlowRows<LaneItem, FifoRow<LaneItem>>();
  const countOf = new Map<string, number>();
  let count = 0;
  function less(items: readonly LaneItem[]): void {
    count -= items.length;
    for (const { envelope } of items) {
      const left = (countOf.get(envelope.tenant) ?? 0) - 1;
      if (left > 0) countOf.set(envelope.tenant, left);
      else countOf.delete(envelope.tenant);
    }
  }
  return {
    count: () => count,
    /** Of which more is kept than may come besides. */
    heavyTenants(): readonly string[] {
      if (2 * count <= KEPT_MAX) return [];
      return [...countOf].filter(([, own]) => own > KEPT_MAX - count).map(([tenant]) => tenant);
    },
    add(item: LaneItem): void {
      const { tenant, type } = item.envelope;
      const flow = flowOf(type);
      let row = rows.find(tenant, flow);
      if (row === undefined) {
        row = new FifoRow();
        rows.add(tenant, flow, row);
      }
      row.push(item);
      count += 1;
      countOf.set(tenant, (countOf.get(tenant) ?? 0) + 1);
    },
    takeSurplus(max: number): readonly LaneItem[] {
      const taken: LaneItem[] = [];
      rows.moveSurplusTo(taken, max);
      less(taken);
      return taken.map((item) => ({ ...item, isSurplus: true }));
    },
    take(max: number, admits: Admits): readonly LaneItem[] {
      const taken: LaneItem[] = [];
      rows.moveTo(taken, max, admits);
      less(taken);
      return taken;
    },
  };
}

/** To ask again at once what gives nothing would starve everything else. */
function closed(): PosthasteError {
  return new PosthasteError("store-unavailable", "A source of the lane gave nothing: it is closed.");
}
