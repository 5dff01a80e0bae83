/**
 * Those who wait until there is something for them: first come, first served, each until its signal is aborted.
 * `Waiters` hands over what the owner brings; `PullWaiters` asks the owner for it, and is told when to ask.
 */
import type { Cancel } from "./ambient.ts";
import type { Admits } from "./flow-rows.ts";
import { assert } from "./assert.ts";
import { admitsAll } from "./flow-rows.ts";
import { onAbort } from "./on-abort.ts";

/** One that waits; it is known by identity. */
export interface Waiter {
  /** It takes so many items at most, 1 or more. */
  readonly max: number;
  /** Whose items it takes. */
  readonly admits: Admits;
}

interface Entry<Item> {
  readonly resolve: (items: readonly Item[]) => void;
  readonly reject: (error: unknown) => void;
  readonly cancel: Cancel;
}

/** Far more than there are loops that take from one queue. */
export const WAITERS_MAX = 1000;

export interface WaitersOptions {
  /** So many may wait at once, `WAITERS_MAX` unless told. One more is a bug: as many wait as there are loops that take. */
  readonly waitersMax?: number;
}

export class Waiters<Item> implements Iterable<Waiter> {
  readonly #waitersMax: number;
  readonly #entries = new Map<Waiter, Entry<Item>>();

  constructor({ waitersMax = WAITERS_MAX }: WaitersOptions = {}) {
    this.#waitersMax = waitersMax;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Resolves with what is handed over; with nothing when the signal is aborted, before or later, or all were dismissed. */
  wait(max: number, signal: AbortSignal, admits: Admits = admitsAll): Promise<readonly Item[]> {
    if (signal.aborted) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      assert(this.#entries.size < this.#waitersMax, `at most ${this.#waitersMax} wait at once`);
      const waiter: Waiter = { max, admits };
      const cancel = onAbort(signal, () => void this.hand(waiter, []));
      this.#entries.set(waiter, { resolve, reject, cancel });
    });
  }

  /** The one that came first, first. One may be served or refused while the iteration is under way. */
  [Symbol.iterator](): Iterator<Waiter> {
    return this.#entries.keys();
  }

  /** Ends the wait of one with these items. False when it waits no more: then the items are still the caller's. */
  hand(waiter: Waiter, items: readonly Item[]): boolean {
    const entry = this.#take(waiter);
    entry?.resolve(items);
    return entry !== undefined;
  }

  /** Ends the wait of one with an error; false when it waits no more. */
  refuse(waiter: Waiter, error: unknown): boolean {
    const entry = this.#take(waiter);
    entry?.reject(error);
    return entry !== undefined;
  }

  refuseAll(error: unknown): void {
    for (const waiter of this.#entries.keys()) this.refuse(waiter, error);
  }

  /** All get nothing, in order. */
  dismissAll(): void {
    for (const waiter of this.#entries.keys()) this.hand(waiter, []);
  }

  #take(waiter: Waiter): Entry<Item> | undefined {
    const entry = this.#entries.get(waiter);
    if (entry === undefined) return undefined;
    this.#entries.delete(waiter);
    entry.cancel();
    return entry;
  }
}

export interface PullWaitersOptions<Item> extends WaitersOptions {
  /** At most `max` items that are admitted, none when there are none now. When it throws, the one on whose behalf it was asked is told. */
  readonly pull: (max: number, admits: Admits) => readonly Item[];
  /** Called whenever somebody has to wait, and after a wake that served not everyone. When it throws, all are told. */
  readonly onWaiting?: () => void;
  /** What callers meet instead of an error that `pull` or `onWaiting` threw; the error itself unless told. */
  readonly toError?: (error: unknown) => unknown;
}

export class PullWaiters<Item> {
  readonly #waiters: Waiters<Item>;
  readonly #pull: (max: number, admits: Admits) => readonly Item[];
  readonly #onWaiting: () => void;
  readonly #toError: (error: unknown) => unknown;
  #isWaking = false;
  #isClosed = false;

  constructor({ pull, onWaiting, toError, ...bounds }: PullWaitersOptions<Item>) {
    this.#waiters = new Waiters(bounds);
    this.#pull = pull;
    this.#onWaiting = onWaiting ?? (() => undefined);
    this.#toError = toError ?? ((error) => error);
  }

  get count(): number {
    return this.#waiters.count;
  }

  /** Resolves at once when nobody waits and there is something; with nothing only when aborted or closed. */
  async take(max: number, signal: AbortSignal, admits: Admits = admitsAll): Promise<readonly Item[]> {
    if (signal.aborted || this.#isClosed) return [];
    // Who comes later stands behind those who wait, even if there is something by now.
    const items = this.#waiters.count === 0 ? this.#pullNow(max, admits) : [];
    if (items.length > 0) return items;
    const waited = this.#waiters.wait(max, signal, admits);
    this.#askForMore();
    return waited;
  }

  /** There may be something new. Those who wait are served in the next microtask, all news of one moment together. */
  wake(): void {
    if (this.#isWaking || this.#waiters.count === 0) return;
    this.#isWaking = true;
    void Promise.resolve().then(() => this.#serve());
  }

  /** Those who wait, and all who come later, get nothing. */
  close(): void {
    this.#isClosed = true;
    this.#waiters.dismissAll();
  }

  #serve(): void {
    this.#isWaking = false;
    for (const waiter of this.#waiters) {
      try {
        const items = this.#pullNow(waiter.max, waiter.admits);
        // What one may not take another may.
        if (items.length === 0) continue;
        this.#waiters.hand(waiter, items);
      } catch (error) {
        this.#waiters.refuse(waiter, error);
      }
    }
    if (this.#waiters.count > 0) this.#askForMore();
  }

  /** Without what `onWaiting` arranges nobody would wake those who wait: when it throws, none of them is left behind. */
  #askForMore(): void {
    try {
      this.#onWaiting();
    } catch (error) {
      this.#waiters.refuseAll(this.#toError(error));
    }
  }

  #pullNow(max: number, admits: Admits): readonly Item[] {
    try {
      return this.#pull(max, admits);
    } catch (error) {
      throw this.#toError(error);
    }
  }
}
