/**
 * What one lane can hand out, without a write and mostly without a read: a row for each flow that has something waiting,
 * served in turn. While waiters keep up, items go from the append to them in memory; when they fall behind in a flow, its
 * memory is given up and its rows are read from its cursor on. Everything is synchronous, and appends arrive after their
 * COMMIT, so there is no moment at which an item could be missed.
 */
import type { Envelope } from "../../domain/envelope.ts";
import type { Lane } from "../../domain/event.ts";
import { flowOf } from "../../domain/flow.ts";
import { Fifo } from "../../lib/fifo.ts";
import type { Admits, FlowRow } from "../../lib/flow-rows.ts";
import { FlowRows } from "../../lib/flow-rows.ts";
import type { LaneItem } from "../../ports/lanes.ts";
import type { Database } from "./database.ts";
import type { EnvelopeRow } from "./event-store.ts";
import { rowDamaged } from "./row-damage.ts";
import { ENVELOPE_COLUMNS, readableEnvelope } from "./event-store.ts";

/** Freshly appended items that one lane keeps in memory for its waiters, over all flows. */
export const FRESH_ITEMS_MAX = 10_000;
export const FRESH_BYTES_MAX = 16 * 1024 * 1024;

/** Rows of a flow read at once when waiters are behind, 64 bodies of 256 KiB at most; one by one when memory is full. */
const READ_AHEAD = 64;

/** `is_laned` of an event that the retry queue had before the lane, and that may have been worked on. */
const LATE = 2;

/** Where an item lies in the table, beside its lane and its tenant. */
export interface LaneHandle {
  readonly flow: number;
  readonly id: number;
}

/** Rows up to `idMax` were there at open and may have been worked on. */
export interface FoundFlow {
  readonly tenant: string;
  readonly flow: number;
  readonly idMax: number;
}

export interface LaneTail {
  /** After COMMIT: a new row. `isLate` when the event was known before, so that its id may be behind the cursor. */
  appended(id: number, envelope: Envelope, isLate: boolean): void;
  released(items: readonly LaneItem[]): void;
  pull(max: number, admits: Admits): LaneItem[];
}

export function createLaneTail(options: {
  readonly database: Database;
  readonly lane: Lane;
  readonly code: number;
  readonly found: readonly FoundFlow[];
  /** Told of each row that does not read back, at each start. */
  readonly onFault: (error: unknown) => void;
}): LaneTail {
  const foundIdMax = options.found.reduce((most, { idMax }) => Math.max(most, idMax), 0);
  const rows = new FlowRows<LaneItem, Tail>();
  const deps: TailDeps = { read: createRead(options, foundIdMax), memory: { items: 0, bytes: 0 } };
  for (const { tenant, flow } of options.found) rows.add(tenant, flow, new Tail(deps, tenant, flow, 0, true));
  /** The highest id that the lane had. */
  let idLast = foundIdMax;

  /** Without a row all of the flow up to `idLast` was handed out. */
  function rowOf(tenant: string, flow: number): Tail {
    const known = rows.find(tenant, flow);
    if (known !== undefined) return known;
    const row = new Tail(deps, tenant, flow, idLast, false);
    rows.add(tenant, flow, row);
    return row;
  }

  return {
    appended(id, envelope, isLate) {
      const flow = flowOf(envelope.type);
      const isRepeat = isLate || id <= foundIdMax;
      rowOf(envelope.tenant, flow).appended(id, { lane: options.lane, envelope, isRepeat, handle: { flow, id } });
      idLast = Math.max(idLast, id);
    },
    released(items) {
      for (const item of items)
        rowOf(item.envelope.tenant, (item.handle as LaneHandle).flow).putBack({ ...item, isRepeat: true });
    },
    pull(max, admits) {
      const items: LaneItem[] = [];
      try {
        rows.moveTo(items, max, admits);
      } catch (error) {
        // What was given must not get lost; the next pull meets the error again.
        if (items.length === 0) throw error;
      }
      return items;
    },
  };
}

interface Part {
  readonly items: readonly LaneItem[];
  /** The last row that was looked at; null when there was none. A row that does not read back is passed over, and stays. */
  readonly idLast: number | null;
  readonly isEnd: boolean;
}

interface TailDeps {
  readonly read: (tenant: string, flow: number, after: number, max: number) => Part;
  /** What all flows of the lane keep in memory. */
  readonly memory: { items: number; bytes: number };
}

/** One flow. */
class Tail implements FlowRow<LaneItem> {
  readonly #deps: TailDeps;
  readonly #tenant: string;
  readonly #flow: number;
  readonly #returned = new Fifo<LaneItem>();
  readonly #fresh = new Fifo<LaneItem>();
  /** The highest id that is in `#fresh` or was handed out. */
  #cursor: number;
  /** There are rows after the cursor that are not in memory. */
  #isBehind: boolean;

  constructor(deps: TailDeps, tenant: string, flow: number, cursor: number, isBehind: boolean) {
    this.#deps = deps;
    this.#tenant = tenant;
    this.#flow = flow;
    this.#cursor = cursor;
    this.#isBehind = isBehind;
  }

  appended(id: number, item: LaneItem): void {
    if (id <= this.#cursor) {
      // A late one; any other was read before.
      if (item.isRepeat) this.#returned.push(item);
      return;
    }
    if (!this.#isBehind && this.#hasRoomFor(item)) this.#keep(item);
    else this.#isBehind = true;
  }

  putBack(item: LaneItem): void {
    this.#returned.push(item);
  }

  isEmpty(): boolean {
    return this.#returned.length === 0 && this.#fresh.length === 0 && !this.#isBehind;
  }

  size(): number {
    return this.#returned.length + this.#fresh.length;
  }

  next(): LaneItem | undefined {
    const returned = this.#returned.shift();
    if (returned !== undefined) return returned;
    while (this.#fresh.length === 0 && this.#isBehind) this.#readAhead();
    const item = this.#fresh.shift();
    if (item === undefined) return undefined;
    this.#deps.memory.items -= 1;
    this.#deps.memory.bytes -= item.envelope.body.length;
    return item;
  }

  /** Reads on into memory, more than is asked for: a busy waiter asks for one item at a time. */
  #readAhead(): void {
    const { items, bytes } = this.#deps.memory;
    const max = items < FRESH_ITEMS_MAX && bytes < FRESH_BYTES_MAX ? READ_AHEAD : 1;
    const { items: found, idLast, isEnd } = this.#deps.read(this.#tenant, this.#flow, this.#cursor, max);
    for (const item of found) this.#keep(item);
    this.#cursor = Math.max(this.#cursor, idLast ?? 0);
    if (isEnd) this.#isBehind = false;
  }

  #keep(item: LaneItem): void {
    this.#fresh.push(item);
    this.#cursor = (item.handle as LaneHandle).id;
    this.#deps.memory.items += 1;
    this.#deps.memory.bytes += item.envelope.body.length;
  }

  #hasRoomFor({ envelope }: LaneItem): boolean {
    const { items, bytes } = this.#deps.memory;
    return items < FRESH_ITEMS_MAX && bytes + envelope.body.length <= FRESH_BYTES_MAX;
  }
}

function createRead(
  {
    database,
    lane,
    code,
    onFault,
  }: {
    readonly database: Database;
    readonly lane: Lane;
    readonly code: number;
    readonly onFault: (error: unknown) => void;
  },
  foundIdMax: number,
): TailDeps["read"] {
  const select = database.prepare<EnvelopeRow & { id: number; is_laned: number }>(
    `SELECT e.id, e.is_laned, ${ENVELOPE_COLUMNS} FROM lane_items l CROSS JOIN events e ON e.id = l.event
     WHERE l.lane = ${code} AND l.tenant = ? AND l.flow = ? AND l.event > ? ORDER BY l.event LIMIT ?`,
  );
  return (tenant, flow, after, max) => {
    const rows = select.all(tenant, flow, after, max);
    const items = rows.flatMap((row): LaneItem[] => {
      const envelope = readableEnvelope(row);
      // The row of the lane and that of the event tell the same tenant, or one of them was edited.
      if (envelope?.tenant !== tenant) {
        onFault(rowDamaged(`The row of event ${row.id}, which waits in the lane ${lane}, does not read back`));
        return [];
      }
      const isRepeat = row.is_laned === LATE || row.id <= foundIdMax;
      return [{ lane, envelope, isRepeat, handle: { flow, id: row.id } satisfies LaneHandle }];
    });
    return { items, idLast: rows.at(-1)?.id ?? null, isEnd: rows.length < max };
  };
}
