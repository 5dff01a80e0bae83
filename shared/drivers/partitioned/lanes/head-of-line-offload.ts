/**
 * Offload of a blocked head: when the first unacked record of a partition is under way for too long, or the span from
 * it to the newest is full, the records that hold it up are made durable elsewhere (`offload`), and only then acked
 * here, so that a crash at any line repeats them and never loses them. One call at a time; timers run only while
 * something is under way.
 */
import type { Envelope } from "../../../domain/envelope.ts";
import type { Cancel, Clock } from "../../../lib/ambient.ts";
import { isAborted } from "../../../lib/lifecycle.ts";
import type { OffsetWindow } from "../window/offset-window.ts";

/** Envelopes of one call of `offload`. */
export const OFFLOAD_EVENTS_MAX = 500;
/** After a call that failed. */
export const OFFLOAD_AGAIN_MS = 1000;

/** Makes sure that the events are attempted later if what is under way comes to nothing; resolves when that is durable. */
export type Offload = (envelopes: readonly Envelope[]) => Promise<void>;

export interface HeadOfLineOffload {
  /** Something was read, begun or acked: looks whether the head blocks, and when it will. */
  check(): void;
}

export function createHeadOfLineOffload(options: {
  readonly clock: Clock;
  readonly window: OffsetWindow<{ readonly envelope: Envelope | null }>;
  readonly offload: Offload;
  /** Called when it is safe to ack. */
  readonly offloaded: (offsets: readonly number[]) => void;
  /** Ends it: the partition was lost, or closes. */
  readonly signal: AbortSignal;
}): HeadOfLineOffload {
  const { clock, window, signal } = options;
  let cancel: Cancel | null = null;
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    while (!isAborted(signal)) {
      const blocking = window.blocking(clock.monotonic(), OFFLOAD_EVENTS_MAX);
      if (blocking.length === 0) break;
      try {
        await options.offload(blocking.flatMap(({ item }) => item.envelope ?? []));
      } catch {
        await clock.sleep(OFFLOAD_AGAIN_MS, signal).catch(() => undefined);
        continue;
      }
      if (!isAborted(signal)) options.offloaded(blocking.map(({ offset }) => offset));
    }
    isRunning = false;
    check();
  }

  function check(): void {
    if (isRunning || isAborted(signal)) return;
    const blocksAtMs = window.blocksAtMs();
    if (blocksAtMs === null) return;
    const waitMs = blocksAtMs - clock.monotonic();
    if (waitMs <= 0) {
      cancel?.();
      cancel = null;
      return void run();
    }
    cancel ??= clock.timer(waitMs, () => {
      cancel = null;
      check();
    });
  }

  signal.addEventListener("abort", () => cancel?.(), { once: true });
  return { check };
}
