/**
 * How much of a queue may be unsettled in this process at once, in deliveries and bytes: an item counts one, and after
 * its fan-out as many as there are deliveries of it left. The waiter waits here; that wait is
 * the back-pressure that leaves overflow in the queue.
 */
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";
import { onAbort } from "@posthaste/shared/lib/on-abort.ts";

/** Items that a loop asks for at once. */
export const TAKE_MAX = 256;

export interface WindowBounds {
  readonly itemsMax: number;
  readonly bytesMax: number;
}

export interface Window {
  /** Waits for room; resolves with how many items may be taken now, 0 only when aborted. */
  room(signal: AbortSignal): Promise<number>;
  /** Takes an item in; it weighs 1. */
  hold(bytes: number): void;
  /** An item that weighed `before` weighs `after` now; at least 1 each. */
  weigh(before: number, after: number): void;
  /** Lets an item go that weighs `weight`. */
  free(bytes: number, weight: number): void;
  /** What all items held weigh. */
  count(): number;
  isFull(): boolean;
}

/** Past its bytes the window still lets one item in when it is empty, so that no item is too large for ever. */
export function createWindow(bounds: WindowBounds): Window {
  let weight = 0;
  let bytes = 0;
  let wake: (() => void) | null = null;
  const room = () => (bytes >= bounds.bytesMax && weight > 0 ? 0 : Math.max(0, bounds.itemsMax - weight));
  const wakeWaiter = () => {
    if (wake === null || room() === 0) return;
    const waiter = wake;
    wake = null;
    waiter();
  };

  return {
    async room(signal) {
      while (room() === 0 && !isAborted(signal)) {
        await new Promise<void>((resolve) => {
          const cancel = onAbort(signal, resolve);
          wake = () => {
            cancel();
            resolve();
          };
        });
      }
      return isAborted(signal) ? 0 : room();
    },
    hold(size) {
      weight += 1;
      bytes += size;
    },
    weigh(before, after) {
      weight += after - before;
      wakeWaiter();
    },
    free(size, itemWeight) {
      weight -= itemWeight;
      bytes -= size;
      wakeWaiter();
    },
    count: () => weight,
    isFull: () => room() === 0,
  };
}
