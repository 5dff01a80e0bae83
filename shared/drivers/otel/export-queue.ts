/**
 * Spans or log records on their way to a collector: they wait in a bounded queue, and one batch at a time is exported. A collector
 * that is slow, hangs or is down costs what it should have got, which is counted, and nothing else. The SDK's own processors count
 * losses nowhere that we could read, and wait at a stop for as long as their exporter.
 */
import { ExportResultCode } from "@opentelemetry/core";
import type { ExportResult } from "@opentelemetry/core";

import type { Cancel, Clock } from "../../lib/ambient.ts";
import { inTime } from "../../lib/in-time.ts";
import type { ExportLoss } from "../../telemetry/losses.ts";
import type { Backlog } from "./backlog.ts";

/** Of the SDK: for spans, or for log records. */
export interface Exporter<Batch> {
  export(batch: Batch, done: (result: ExportResult) => void): void;
  shutdown(): Promise<void>;
}

export interface ExportQueueOptions<Item, Batch> {
  readonly clock: Pick<Clock, "timer">;
  readonly exporter: Exporter<Batch>;
  /** Where items wait. */
  readonly backlog: Backlog<Item, Batch>;
  /** Items that wait at most; further ones are lost. */
  readonly queueMax: number;
  /** Of the backlog's batches. */
  readonly batchMax: number;
  /** The longest that an item waits for its batch to fill, while nothing is being exported. */
  readonly delayMs: number;
  /** An export that has not ended by then counts as failed. */
  readonly timeoutMs: number;
  /** Told of each batch that was lost; must not throw. */
  readonly onFailure: (error: unknown, count: number) => void;
}

/** A stop waits for the last batches so long; what is left then is lost. */
export const FLUSH_MS = 3000;

export class ExportQueue<Item, Batch> {
  readonly lost: Record<ExportLoss, number> = { "queue-full": 0, "not-exported": 0 };
  readonly #options: ExportQueueOptions<Item, Batch>;
  #cancelTimer: Cancel | null = null;
  /** The batches that are being exported, until none is due. */
  #exporting: Promise<void> | null = null;
  #isFlushing = false;
  #isClosed = false;

  constructor(options: ExportQueueOptions<Item, Batch>) {
    this.#options = options;
  }

  add(item: Item): void {
    const { backlog, queueMax, batchMax } = this.#options;
    if (this.#isClosed || backlog.count >= queueMax) {
      this.lost["queue-full"] += 1;
      return;
    }
    backlog.push(item);
    if (this.#exporting !== null) return;
    if (backlog.count >= batchMax) void this.#export();
    else this.#arm();
  }

  /** Resolves when all that waits was exported or lost, after `FLUSH_MS` at the latest. */
  async flush(): Promise<void> {
    this.#isFlushing = true;
    await inTime(this.#options.clock, FLUSH_MS, this.#export());
    this.#isFlushing = false;
  }

  /** Flushes; what comes later is lost. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.flush();
    const { backlog } = this.#options;
    for (let left = backlog.take(); left !== null; left = backlog.take()) this.lost["not-exported"] += left.count;
    this.#cancelTimer?.();
    // It may wait for an export that hangs.
    this.#options.exporter.shutdown().catch(() => undefined);
  }

  #export(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    return (this.#exporting ??= this.#exportDue().finally(() => {
      this.#exporting = null;
      if (this.#options.backlog.count > 0 && !this.#isClosed) this.#arm();
    }));
  }

  #arm(): void {
    this.#cancelTimer ??= this.#options.clock.timer(this.#options.delayMs, () => void this.#export());
  }

  /** One batch after the other, for as long as they are full. */
  async #exportDue(): Promise<void> {
    const { backlog, batchMax, onFailure } = this.#options;
    do {
      const taken = backlog.take();
      if (taken === null) return;
      const failure = await this.#exportBatch(taken.batch);
      if (failure === null) {
        taken.release();
        continue;
      }
      this.lost["not-exported"] += taken.count;
      onFailure(failure, taken.count);
    } while (this.#isFlushing || backlog.count >= batchMax);
  }

  /** Null, or what went wrong. */
  async #exportBatch(batch: Batch): Promise<unknown> {
    const { clock, exporter, timeoutMs } = this.#options;
    const { promise, resolve } = Promise.withResolvers<ExportResult>();
    try {
      exporter.export(batch, resolve);
    } catch (error) {
      return error;
    }
    const ended = await inTime(clock, timeoutMs, promise);
    if (ended.kind === "timeout") return new Error(`no end within ${timeoutMs} ms`);
    const { code, error } = ended.value;
    return code === ExportResultCode.SUCCESS ? null : (error ?? new Error("not exported"));
  }
}
