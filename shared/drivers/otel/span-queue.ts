/**
 * Spans on their way to a collector: they wait in a bounded queue, and one batch at a time is exported. A collector that is slow,
 * hangs or is down costs spans, which are counted, and nothing else. It is a span processor of the OpenTelemetry SDK, whose own
 * counts losses nowhere that we could read and waits at a stop for as long as its exporter.
 */
import { ExportResultCode } from "@opentelemetry/core";
import type { ExportResult } from "@opentelemetry/core";
import type { ReadableSpan, SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace";

import type { Cancel, Clock } from "../../lib/ambient.ts";
import { inTime } from "../../lib/in-time.ts";
import type { SpanLoss } from "../../telemetry/spans.ts";

export interface SpanQueueOptions {
  readonly clock: Pick<Clock, "timer">;
  readonly exporter: SpanExporter;
  /** Spans that wait at most; further ones are lost. */
  readonly queueMax: number;
  readonly batchMax: number;
  /** The longest that a span waits for its batch to fill, while nothing is being exported. */
  readonly delayMs: number;
  /** An export that has not ended by then counts as failed. */
  readonly timeoutMs: number;
  /** Told of each batch that was lost; must not throw. */
  readonly onFailure: (error: unknown, spanCount: number) => void;
}

/** A stop waits for the last batches so long; what is left then is lost. */
export const FLUSH_MS = 3000;

export class SpanQueue implements SpanProcessor {
  readonly lost: Record<SpanLoss, number> = { "queue-full": 0, "not-exported": 0 };
  readonly #options: SpanQueueOptions;
  #waiting: ReadableSpan[] = [];
  #cancelTimer: Cancel | null = null;
  /** The batches that are being exported, until none is due. */
  #exporting: Promise<void> | null = null;
  #isFlushing = false;
  #isClosed = false;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  onStart(): void {
    // Spans come when they are complete.
  }

  onEnd(span: ReadableSpan): void {
    if (this.#isClosed || this.#waiting.length >= this.#options.queueMax) {
      this.lost["queue-full"] += 1;
      return;
    }
    this.#waiting.push(span);
    if (this.#exporting !== null) return;
    if (this.#waiting.length >= this.#options.batchMax) void this.#export();
    else this.#cancelTimer ??= this.#options.clock.timer(this.#options.delayMs, () => void this.#export());
  }

  /** Resolves when all that waits was exported or lost, after `FLUSH_MS` at the latest. */
  async forceFlush(): Promise<void> {
    this.#isFlushing = true;
    await inTime(this.#options.clock, FLUSH_MS, this.#export());
    this.#isFlushing = false;
  }

  async shutdown(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.forceFlush();
    this.lost["not-exported"] += this.#waiting.splice(0).length;
    this.#cancelTimer?.();
    // It may wait for an export that hangs.
    this.#options.exporter.shutdown().catch(() => undefined);
  }

  #export(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    return (this.#exporting ??= this.#exportDue().finally(() => {
      this.#exporting = null;
      if (this.#waiting.length > 0 && !this.#isClosed)
        this.#cancelTimer ??= this.#options.clock.timer(this.#options.delayMs, () => void this.#export());
    }));
  }

  /** One batch after the other, for as long as they are full. */
  async #exportDue(): Promise<void> {
    const { batchMax, onFailure } = this.#options;
    do {
      const batch = this.#waiting.splice(0, batchMax);
      if (batch.length === 0) return;
      const failure = await this.#exportBatch(batch);
      if (failure === null) continue;
      this.lost["not-exported"] += batch.length;
      onFailure(failure, batch.length);
    } while (this.#isFlushing || this.#waiting.length >= batchMax);
  }

  /** Null, or what went wrong. */
  async #exportBatch(batch: ReadableSpan[]): Promise<unknown> {
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
