/**
 * Natural batching: what arrives while nothing is under way waits for one tick of `clock.soon`, what arrives while a
 * batch is under way waits for its end. So a lone item is not held up, and a crowd shares one round trip, one fsync.
 * Batches run one at a time unless more are asked for, in the order of `add`. An urgent item does not stand behind those that
 * are not: the two take turns, an urgent one first, so that neither holds up the other for good. Bounded by count and bytes for
 * each batch, by count in waiting.
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
   * goes before those that are not.
   */
  add(item: Item, bytes: number, isUrgent?: boolean): Promise<Result>;
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
  const { clock, itemsMax, bytesMax, waitingMax, batchesMax = 1 } = options;
  assert(itemsMax >= 1 && waitingMax >= 1, "a batcher holds at least one item");
  assert(batchesMax === 1 || options.mayStopEarly !== true, "what a batch leaves over is the next one's");
  const waiting = createQueue<Item, Result>(itemsMax, bytesMax);
  let isArmed = false;
  let running = 0;
  let idleWaiters: (() => void)[] = [];

  function add(item: Item, bytes: number, isUrgent = false): Promise<Result> {
    if (waiting.length() >= waitingMax) return Promise.reject(options.overflow());
    return new Promise<Result>((resolve, reject) => {
      waiting.push({ item, bytes, resolve, reject }, isUrgent);
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

/** Urgent items and others, each in their order; a batch has them by turns. */
function createQueue<Item, Result>(itemsMax: number, bytesMax: number) {
  const urgent = createRow<Waiting<Item, Result>>();
  const others = createRow<Waiting<Item, Result>>();
  /** Where each item of the last batch came from. */
  let origins: (typeof urgent)[] = [];

  /** The row whose turn it is. */
  const nextRow = (): typeof urgent => {
    if (urgent.length() === 0) return others;
    return others.length() > 0 && origins.at(-1) === urgent ? others : urgent;
  };

  return {
    push: (entry: Waiting<Item, Result>, isUrgent: boolean) => (isUrgent ? urgent : others).push(entry),
    length: () => urgent.length() + others.length(),
    nextBatch(): readonly Waiting<Item, Result>[] {
      const batch: Waiting<Item, Result>[] = [];
      let bytes = 0;
      origins = [];
      while (batch.length < itemsMax) {
        const row = nextRow();
        const entry = row.first();
        if (entry === undefined || (batch.length > 0 && bytes + entry.bytes > bytesMax)) break;
        row.take();
        origins.push(row);
        batch.push(entry);
        bytes += entry.bytes;
      }
      return batch;
    },
    /** The last batch came to its first `done` items; the others wait on, before those that came since. */
    giveBack(done: number): void {
      for (const row of origins.slice(done)) row.giveBack();
    },
    /** Of what is done nothing is kept. */
    letGo(): void {
      for (const row of [urgent, others]) row.letGo();
    },
  };
}

/** Added to at its end and taken from at its beginning, without a move of the rest each time. */
function createRow<Entry>() {
  let entries: Entry[] = [];
  let first = 0;
  return {
    length: () => entries.length - first,
    first: () => entries[first],
    take: () => void first++,
    /** The last that was taken. */
    giveBack: () => void first--,
    push: (entry: Entry) => void entries.push(entry),
    letGo(): void {
      // Once half of all was taken: each entry is moved once on the average.
      if (first * 2 < entries.length) return;
      entries = entries.slice(first);
      first = 0;
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
