/**
 * Natural batching: what arrives while nothing is under way waits for one tick of `clock.soon`, what arrives while a
 * batch is under way waits for its end. So a lone item is not held up, and a crowd shares one round trip, one fsync.
 * Batches run one at a time unless more are asked for, in the order of `add`. An urgent item does not stand behind those that
 * are not: the two take turns, an urgent one first, so that neither holds up the other for good. Urgent items are somebody's, and
 * whoever has many of them takes turns with the others. Bounded by count and bytes for each batch, by count in waiting.
 */
import type { Clock } from "./ambient.ts";
import { assert } from "./assert.ts";
import type { Waiting } from "./batch-queue.ts";
import { createBatchQueue } from "./batch-queue.ts";

/** What became of one item of a batch. */
export type BatchResult<Result> =
  | { readonly kind: "done"; readonly value: Result }
  | { readonly kind: "failed"; readonly error: unknown };

export interface BatcherOptions<Item, Result> {
  readonly clock: Pick<Clock, "soon">;
  /**
   * Does the work: one entry for each item, in the items' order. When it throws or rejects, all items of the batch
   * fail with that error, and the next batch starts as if nothing had happened. With `mayStopEarly` it may give entries for
   * the first items alone, one at least: the others wait for the next batch.
   */
  readonly flush: (items: readonly Item[]) => readonly BatchResult<Result>[] | Promise<readonly BatchResult<Result>[]>;
  readonly mayStopEarly?: true;
  /** Batches under way at the same time, 1 unless given. With Infinity none waits for another, so one that hangs delays no other. */
  readonly batchesMax?: number;
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
  /**
   * Resolves or rejects as the item's own entry says. `bytes` is the item's size, 0 when it does not matter. An urgent item
   * goes before those that are not; `urgentFor` says whose it is.
   */
  add(item: Item, bytes: number, urgentFor?: string): Promise<Result>;
  /** Items that wait for a batch now. */
  waitingCount(): number;
  /** Resolves when nothing waits and nothing is under way; at once when that is so already. */
  idle(): Promise<void>;
}

export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const { clock, itemsMax, bytesMax, waitingMax, batchesMax = 1 } = options;
  assert(itemsMax >= 1 && waitingMax >= 1, "a batcher holds at least one item");
  assert(batchesMax === 1 || options.mayStopEarly !== true, "what a batch leaves over is the next one's");
  const waiting = createBatchQueue<Item, Result>(itemsMax, bytesMax);
  let isArmed = false;
  let running = 0;
  let idleWaiters: (() => void)[] = [];

  function add(item: Item, bytes: number, urgentFor?: string): Promise<Result> {
    if (waiting.length() >= waitingMax) return Promise.reject(options.overflow());
    return new Promise<Result>((resolve, reject) => {
      waiting.push({ item, bytes, resolve, reject }, urgentFor);
      arm();
    });
  }

  function arm(): void {
    if (isArmed || running >= batchesMax) return;
    isArmed = true;
    clock.soon(run);
  }

  function run(): void {
    isArmed = false;
    running++;
    const batch = waiting.nextBatch();
    if (waiting.length() > 0) arm();
    let outcome: readonly BatchResult<Result>[] | Promise<readonly BatchResult<Result>[]>;
    try {
      outcome = options.flush(batch.map(({ item }) => item));
    } catch (error) {
      failAll(batch, error);
      return finish();
    }
    if (outcome instanceof Promise) {
      outcome
        .then((settled) => settleSome(batch, settled))
        .catch((error: unknown) => failAll(batch, error))
        .finally(finish);
      return;
    }
    settleSome(batch, outcome);
    finish();
  }

  function settleSome(batch: readonly Waiting<Item, Result>[], settled: readonly BatchResult<Result>[]): void {
    const isCut = options.mayStopEarly === true && settled.length > 0 && settled.length < batch.length;
    if (isCut) waiting.giveBack(settled.length);
    settle(isCut ? batch.slice(0, settled.length) : batch, settled);
  }

  function finish(): void {
    running--;
    waiting.letGo();
    if (waiting.length() > 0) return arm();
    if (running > 0) return;
    const resolvers = idleWaiters;
    idleWaiters = [];
    for (const resolve of resolvers) resolve();
  }

  return {
    add,
    waitingCount: waiting.length,
    idle() {
      if (waiting.length() === 0 && running === 0) return Promise.resolve();
      return new Promise((resolve) => idleWaiters.push(resolve));
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
