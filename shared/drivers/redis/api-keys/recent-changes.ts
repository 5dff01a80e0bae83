/**
 * Looks again, for some minutes, at the keys that this process saved or revoked: a failover may have brought back the state
 * before the change, which nobody else can know. It looks when the connection to Redis was lost, and every half minute.
 */
import type { Cancel, Clock } from "../../../lib/ambient.ts";

/** A replica that lags for longer is not promoted by Sentinels or a cluster. */
const WATCHED_MS = 10 * 60 * 1000;
const LOOK_MS = 30_000;
/** Past it the oldest are not looked at any more. */
const CHANGES_MAX = 1000;

export interface RecentChanges extends Disposable {
  note(hash: string): void;
  /** Redis may be another one now. */
  lookNow(): void;
}

export function createRecentChanges(options: {
  readonly clock: Pick<Clock, "timer" | "monotonic">;
  /** Reads the key, and writes it back where Redis has an older state. */
  readonly look: (hash: string) => Promise<unknown>;
}): RecentChanges {
  const { clock, look } = options;
  const notedAtMs = new Map<string, number>();
  let cancel: Cancel | null = null;
  let isLooking = false;
  let isStopped = false;

  function arm(): void {
    if (cancel !== null || isStopped || notedAtMs.size === 0) return;
    cancel = clock.timer(LOOK_MS, () => {
      cancel = null;
      void lookAtAll();
    });
  }

  async function lookAtAll(): Promise<void> {
    if (isLooking || isStopped) return;
    isLooking = true;
    for (const [hash, atMs] of notedAtMs) {
      if (clock.monotonic() - atMs >= WATCHED_MS) notedAtMs.delete(hash);
      // While Redis is away the next look is the one that counts.
      else await look(hash).catch(() => undefined);
    }
    isLooking = false;
    arm();
  }

  return {
    note(hash) {
      notedAtMs.delete(hash);
      notedAtMs.set(hash, clock.monotonic());
      const [oldest] = notedAtMs.keys();
      if (notedAtMs.size > CHANGES_MAX && oldest !== undefined) notedAtMs.delete(oldest);
      arm();
    },
    lookNow: () => void lookAtAll(),
    [Symbol.dispose]() {
      isStopped = true;
      cancel?.();
    },
  };
}
