/**
 * Natural batching: what arrives while nothing is under way waits for one tick of `clock.soon`, what arrives while a
 * batch is under way waits for its end. So a lone item is not held up, and a crowd shares one round trip, one fsync.
 * Batches run one at a time, in the order of `add`, urgent items before the others. Bounded by count and bytes for each
 * batch, by count in waiting.
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
  const { clock, itemsMax, bytesMax, waitingMax } = options;
  assert(itemsMax >= 1 && waitingMax >= 1, "a batcher holds at least one item");
  const waiting = createQueue<Item, Result>(itemsMax, bytesMax);
  let isArmed = false;
  let isRunning = false;
  let idleWaiters: (() => void)[] = [];

  function add(item: Item, bytes: number, isUrgent = false): Promise<Result> {
    if (waiting.length() >= waitingMax) return Promise.reject(options.overflow());
    return new Promise<Result>((resolve, reject) => {
      waiting.push({ item, bytes, resolve, reject }, isUrgent);
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
    if (isCut) waiting.giveBack(batch.length, settled.length);
    settle(isCut ? batch.slice(0, settled.length) : batch, settled);
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

/** Urgent items in their order, then the others in theirs. */
function createQueue<Item, Result>(itemsMax: number, bytesMax: number) {
  const urgent = createRow<Waiting<Item, Result>>();
  const others = createRow<Waiting<Item, Result>>();
  /** How many of the last batch were urgent. */
  let urgentCount = 0;
  return {
    push: (entry: Waiting<Item, Result>, isUrgent: boolean) => (isUrgent ? urgent : others).push(entry),
    length: () => urgent.length() + others.length(),
    nextBatch(): readonly Waiting<Item, Result>[] {
      let count = 0;
      let bytes = 0;
      const isMore = ({ bytes: itemBytes }: Waiting<Item, Result>): boolean => {
        if (count === itemsMax || (count > 0 && bytes + itemBytes > bytesMax)) return false;
        count++;
        bytes += itemBytes;
        return true;
      };
      const first = urgent.takeWhile(isMore);
      urgentCount = first.length;
      return urgent.length() > 0 ? first : [...first, ...others.takeWhile(isMore)];
    },
    /** The last batch has come to `done` of its `count` items; the rest is the next batch's beginning. */
    giveBack(count: number, done: number): void {
      const ofUrgent = Math.max(0, urgentCount - done);
      urgent.giveBack(ofUrgent);
      others.giveBack(count - done - ofUrgent);
    },
  };
}

/** Added to at its end and taken from at its beginning, without a move of the rest each time. */
function createRow<Entry>() {
  let entries: Entry[] = [];
  let first = 0;
  return {
    push: (entry: Entry) => void entries.push(entry),
    length: () => entries.length - first,
    takeWhile(isMore: (entry: Entry) => boolean): readonly Entry[] {
      if (first * 2 >= entries.length) {
        entries = entries.slice(first);
        first = 0;
      }
      let end = first;
      for (; end < entries.length; end++) {
        const entry = entries[end];
        if (entry === undefined || !isMore(entry)) break;
      }
      const taken = entries.slice(first, end);
      first += taken.length;
      return taken;
    },
    /** The last that were taken. */
    giveBack(count: number): void {
      first -= count;
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
