/**
 * How much of a queue may be unsettled in this process at once, in items and bytes. The taker waits here; that wait is
 * the back-pressure that leaves overflow in the queue.
 */
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";

export interface WindowBounds {
  readonly itemsMax: number;
  readonly bytesMax: number;
}

export interface Window {
  /** Waits for room; resolves with how many items may be taken now, 0 only when aborted. */
  room(signal: AbortSignal): Promise<number>;
  hold(bytes: number): void;
  free(bytes: number): void;
  count(): number;
  isFull(): boolean;
}

/** Past its bytes the window still lets one item in when it is empty, so that no item is too large for ever. */
export function createWindow(bounds: WindowBounds): Window {
  let items = 0;
  let bytes = 0;
  let wake: (() => void) | null = null;
  const free = () => (bytes >= bounds.bytesMax && items > 0 ? 0 : Math.max(0, bounds.itemsMax - items));

  return {
    async room(signal) {
      while (free() === 0 && !isAborted(signal)) {
        await new Promise<void>((resolve) => {
          const settle = () => {
            signal.removeEventListener("abort", settle);
            resolve();
          };
          wake = settle;
          signal.addEventListener("abort", settle, { once: true });
        });
      }
      return isAborted(signal) ? 0 : free();
    },
    hold(size) {
      items += 1;
      bytes += size;
    },
    free(size) {
      items -= 1;
      bytes -= size;
      if (wake !== null && free() > 0) {
        const waiter = wake;
        wake = null;
        waiter();
      }
    },
    count: () => items,
    isFull: () => free() === 0,
  };
}
