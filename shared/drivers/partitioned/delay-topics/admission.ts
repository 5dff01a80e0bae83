/**
 * The bound of the retry queue in items, over all processes: what the partition log keeps, measured now and then, and what was added
 * and acked here since. Between two measurements others may add unseen, so the bound is soft by as much.
 */
import type { Clock } from "../../../lib/ambient.ts";

/** A measurement counts this long. */
const MEASURED_MS = 5000;
/** While the queue is full, it is measured again at most this often. */
const FULL_MEASURED_MS = 500;

export interface DelayAdmission {
  /** False past the bound. Waits for a measurement only when there was none yet or the bound seems reached. */
  reserve(count: number): Promise<boolean>;
  /** Settled, or not written. */
  free(count: number): void;
}

export function createDelayAdmission(options: {
  readonly itemsMax: number;
  readonly clock: Pick<Clock, "monotonic">;
  /** Items not acked, of all processes. */
  readonly measure: () => Promise<number>;
  /** Told of measurements that failed; the last one stands until the next succeeds. */
  readonly onFault: (what: string, error: unknown) => void;
}): DelayAdmission {
  const { itemsMax, clock } = options;
  let measured = 0;
  let measuredAtMs = -Infinity;
  let addedSince = 0;
  let underWay: Promise<void> | null = null;

  const count = (): number => Math.max(0, measured + addedSince);
  const isOlderThan = (ageMs: number): boolean => clock.monotonic() - measuredAtMs >= ageMs;

  async function measure(): Promise<void> {
    measuredAtMs = clock.monotonic();
    // What changes while the partition log is asked may be counted twice, or not at all: for one measurement.
    const addedBefore = addedSince;
    try {
      measured = await options.measure();
      addedSince -= addedBefore;
    } catch (error) {
      options.onFault("measure the retry queue", error);
    }
  }

  function measureOnce(): Promise<void> {
    underWay ??= measure().finally(() => (underWay = null));
    return underWay;
  }

  return {
    async reserve(added) {
      const isFull = (): boolean => count() + added > itemsMax;
      if (measuredAtMs === -Infinity || (isFull() && isOlderThan(FULL_MEASURED_MS))) await measureOnce();
      else if (isOlderThan(MEASURED_MS)) void measureOnce();
      if (isFull()) return false;
      addedSince += added;
      return true;
    },
    free(freed) {
      addedSince -= freed;
    },
  };
}
