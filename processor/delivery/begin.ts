/**
 * Asks, right before an event with `deliver_at` is fanned out, whether it was cancelled. From a `begun` on it cannot be. It
 * costs such an event one question to its store, and other events nothing.
 */
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { Cancellations, Decision } from "@posthaste/shared/ports/cancellations.ts";
import { retry } from "@posthaste/shared/lib/retry.ts";

/** `unknown`: the store does not say. Sending all the same might send what was cancelled. */
export type Beginning = Decision | "unknown" | "stopping";

export type Begin = (envelope: Envelope, deliverAtMs: number) => Promise<Beginning>;

/** About a second and a half, so that a store that blinks costs no detour. */
const TRIES_MAX = 5;
const BACKOFF = { firstMs: 100, maxMs: 1000 } as const;

export function createBegin(deps: {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly cancellations: Pick<Cancellations, "begin">;
  readonly signal: AbortSignal;
  readonly onFailure: (what: string, error: unknown, waitMs: number) => void;
}): Begin {
  const { clock, entropy, cancellations, signal, onFailure } = deps;
  return async ({ tenant, id, acceptedAtMs }, deliverAtMs) => {
    try {
      const begun = await retry(() => cancellations.begin({ tenant, id, acceptedAtMs, deliverAtMs }), {
        clock,
        entropy,
        signal,
        ...BACKOFF,
        onFailure: (error, waitMs) => onFailure("read cancellation", error, waitMs),
        isRetriable: (_error, attemptIndex) => attemptIndex + 1 < TRIES_MAX,
      });
      return begun.kind === "done" ? begun.value : "stopping";
    } catch (error) {
      onFailure("read cancellation", error, 0);
      return "unknown";
    }
  };
}
