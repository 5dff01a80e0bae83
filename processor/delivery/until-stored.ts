/**
 * Writes that must happen before a delivery may be let go. They are retried until they are stored or the process stops;
 * meanwhile the item stays unacknowledged, so a stop or crash loses nothing.
 */
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import { retry } from "@posthaste/shared/lib/retry.ts";

/** True when `write` has succeeded, false when we stopped before. `what` names it in logs. */
export type UntilStored = (what: string, write: () => Promise<void>) => Promise<boolean>;

const BACKOFF = { firstMs: 50, maxMs: 5000 } as const;

export function createUntilStored(deps: {
  clock: Clock;
  entropy: Entropy;
  /** Aborted at the end of a stop. */
  signal: AbortSignal;
  onFailure(what: string, error: unknown, waitMs: number): void;
}): UntilStored {
  const { clock, entropy, signal } = deps;
  return async (what, write) => {
    const onFailure = (error: unknown, waitMs: number): void => deps.onFailure(what, error, waitMs);
    const { kind } = await retry(write, { clock, entropy, signal, ...BACKOFF, onFailure });
    return kind === "done";
  };
}
