/**
 * The retry queue of the distributed set makes known to the ledger what enters by this door alone: test events, and
 * replays of events whose record is gone. The ledger is a projection, so a failure there is reported and stops nothing.
 */
import type { RetryQueue } from "../../ports/retry-queue.ts";
import type { KnownEvents } from "./known-events.ts";

export function withKnownReplays(
  retryQueue: RetryQueue,
  known: Pick<KnownEvents, "remember" | "rememberLater" | "forget">,
): RetryQueue {
  return {
    ...retryQueue,
    async schedule(items) {
      const replayed = items.filter(({ cause }) => cause === "replay").flatMap(({ members }) => members);
      if (replayed.length === 0) return await retryQueue.schedule(items);
      // Before the item can be taken, so that what becomes of it finds its event.
      const told = await known.remember(replayed);
      let isPlanned = false;
      try {
        const result = await retryQueue.schedule(items);
        isPlanned = result.kind !== "full";
        return result;
      } finally {
        // What was refused must not be shown as pending.
        if (!isPlanned && told !== null && told.length > 0) await known.forget(told);
        if (isPlanned && told === null) known.rememberLater(replayed);
      }
    },
  };
}
