/**
 * What is read of one partition and not yet done: records are acked in any order, and the longest acked prefix may be
 * committed. Only unacked records are kept, so a acked offset costs nothing: between `head` and `end` it is whatever
 * is not kept, and below `head` and at known offsets nothing is taken in again. Gaps between offsets count as acked.
 *
 * Bounded by records, bytes and the span from head to newest; reading is to pause at a bound and to go on at half of
 * it. What was on its way when the pause was asked for is still taken in, at most one answer of the partition log.
 */
import { assert } from "../../../lib/assert.ts";

export interface OffsetWindowBounds {
  /** Unacked records, at least 1. */
  readonly recordsMax: number;
  /** Their bytes, as given to `add`; a record that is larger by itself is taken in all the same. */
  readonly bytesMax: number;
  /** Offsets from the first unacked record to the newest, at least 2; well above `recordsMax`, or a mere backlog fills it. */
  readonly spanMax: number;
  /** How long the first unacked record may be under way before it counts as blocking, in ms. */
  readonly ageMsMax: number;
}

/** For each partition. The age lies below the deadline of an attempt (15 s): a hanging receiver is what it is for. */
export const OFFSET_WINDOW_BOUNDS: OffsetWindowBounds = {
  recordsMax: 10_000,
  bytesMax: 16 * 1024 * 1024,
  spanMax: 100_000,
  ageMsMax: 5000,
};

interface Entry<Item> {
  readonly item: Item;
  readonly bytes: number;
  /** Null while nobody works on it. */
  sinceMs: number | null;
}

export class OffsetWindow<Item> {
  readonly #bounds: OffsetWindowBounds;
  /** In order of offsets, because they arrive rising and a Map keeps the order of insertion. */
  readonly #unacked = new Map<number, Entry<Item>>();
  #head: number;
  #end: number;
  #bytes = 0;
  #isFull = false;

  /** `from`: the first offset that is not done by the group. */
  constructor({ from, bounds }: { readonly from: number; readonly bounds: OffsetWindowBounds }) {
    assert(bounds.recordsMax >= 1 && bounds.spanMax >= 2, "a window holds at least one record");
    this.#bounds = bounds;
    this.#head = from;
    this.#end = from;
  }

  /** Offsets are given in rising order. False when the offset is known or acked: the record is to be skipped. */
  add(offset: number, item: Item, bytes: number): boolean {
    if (offset < this.#end) return false;
    if (this.#unacked.size === 0) this.#head = offset;
    this.#unacked.set(offset, { item, bytes, sinceMs: null });
    this.#end = offset + 1;
    this.#bytes += bytes;
    return true;
  }

  /** Undefined when the offset is acked or was never taken in. */
  find(offset: number): Item | undefined {
    return this.#unacked.get(offset)?.item;
  }

  /** Someone works on the record since `nowMs`, by a clock that never goes back; its age counts from here. */
  begin(offset: number, nowMs: number): void {
    const entry = this.#unacked.get(offset);
    if (entry !== undefined) entry.sinceMs = nowMs;
  }

  /** Nobody works on the record any more. */
  release(offset: number): void {
    const entry = this.#unacked.get(offset);
    if (entry !== undefined) entry.sinceMs = null;
  }

  /** Frees the record. False when there was nothing to ack. */
  ack(offset: number): boolean {
    const entry = this.#unacked.get(offset);
    if (entry === undefined) return false;
    this.#unacked.delete(offset);
    this.#bytes -= entry.bytes;
    if (this.#unacked.size === 0) this.#head = this.#end;
    else while (!this.#unacked.has(this.#head)) this.#head++;
    assert(this.#head <= this.#end, "the head never passes what was read");
    return true;
  }

  /** What may be committed: the first offset that is not done. */
  head(): number {
    return this.#head;
  }

  /** The first offset that was not seen. */
  end(): number {
    return this.#end;
  }

  /** The first unacked record. */
  oldest(): Item | undefined {
    return this.find(this.#head);
  }

  /** All unacked records in order of offsets. */
  *items(): IterableIterator<Item> {
    for (const { item } of this.#unacked.values()) yield item;
  }

  count(): number {
    return this.#unacked.size;
  }

  bytes(): number {
    return this.#bytes;
  }

  /** Offsets from head to end that are acked or were never written. */
  ackedCount(): number {
    return this.#span() - this.#unacked.size;
  }

  /** How near the nearest bound of records, bytes or span is: 0 when empty, 1 at it, above 1 beyond it. */
  fill(): number {
    const { recordsMax, bytesMax, spanMax } = this.#bounds;
    return Math.max(this.#unacked.size / recordsMax, this.#bytes / bytesMax, this.#span() / spanMax);
  }

  /** Whether reading is to pause: true from a bound on until all is at half of the bounds or below. */
  isFull(): boolean {
    const fill = this.fill();
    this.#isFull = this.#isFull ? fill > 0.5 : fill >= 1;
    return this.#isFull;
  }

  /** When the head blocks: a time of `begin`'s clock, `-Infinity` when it does already, null when nobody works on it. */
  blocksAtMs(): number | null {
    const sinceMs = this.#unacked.get(this.#head)?.sinceMs ?? null;
    if (sinceMs === null) return null;
    return this.#isLong() ? -Infinity : sinceMs + this.#bounds.ageMsMax;
  }

  /**
   * The records that are to be done in another way, at most `max`, when the head blocks: those under way for `ageMsMax`,
   * and at the bound of the span those in its older half. None while the head does not block.
   */
  blocking(nowMs: number, max: number): readonly { readonly offset: number; readonly item: Item }[] {
    const blocksAtMs = this.blocksAtMs();
    if (blocksAtMs === null || blocksAtMs > nowMs) return [];
    const olderHalfEnd = this.#isLong() ? this.#end - this.#bounds.spanMax / 2 : -Infinity;
    const found: { offset: number; item: Item }[] = [];
    for (const [offset, { item, sinceMs }] of this.#unacked) {
      if (found.length >= max) break;
      if (sinceMs === null) continue;
      if (offset < olderHalfEnd || nowMs - sinceMs >= this.#bounds.ageMsMax) found.push({ offset, item });
    }
    return found;
  }

  #span(): number {
    return this.#end - this.#head;
  }

  #isLong(): boolean {
    return this.#span() >= this.#bounds.spanMax;
  }
}
