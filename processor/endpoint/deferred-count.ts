/**
 * How many deliveries of one endpoint this process has deferred that are not due yet. Counted by time and not by their
 * return, for another process may be the one that they come back to. All times are of the retry queue's clock, which is that of
 * the day: when it is set, the queue gives them back sooner or later, and so they count less or longer.
 */
export interface DeferredCount {
  add(dueAtMs: number): void;
  /** So many came back before their time: those that were due soonest. */
  take(count: number): void;
  count(nowMs: number): number;
  /** When no more than `most` of them will be left; at once when there are no more now. */
  whenAtMostMs(most: number, nowMs: number): number;
}

/** Times are rounded up to it, which bounds what is remembered: a delivery is deferred for two hours at most. */
const BUCKET_MS = 1000;

export function createDeferredCount(): DeferredCount {
  const countByDueMs = new Map<number, number>();
  let total = 0;
  let soonestMs = Infinity;
  const bucketOf = (dueAtMs: number): number => Math.ceil(dueAtMs / BUCKET_MS) * BUCKET_MS;

  function forgetDue(nowMs: number): void {
    if (nowMs < soonestMs) return;
    soonestMs = Infinity;
    for (const [dueMs, count] of countByDueMs) {
      if (dueMs > nowMs) {
        soonestMs = Math.min(soonestMs, dueMs);
      } else {
        countByDueMs.delete(dueMs);
        total -= count;
      }
    }
  }

  const inOrder = () => Array.from(countByDueMs).toSorted(([one], [other]) => one - other);

  return {
    add(dueAtMs) {
      const dueMs = bucketOf(dueAtMs);
      countByDueMs.set(dueMs, (countByDueMs.get(dueMs) ?? 0) + 1);
      total += 1;
      soonestMs = Math.min(soonestMs, dueMs);
    },
    take(count) {
      let left = Math.min(count, total);
      if (left === 0) return;
      total -= left;
      for (const [dueMs, there] of inOrder()) {
        if (there > left) {
          countByDueMs.set(dueMs, there - left);
          break;
        }
        countByDueMs.delete(dueMs);
        left -= there;
      }
    },
    count(nowMs) {
      forgetDue(nowMs);
      return total;
    },
    whenAtMostMs(most, nowMs) {
      forgetDue(nowMs);
      let left = total;
      for (const [dueMs, count] of inOrder()) {
        if (left <= most) break;
        left -= count;
        if (left <= most) return dueMs;
      }
      return nowMs;
    },
  };
}
