/**
 * Natural batching: what arrives while nothing is under way waits for one tick of `clock.soon`, what arrives while a
 * batch is under way waits for its end. So a lone item is not held up, and a crowd shares one round trip, one fsync.
 * Batches run one at a time, in the order of `add`. Bounded by count and bytes for each batch, by count in waiting.
 */
import type { Clock } from "./ambient.ts";
import { assert } from "./assert.ts";

/** What became of one item of a batch. */
export type BatchResult<Result> =
  | { readonly kind: "done"; readonly value: Result }
  | { readonly kind: "failed"; readonly error: unknown };

export interface BatcherOptions<Item, Result> {
  readonly clock: Pick<Clock, "soon">;
  /**
   * Does the work: one entry for each item, in the items' order. When it throws or rejects, all items of the batch
   * fail with that error, and the next batch starts as if nothing had happened.
   */
  readonly flush: (items: readonly Item[]) => readonly BatchResult<Result>[] | Promise<readonly BatchResult<Result>[]>;
  /** Items of one batch, at least 1. */
  readonly itemsMax: number;
  /** Bytes of one batch; an item that is larger by itself gets a batch of its own. */
  readonly bytesMax: number;
  /** Items that may wait, those of the running batch not counted. */
  readonly waitingMax: number;
  /** The error that `add` rejects with when `waitingMax` items wait. */
  readonly overflow: () => Error;
}

export interface Batcher<Item, Result> {
  /** Resolves or rejects as the item's own entry says. `bytes` is the item's size, 0 when it does not matter. */
  add(item: Item, bytes: number): Promise<Result>;
  /** Items that wait for a batch now. */
  waitingCount(): number;
  /** Resolves when nothing waits and nothing is under way; at once when that is so already. */
  idle(): Promise<void>;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly bytes: number;
  readonly resolve: (value: Result) => void;
  readonly reject: (error: unknown) => void;
}

export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const { clock, itemsMax, bytesMax, waitingMax } = options;
  assert(itemsMax >= 1 && waitingMax >= 1, "a batcher holds at least one item");
  const waiting = createQueue<Item, Result>(itemsMax, bytesMax);
  let isArmed = false;
  let isRunning = false;
  let idleWaiters: (() => void)[] = [];

  function add(item: Item, bytes: number): Promise<Result> {
    if (waiting.length() >= waitingMax) return Promise.reject(options.overflow());
    return new Promise<Result>((resolve, reject) => {
      waiting.push({ item, bytes, resolve, reject });
      arm();
    });
  }

  function arm(): void {
    if (isArmed || isRunning) return;
    isArmed = true;
    clock.soon(run);
  }

  function run(): void {
    isArmed = false;
    isRunning = true;
    const batch = waiting.nextBatch();
    let outcome: readonly BatchResult<Result>[] | Promise<readonly BatchResult<Result>[]>;
    try {
      outcome = options.flush(batch.map(({ item }) => item));
    } catch (error) {
      failAll(batch, error);
      return finish();
    }
    if (outcome instanceof Promise) {
      outcome
        .then((settled) => settle(batch, settled))
        .catch((error: unknown) => failAll(batch, error))
        .finally(finish);
      return;
    }
    settle(batch, outcome);
    finish();
  }

  function finish(): void {
    isRunning = false;
    if (waiting.length() > 0) return arm();
    const resolvers = idleWaiters;
    idleWaiters = [];
    for (const resolve of resolvers) resolve();
  }

  return {
    add,
    waitingCount: waiting.length,
    idle() {
      if (waiting.length() === 0 && !isRunning) return Promise.resolve();
      return new Promise((resolve) => idleWaiters.push(resolve));
    },
  };
}

function createQueue<Item, Result>(itemsMax: number, bytesMax: number) {
  let waiting: Waiting<Item, Result>[] = [];
  return {
    push: (entry: Waiting<Item, Result>) => void waiting.push(entry),
    length: () => waiting.length,
    nextBatch(): Waiting<Item, Result>[] {
      let count = 0;
      let bytes = 0;
      for (const { bytes: itemBytes } of waiting) {
        if (count === itemsMax || (count > 0 && bytes + itemBytes > bytesMax)) break;
        count++;
        bytes += itemBytes;
      }
      if (count < waiting.length) return waiting.splice(0, count);
      const all = waiting;
      waiting = [];
      return all;
    },
  };
}

function settle<Item, Result>(batch: readonly Waiting<Item, Result>[], settled: readonly BatchResult<Result>[]): void {
  if (settled.length !== batch.length) {
    return failAll(batch, new Error(`a batch of ${batch.length} items came back with ${settled.length} results`));
  }
  batch.forEach(({ resolve, reject }, index) => {
    const entry = settled[index];
    assert(entry !== undefined, "every item of a batch has an entry");
    if (entry.kind === "done") resolve(entry.value);
    else reject(entry.error);
  });
}

function failAll<Item, Result>(batch: readonly Waiting<Item, Result>[], error: unknown): void {
  for (const { reject } of batch) reject(error);
}
