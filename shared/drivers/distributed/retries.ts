/**
 * The retry queue of the distributed set makes known to the ledger what enters by this door alone: test events, and
 * replays of events whose record is gone. The ledger is a projection, so a failure there is reported and stops nothing.
 */
import type { Envelope } from "../../domain/envelope.ts";
import type { RetryQueue } from "../../ports/retry-queue.ts";

export function withKnownReplays(
  retryQueue: RetryQueue,
  deps: {
    readonly remember: (envelopes: readonly Envelope[]) => Promise<readonly Envelope[]>;
    readonly forget: (envelopes: readonly Envelope[]) => Promise<void>;
    readonly onFault: (error: unknown) => void;
  },
): RetryQueue {
  return {
    ...retryQueue,
    async schedule(items) {
      const replayed = items.filter(({ cause }) => cause === "replay").flatMap(({ members }) => members);
      if (replayed.length === 0) return await retryQueue.schedule(items);
      // Before the item can be taken, so that what becomes of it finds its event.
      const known = await deps.remember(replayed).catch((error: unknown): readonly Envelope[] => {
        deps.onFault(error);
        return [];
      });
      let isPlanned = false;
      try {
        const result = await retryQueue.schedule(items);
        isPlanned = result.kind !== "full";
        return result;
      } finally {
        // What was refused must not be shown as pending.
        if (!isPlanned && known.length > 0) await deps.forget(known).catch(deps.onFault);
      }
    },
  };
}
