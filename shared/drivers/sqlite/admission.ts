/**
 * The bounds of a durable queue, counted in memory: what is kept and what is about to be. LOW is refused first, HIGH
 * last, so that a backlog of the unimportant never closes the door to the important.
 */
import { PosthasteError } from "../../domain/errors.ts";
import type { Priority } from "../../domain/event.ts";

export interface QueueBounds {
  readonly itemsMax: number;
  readonly bytesMax: number;
}

/** The share of the bounds that each priority may fill. */
export const SHARE_BY_PRIORITY = { HIGH: 1, MEDIUM: 0.9, LOW: 0.8 } as const satisfies Record<Priority, number>;

/** How long a refused caller should wait, in seconds. */
export const RETRY_AFTER_S = 5;

export interface Admission {
  /** Counts the items in; false past the bound, and then it counts nothing. */
  reserve(priority: Priority, count: number, bytes: number): boolean;
  /** The error for a refused caller: `overloaded`. */
  refusal(priority: Priority): PosthasteError;
  /** Counts them out again: acknowledged, or never written. */
  free(count: number, bytes: number): void;
}

export function createAdmission(options: {
  readonly bounds: QueueBounds;
  readonly count: number;
  readonly bytes: number;
}): Admission {
  const { bounds } = options;
  let heldCount = options.count;
  let heldBytes = options.bytes;
  return {
    reserve(priority, count, bytes) {
      const share = SHARE_BY_PRIORITY[priority];
      const isFull = heldCount + count > bounds.itemsMax * share || heldBytes + bytes > bounds.bytesMax * share;
      if (isFull) return false;
      heldCount += count;
      heldBytes += bytes;
      return true;
    },
    refusal: (priority) =>
      new PosthasteError("overloaded", {
        detail:
          `The lanes hold ${heldCount} items of at most ${bounds.itemsMax} and ${heldBytes} bytes of at most ` +
          `${bounds.bytesMax}; priority ${priority} may fill ${SHARE_BY_PRIORITY[priority] * 100} % of either. Try again later.`,
        retryAfterS: RETRY_AFTER_S,
      }),
    free(count, bytes) {
      heldCount -= count;
      heldBytes -= bytes;
    },
  };
}
