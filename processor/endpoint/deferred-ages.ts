/**
 * How old the oldest delivery is that this process has deferred or has taken back and not ended: for metrics. It is forgotten
 * when it comes back here, and at the time that it was deferred to at the latest, for it may come to another process. What
 * was recalled there counts here until then. Known to the second.
 */
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import { oldestAcceptanceMs } from "../delivery/pending-delivery.ts";

const BUCKET_MS = 1000;
/** Seconds of acceptance that are told apart, more than a day; past it newer ones are left out, for the oldest counts. */
const BUCKETS_MAX = 100_000;
/** A delivery that is due is taken back a little later. */
const LATE_MS = 5000;

interface Bucket {
  count: number;
  oldestAtMs: number;
  untilMs: number;
}

export interface DeferredAges {
  /** `untilMs` by the retry queue's clock. */
  deferred(delivery: Pick<PendingDelivery, "members">, untilMs: number): void;
  /** One that may have been deferred here is taken back. */
  came(delivery: Pick<PendingDelivery, "members" | "deferrals" | "unmade">): void;
  /** When the oldest was accepted, in epoch ms; null when there is none. */
  oldestAtMs(nowMs: number): number | null;
}

export function createDeferredAges(): DeferredAges {
  const buckets = new Map<number, Bucket>();
  return {
    deferred(delivery, untilMs) {
      const acceptedAtMs = oldestAcceptanceMs(delivery);
      const key = Math.floor(acceptedAtMs / BUCKET_MS);
      const bucket = buckets.get(key);
      if (bucket !== undefined) {
        bucket.count += 1;
        bucket.oldestAtMs = Math.min(bucket.oldestAtMs, acceptedAtMs);
        bucket.untilMs = Math.max(bucket.untilMs, untilMs);
      } else if (buckets.size < BUCKETS_MAX) buckets.set(key, { count: 1, oldestAtMs: acceptedAtMs, untilMs });
    },
    came(delivery) {
      if (delivery.deferrals + delivery.unmade === 0) return;
      const key = Math.floor(oldestAcceptanceMs(delivery) / BUCKET_MS);
      const bucket = buckets.get(key);
      if (bucket === undefined) return;
      bucket.count -= 1;
      if (bucket.count === 0) buckets.delete(key);
    },
    oldestAtMs(nowMs) {
      let oldestAtMs: number | null = null;
      for (const [key, bucket] of buckets) {
        if (bucket.untilMs + LATE_MS < nowMs) buckets.delete(key);
        else oldestAtMs = Math.min(oldestAtMs ?? Infinity, bucket.oldestAtMs);
      }
      return oldestAtMs;
    },
  };
}
