/**
 * What is read of one partition and not yet done: records settle in any order, and the longest settled prefix may be
 * committed. Only unsettled records are kept, so a settled offset costs nothing: between `head` and `end` it is whatever
 * is not kept, and below `head` and at known offsets nothing is taken in again. Gaps between offsets count as settled.
 *
 * Bounded by records, bytes and the span from head to newest; reading is to pause at a bound and to go on at half of
 * it. What was on its way when the pause was asked for is still taken in, at most one answer of the log.
 */
import { assert } from "../../../lib/assert.ts";

export interface OffsetWindowBounds {
  /** Unsettled records, at least 1. */
  readonly recordsMax: number;
  /** Their bytes, as given to `add`; a record that is larger by itself is taken in all the same. */
  readonly bytesMax: number;
  /** Offsets from the first unsettled record to the newest, at least 2; well above `recordsMax`, or a mere backlog fills it. */
  readonly spanMax: number;
  /** How long the first unsettled record may be under way before it counts as blocking, in ms. */
  readonly ageMsMax: number;
}

/** For each partition. The age lies below the deadline of an attempt (15 s): a hanging receiver is what it is for. */
export const OFFSET_WINDOW_BOUNDS: OffsetWindowBounds = {
  recordsMax: 10_000,
  bytesMax: 16 * 1024 * 1024,
  spanMax: 100_000,
  ageMsMax: 5000,
};

export interface OffsetWindow<Item> {
  /** Offsets are given in rising order. False when the offset is known or settled: the record is to be skipped. */
  add(offset: number, item: Item, bytes: number): boolean;
  /** Undefined when the offset is settled or was never taken in. */
  find(offset: number): Item | undefined;
  /** Someone works on the record since `nowMs`, by a clock that never goes back; its age counts from here. */
  begin(offset: number, nowMs: number): void;
  /** Nobody works on the record any more. */
  giveBack(offset: number): void;
  /** Frees the record. False when there was nothing to settle. */
  settle(offset: number): boolean;
  /** What may be committed: the first offset that is not done. */
  head(): number;
  /** The first offset that was not seen. */
  end(): number;
  /** The first unsettled record. */
  oldest(): Item | undefined;
  /** All unsettled records in order of offsets. */
  items(): IterableIterator<Item>;
  count(): number;
  bytes(): number;
  /** Offsets from head to end that are settled or were never written. */
  settledCount(): number;
  /** How near the nearest bound of records, bytes or span is: 0 when empty, 1 at it, above 1 beyond it. */
  fill(): number;
  /** Whether reading is to pause: true from a bound on until all is at half of the bounds or below. */
  isFull(): boolean;
  /** When the head blocks: a time of `begin`'s clock, `-Infinity` when it does already, null when nobody works on it. */
  blocksAtMs(): number | null;
  /**
   * The records that are to be done in another way, at most `max`, when the head blocks: those under way for `ageMsMax`,
   * and at the bound of the span those in its older half. None while the head does not block.
   */
  blocking(nowMs: number, max: number): readonly { readonly offset: number; readonly item: Item }[];
}

interface Entry<Item> {
  readonly item: Item;
  readonly bytes: number;
  /** Null while nobody works on it. */
  sinceMs: number | null;
}

interface State<Item> {
  readonly bounds: OffsetWindowBounds;
  /** In order of offsets, because they arrive rising and a Map keeps the order of insertion. */
  readonly unsettled: Map<number, Entry<Item>>;
  head: number;
  end: number;
  bytes: number;
  isFull: boolean;
}

/** `from`: the first offset that is not done by the group. */
export function createOffsetWindow<Item>(options: {
  readonly from: number;
  readonly bounds: OffsetWindowBounds;
}): OffsetWindow<Item> {
  const { from, bounds } = options;
  assert(bounds.recordsMax >= 1 && bounds.spanMax >= 2, "a window holds at least one record");
  const state: State<Item> = { bounds, unsettled: new Map(), head: from, end: from, bytes: 0, isFull: false };
  const { unsettled } = state;
  return {
    add: (offset, item, bytes) => add(state, offset, item, bytes),
    find: (offset) => unsettled.get(offset)?.item,
    begin(offset, nowMs) {
      const entry = unsettled.get(offset);
      if (entry !== undefined) entry.sinceMs = nowMs;
    },
    giveBack(offset) {
      const entry = unsettled.get(offset);
      if (entry !== undefined) entry.sinceMs = null;
    },
    settle: (offset) => settle(state, offset),
    head: () => state.head,
    end: () => state.end,
    oldest: () => unsettled.get(state.head)?.item,
    items: () => itemsOf(unsettled),
    count: () => unsettled.size,
    bytes: () => state.bytes,
    settledCount: () => state.end - state.head - unsettled.size,
    fill: () => fillOf(state),
    isFull: () => judgeFull(state),
    blocksAtMs: () => blocksAtMs(state),
    blocking: (nowMs, max) => blocking(state, nowMs, max),
  };
}

function add<Item>(state: State<Item>, offset: number, item: Item, bytes: number): boolean {
  if (offset < state.end) return false;
  if (state.unsettled.size === 0) state.head = offset;
  state.unsettled.set(offset, { item, bytes, sinceMs: null });
  state.end = offset + 1;
  state.bytes += bytes;
  return true;
}

function settle<Item>(state: State<Item>, offset: number): boolean {
  const { unsettled } = state;
  const entry = unsettled.get(offset);
  if (entry === undefined) return false;
  unsettled.delete(offset);
  state.bytes -= entry.bytes;
  if (unsettled.size === 0) state.head = state.end;
  else while (!unsettled.has(state.head)) state.head++;
  assert(state.head <= state.end, "the head never passes what was read");
  return true;
}

function* itemsOf<Item>(unsettled: ReadonlyMap<number, Entry<Item>>): IterableIterator<Item> {
  for (const { item } of unsettled.values()) yield item;
}

function fillOf<Item>({ unsettled, bytes, head, end, bounds }: State<Item>): number {
  return Math.max(unsettled.size / bounds.recordsMax, bytes / bounds.bytesMax, (end - head) / bounds.spanMax);
}

function judgeFull<Item>(state: State<Item>): boolean {
  const fill = fillOf(state);
  state.isFull = state.isFull ? fill > 0.5 : fill >= 1;
  return state.isFull;
}

function isLong<Item>(state: State<Item>): boolean {
  return state.end - state.head >= state.bounds.spanMax;
}

function blocksAtMs<Item>(state: State<Item>): number | null {
  const sinceMs = state.unsettled.get(state.head)?.sinceMs ?? null;
  if (sinceMs === null) return null;
  return isLong(state) ? -Infinity : sinceMs + state.bounds.ageMsMax;
}

function blocking<Item>(state: State<Item>, nowMs: number, max: number): { offset: number; item: Item }[] {
  const blocksMs = blocksAtMs(state);
  if (blocksMs === null || blocksMs > nowMs) return [];
  const olderHalfEnd = isLong(state) ? state.end - state.bounds.spanMax / 2 : -Infinity;
  const found: { offset: number; item: Item }[] = [];
  for (const [offset, { item, sinceMs }] of state.unsettled) {
    if (found.length >= max) break;
    if (sinceMs === null) continue;
    if (offset < olderHalfEnd || nowMs - sinceMs >= state.bounds.ageMsMax) found.push({ offset, item });
  }
  return found;
}
