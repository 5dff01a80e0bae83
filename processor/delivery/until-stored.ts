/**
 * Writes that must happen before a delivery may be let go. They are retried until they are stored or the process stops;
 * meanwhile the item stays unacknowledged, so a stop or crash loses nothing.
 */
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { Retried } from "@posthaste/shared/lib/retry.ts";
import { retry } from "@posthaste/shared/lib/retry.ts";

/** What `write` gave, or `aborted` when we stopped before it succeeded. `what` names it in logs. */
export type UntilStored = <Value>(what: string, write: () => Promise<Value>) => Promise<Retried<Value>>;

const BACKOFF = { firstMs: 50, maxMs: 5000 } as const;

export function createUntilStored(deps: {
  clock: Clock;
  entropy: Entropy;
  /** Aborted at the end of a stop. */
  signal: AbortSignal;
  onFailure(what: string, error: unknown, waitMs: number): void;
}): UntilStored {
  const { clock, entropy, signal } = deps;
  return (what, write) => {
    const onFailure = (error: unknown, waitMs: number): void => deps.onFailure(what, error, waitMs);
    return retry(write, { clock, entropy, signal, ...BACKOFF, onFailure });
  };
}
