/**
 * What waits, in rows by tenant and, within a tenant, by flow. Tenants are served in turn, and the flows of a tenant in
 * turn, so that who has much waiting keeps nobody else waiting. A row that is empty is forgotten.
 */
import { Fifo } from "./fifo.ts";

/**
 * May one more of this flow be handed out? With null: of any flow of the tenant that has nothing under way. Asked right
 * before each; true means that one is taken if there is one.
 */
export interface Admits {
  (tenant: string, flow: number | null): boolean;
  /** For another row of the same takes: counts nothing that this one has let pass. Left out where nothing is counted. */
  readonly anew?: () => Admits;
  /** Who takes wants no more than so many a second: as long as they get these, nothing has to make room. Left out where they take all they get. */
  readonly enoughPerS?: number;
}

export function admitsAll(): boolean {
  return true;
}

export interface FlowRow<Item> {
  /** Undefined when it is empty. */
  next(): Item | undefined;
  isEmpty(): boolean;
  /** How many it has, about: those in memory. */
  size(): number;
}

export class FlowRows<Item, Row extends FlowRow<Item>> {
  /** The next to be served first. As many as have something waiting. */
  readonly #tenants = new Map<string, Map<number, Row>>();

  find(tenant: string, flow: number): Row | undefined {
    return this.#tenants.get(tenant)?.get(flow);
  }

  add(tenant: string, flow: number, row: Row): void {
    const rows = this.#tenants.get(tenant);
    if (rows === undefined) this.#tenants.set(tenant, new Map([[flow, row]]));
    else rows.set(flow, row);
  }

  /** At most `max` items into `taken`, of the flows of the tenant that has most waiting, and of those from the longer ones. */
  moveSurplusTo(taken: Item[], max: number): void {
    let most = 0;
    let heaviest: string | null = null;
    for (const [tenant, rows] of this.#tenants) {
      const sum = rows.values().reduce((count, row) => count + row.size(), 0);
      if (sum > most) [most, heaviest] = [sum, tenant];
    }
    const rows = [...(this.#tenants.get(heaviest ?? "") ?? [])];
    const longest = rows.reduce((size, [, row]) => Math.max(size, row.size()), 0);
    const long = new Set(rows.filter(([, row]) => 2 * row.size() >= longest).map(([flow]) => flow));
    this.moveTo(taken, max, (tenant, flow) => tenant === heaviest && (flow === null || long.has(flow)));
  }

  /** At most `max` items into `taken`, an equal share of each tenant, and within that of each of its flows; then more. */
  moveTo(taken: Item[], max: number, admits: Admits): void {
    let before = -1;
    while (taken.length < max && taken.length > before) {
      before = taken.length;
      const share = Math.ceil((max - taken.length) / Math.max(1, this.#tenants.size));
      let left = this.#tenants.size;
      for (const [tenant, rows] of this.#tenants) {
        if (left === 0 || taken.length >= max) break;
        left -= 1;
        // To the end of the line, also when it is refused: it must not be the first that is asked for ever.
        this.#tenants.delete(tenant);
        this.#tenants.set(tenant, rows);
        if (admits(tenant, null)) serve(tenant, rows, Math.min(max, taken.length + share), taken, admits);
        if (rows.size === 0) this.#tenants.delete(tenant);
      }
    }
  }
}

/** A row that keeps its items in memory. It has no bound of its own. */
export class FifoRow<Item extends object> implements FlowRow<Item> {
  readonly #items = new Fifo<Item>();

  push(item: Item): void {
    this.#items.push(item);
  }

  next(): Item | undefined {
    return this.#items.shift();
  }

  isEmpty(): boolean {
    return this.#items.length === 0;
  }

  size(): number {
    return this.#items.length;
  }
}

/** One round over the flows of a tenant. */
function serve<Item>(
  tenant: string,
  rows: Map<number, FlowRow<Item>>,
  most: number,
  taken: Item[],
  admits: Admits,
): void {
  const share = Math.ceil((most - taken.length) / rows.size);
  let left = rows.size;
  for (const [flow, row] of rows) {
    if (left === 0 || taken.length >= most) return;
    left -= 1;
    rows.delete(flow);
    try {
      for (let count = 0; count < share && taken.length < most && !row.isEmpty() && admits(tenant, flow); count++) {
        const item = row.next();
        if (item !== undefined) taken.push(item);
      }
    } finally {
      if (!row.isEmpty()) rows.set(flow, row);
    }
  }
}
