/** What waits for its export, in batches. */
import type { Span } from "../../telemetry/spans.ts";
import type { SpansRequest } from "./span-bytes.ts";

export interface Backlog<Item, Batch> {
  /** Items that wait. */
  readonly count: number;
  push(item: Item): void;
  /** The oldest; null when none wait. */
  take(): Taken<Batch> | null;
}

export interface Taken<Batch> {
  readonly batch: Batch;
  readonly count: number;
  /**
   * The batch was exported, so that its memory can be written anew. A collector that answered before it had read all of it may read what
   * comes next instead.
   */
  release(): void;
}

/** As they are. */
export function backlogOfItems<Item>(batchMax: number): Backlog<Item, Item[]> {
  const waiting: Item[] = [];
  return {
    get count() {
      return waiting.length;
    },
    push: (item) => void waiting.push(item),
    take() {
      const batch = waiting.splice(0, batchMax);
      return batch.length === 0 ? null : { batch, count: batch.length, release: () => undefined };
    },
  };
}

/** Of the first batch. */
const FIRST_BYTES = 64 * 1024;
/** One batch is exported while the next is filled; more than its memory is not kept. */
const SPARE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * As the bytes that they are exported as: objects that wait for a second outlive the young generation of the runtime's garbage
 * collector, which costs as much as to write them. The memory of a batch that was exported is taken for the next one but one: fresh pages
 * of the system cost more than what is written into them.
 */
export function backlogOfSpans(batchMax: number, open: (storage: Buffer) => SpansRequest): Backlog<Span, Uint8Array> {
  const chunks: SpansRequest[] = [];
  let count = 0;
  let spare: Buffer | null = null;
  /** What the last batch took, so that the next one does not grow step by step. */
  let bytes = FIRST_BYTES;
  const openNext = (): SpansRequest => {
    const chunk = open(spare ?? Buffer.allocUnsafeSlow(bytes));
    spare = null;
    chunks.push(chunk);
    return chunk;
  };
  return {
    get count() {
      return count;
    },
    push(span) {
      const last = chunks.at(-1);
      const chunk = last === undefined || last.count >= batchMax ? openNext() : last;
      chunk.push(span);
      count += 1;
    },
    take() {
      const chunk = chunks.shift();
      if (chunk === undefined) return null;
      count -= chunk.count;
      const { storage } = chunk;
      bytes = Math.min(storage.length, SPARE_BYTES_MAX);
      const release = (): void => {
        if (storage.length <= SPARE_BYTES_MAX && storage.length >= (spare?.length ?? 0)) spare = storage;
      };
      return { batch: chunk.taken(), count: chunk.count, release };
    },
  };
}
