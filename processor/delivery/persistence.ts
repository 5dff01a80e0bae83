/**
 * Writes that must happen before an item may be let go. They are repeated with a doubling, jittered wait until they
 * succeed or the process stops; meanwhile the item stays unacknowledged, so a stop or crash loses nothing.
 */
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import { isAborted } from "@posthaste/shared/lib/lifecycle.ts";

export type Persist = (what: string, write: () => Promise<void>) => Promise<boolean>;

const WAIT_MS = 50;
const WAIT_MS_MAX = 5000;

export function createPersist(deps: {
  clock: Clock;
  entropy: Entropy;
  /** Aborted at the end of a stop. */
  signal: AbortSignal;
  onFailure(what: string, error: unknown, waitMs: number): void;
}): Persist {
  return async (what, write) => {
    for (let waitMs = WAIT_MS; !isAborted(deps.signal); waitMs = Math.min(waitMs * 2, WAIT_MS_MAX)) {
      try {
        await write();
        return true;
      } catch (error) {
        const jitteredMs = waitMs * (0.5 + deps.entropy.fraction());
        deps.onFailure(what, error, jitteredMs);
        await deps.clock.sleep(jitteredMs, deps.signal).catch(() => undefined);
      }
    }
    return false;
  };
}
