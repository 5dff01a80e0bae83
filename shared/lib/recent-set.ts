/**
 * Keys of late, in two generations: when the young one is full or of age it becomes the old one, and the old one is
 * forgotten. So nothing is kept for each key but the key, and forgetting costs nothing.
 */
import type { Clock } from "./ambient.ts";
import { assert } from "./assert.ts";

export interface RecentSetOptions {
  /** So many keys are remembered at least, the latest ones; twice as many at most. 1 or more. */
  readonly countMax: number;
  /** A key is remembered for less than twice `ms`, and for `ms` unless `countMax` forgets it sooner. Left out: no bound. */
  readonly age?: { readonly ms: number; readonly clock: Pick<Clock, "monotonic"> };
}

export class RecentSet<Key> {
  readonly #countMax: number;
  readonly #age: RecentSetOptions["age"];
  #young = new Set<Key>();
  #old = new Set<Key>();
  /** Since when the young generation is filled; no key in it is from before. */
  #turnedAtMs: number;

  constructor({ countMax, age }: RecentSetOptions) {
    assert(countMax >= 1, "a set of recent keys remembers one key at least");
    this.#countMax = countMax;
    this.#age = age;
    this.#turnedAtMs = age?.clock.monotonic() ?? 0;
  }

  /** How many keys are held, between 0 and twice `countMax`. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  has(key: Key): boolean {
    this.#forgetAged();
    return this.#young.has(key) || this.#old.has(key);
  }

  /** True when the key is new. One that is remembered stays where it is: it is not remembered any longer for it. */
  add(key: Key): boolean {
    if (this.has(key)) return false;
    if (this.#young.size >= this.#countMax) this.#turn(this.#young, this.#age?.clock.monotonic() ?? 0);
    this.#young.add(key);
    return true;
  }

  #forgetAged(): void {
    if (this.#age === undefined) return;
    const { ms, clock } = this.#age;
    const nowMs = clock.monotonic();
    const dueAtMs = this.#turnedAtMs + ms;
    // By the time it was due, not by the time somebody looked: else a quiet spell would keep keys for three ages.
    if (nowMs >= dueAtMs + ms) this.#turn(new Set(), nowMs);
    else if (nowMs >= dueAtMs) this.#turn(this.#young, dueAtMs);
  }

  #turn(old: Set<Key>, atMs: number): void {
    this.#old = old;
    this.#young = new Set();
    this.#turnedAtMs = atMs;
  }
}
