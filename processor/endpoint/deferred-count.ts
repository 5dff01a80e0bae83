/**
 * How many deliveries of one endpoint this process has deferred that are not due yet. Counted by time and not by their
 * return, for another process may be the one that they come back to. All times are of the retry queue's clock, which is that of
 * the day: when it is set, the queue gives them back sooner or later, and so they count less or longer.
 */
export interface DeferredCount {
  /** `acceptedAtMs` is when its event was accepted. */
  add(dueAtMs: number, acceptedAtMs: number): void;
  /** So many came back before their time: those that were due soonest. */
  take(count: number): void;
  count(nowMs: number): number;
  /** When the oldest of them was accepted; of those due in one second the oldest stands for all. Null when there are none. */
  oldestAtMs(nowMs: number): number | null;
  /** When no more than `most` of them will be left; at once when there are no more now. */
  whenAtMostMs(most: number, nowMs: number): number;
}

/** Times are rounded up to it, which bounds what is remembered: a delivery is deferred for two hours at most. */
const BUCKET_MS = 1000;

export function createDeferredCount(): DeferredCount {
  const byDueMs = new Map<number, { count: number; oldestAtMs: number }>();
  let total = 0;
  let soonestMs = Infinity;
  const bucketOf = (dueAtMs: number): number => Math.ceil(dueAtMs / BUCKET_MS) * BUCKET_MS;

  function forgetDue(nowMs: number): void {
    if (nowMs < soonestMs) return;
    soonestMs = Infinity;
    for (const [dueMs, { count }] of byDueMs) {
      if (dueMs > nowMs) {
        soonestMs = Math.min(soonestMs, dueMs);
      } else {
        byDueMs.delete(dueMs);
        total -= count;
      }
    }
  }

  const inOrder = () => Array.from(byDueMs).toSorted(([one], [other]) => one - other);

  return {
    add(dueAtMs, acceptedAtMs) {
      const dueMs = bucketOf(dueAtMs);
      const { count, oldestAtMs } = byDueMs.get(dueMs) ?? { count: 0, oldestAtMs: Infinity };
      byDueMs.set(dueMs, { count: count + 1, oldestAtMs: Math.min(oldestAtMs, acceptedAtMs) });
      total += 1;
      soonestMs = Math.min(soonestMs, dueMs);
    },
    take(count) {
      let left = Math.min(count, total);
      if (left === 0) return;
      total -= left;
      for (const [dueMs, there] of inOrder()) {
        if (there.count > left) {
          there.count -= left;
          break;
        }
        byDueMs.delete(dueMs);
        left -= there.count;
      }
    },
    count(nowMs) {
      forgetDue(nowMs);
      return total;
    },
    oldestAtMs(nowMs) {
      forgetDue(nowMs);
      return byDueMs.size === 0 ? null : Math.min(...byDueMs.values().map((bucket) => bucket.oldestAtMs));
    },
    whenAtMostMs(most, nowMs) {
      forgetDue(nowMs);
      let left = total;
      for (const [dueMs, { count }] of inOrder()) {
        if (left <= most) break;
        left -= count;
        if (left <= most) return dueMs;
      }
      return nowMs;
    },
  };
}
