/** What was taken from the retry queue and has not ended: for the age of the oldest. At most as much as its window lets in. */
import type { RetryItem } from "@posthaste/shared/ports/retry-queue.ts";
import { oldestAcceptanceMs } from "../delivery/pending-delivery.ts";

type Taken = Pick<RetryItem, "members" | "deferrals" | "unmade">;

export interface InHand {
  /** What is returned is called at its end. */
  take(item: Taken): () => void;
  /** When the oldest was accepted, in epoch ms; null when there is none. */
  oldestAtMs(): number | null;
}

/** `came` is told of each item. */
export function createInHand(came: (item: Taken) => void): InHand {
  const held = new Set<{ readonly acceptedAtMs: number }>();
  return {
    take(item) {
      const own = { acceptedAtMs: oldestAcceptanceMs(item) };
      held.add(own);
      came(item);
      return () => void held.delete(own);
    },
    oldestAtMs() {
      let oldestAtMs: number | null = null;
      for (const { acceptedAtMs } of held) oldestAtMs = Math.min(oldestAtMs ?? Infinity, acceptedAtMs);
      return oldestAtMs;
    },
  };
}
