/** What waits for its export, in batches. */
import type { Span } from "../../telemetry/spans.ts";
import type { SpansRequest } from "./span-bytes.ts";

export interface Backlog<Item, Batch> {
  /** Items that wait. */
  readonly count: number;
  push(item: Item): void;
  /** The oldest; null when none wait. */
  take(): { readonly batch: Batch; readonly count: number } | null;
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
      return batch.length === 0 ? null : { batch, count: batch.length };
    },
  };
}

/** Of the first batch; a later one begins with what the one before needed, so that it is not copied while it grows. */
const FIRST_BYTES = 64 * 1024;
const LATER_BYTES_MAX = 4 * 1024 * 1024;

/**
 * As the bytes that they are exported as: objects that wait for a second outlive the young generation of the runtime's garbage
 * collector, which costs as much as to write them.
 */
export function backlogOfSpans(batchMax: number, open: (bytes: number) => SpansRequest): Backlog<Span, Uint8Array> {
  const chunks: SpansRequest[] = [];
  let count = 0;
  let bytes = FIRST_BYTES;
  return {
    get count() {
      return count;
    },
    push(span) {
      let chunk = chunks.at(-1);
      if (chunk === undefined || chunk.count >= batchMax) {
        chunk = open(bytes);
        chunks.push(chunk);
      }
      chunk.push(span);
      count += 1;
    },
    take() {
      const chunk = chunks.shift();
      if (chunk === undefined) return null;
      count -= chunk.count;
      const batch = chunk.taken();
      bytes = Math.min(Math.max(FIRST_BYTES, Math.ceil(batch.length * 1.1)), LATER_BYTES_MAX);
      return { batch, count: chunk.count };
    },
  };
}
