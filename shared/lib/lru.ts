/**
 * A map with a bound, from which the entry longest unused leaves first. The order is that of a `Map`: a use takes the
 * entry out and puts it back at the end.
 */
import type { Clock } from "./ambient.ts";
import { assert } from "./assert.ts";

export interface LruOptions<Value> {
  /** So many entries at most, 1 or more. */
  readonly countMax: number;
  /** What all entries may weigh together. The latest entry stays even when it alone is heavier. Left out: no bound. */
  readonly weight?: { readonly max: number; readonly of: (value: Value) => number };
  /** An entry is gone `ms` after it was last set, whoever used it; it takes room until somebody looks. Left out: no bound. */
  readonly age?: { readonly ms: number; readonly clock: Pick<Clock, "monotonic"> };
}

interface Entry<Value> {
  readonly value: Value;
  readonly weight: number;
  readonly setAtMs: number;
}

export class Lru<Key, Value extends object | string | number | boolean> {
  readonly #options: LruOptions<Value>;
  /** Longest unused first. */
  readonly #entries = new Map<Key, Entry<Value>>();
  #weight = 0;

  constructor(options: LruOptions<Value>) {
    assert(options.countMax >= 1, "an LRU map holds one entry at least");
    this.#options = options;
  }

  /** Entries held, aged ones included. */
  get size(): number {
    return this.#entries.size;
  }

  /** What all entries weigh together, aged ones included; 0 when nothing is weighed. */
  get weight(): number {
    return this.#weight;
  }

  /** Counts as a use. */
  get(key: Key): Value | undefined {
    const entry = this.#fresh(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Is no use. */
  peek(key: Key): Value | undefined {
    return this.#fresh(key)?.value;
  }

  /** Counts as a use. What has to make room is dropped in silence, the longest unused first. */
  set(key: Key, value: Value): void {
    this.delete(key);
    this.replace(key, value);
  }

  /** As `set`, but an entry that is there keeps its place in the order: a value that was read again was not used. */
  replace(key: Key, value: Value): void {
    const { weight, age } = this.#options;
    const old = this.#entries.get(key);
    const entry = { value, weight: weight?.of(value) ?? 0, setAtMs: age?.clock.monotonic() ?? 0 };
    this.#entries.set(key, entry);
    this.#weight += entry.weight - (old?.weight ?? 0);
    this.#makeRoom(key);
  }

  /** True when it was there. */
  delete(key: Key): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#weight -= entry.weight;
    return this.#entries.delete(key);
  }

  /** Longest unused first, aged ones included. */
  keys(): IterableIterator<Key> {
    return this.#entries.keys();
  }

  #fresh(key: Key): Entry<Value> | undefined {
    const entry = this.#entries.get(key);
    const { age } = this.#options;
    if (entry === undefined || age === undefined || age.clock.monotonic() - entry.setAtMs < age.ms) return entry;
    this.delete(key);
    return undefined;
  }

  #makeRoom(latest: Key): void {
    const { countMax, weight } = this.#options;
    for (const key of this.#entries.keys()) {
      if (this.#entries.size <= countMax && this.#weight <= (weight?.max ?? Infinity)) return;
      if (key !== latest) this.delete(key);
    }
  }
}
