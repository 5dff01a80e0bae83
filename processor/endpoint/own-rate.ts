/** The rate limit that an endpoint's owner set for it, taken one attempt at a time, shared with other processes. */
import type { Endpoint, RateLimit } from "@posthaste/shared/domain/endpoint.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { RateLimiter } from "@posthaste/shared/ports/rate-limiter.ts";

export interface OwnRateDeps {
  readonly clock: Pick<Clock, "now">;
  readonly rateLimiter: Pick<RateLimiter, "take">;
  /** No attempt before then. */
  readonly quietUntil: (atMs: number) => void;
  /** The answer is known. */
  readonly answered: () => void;
}

export interface OwnRate {
  /** Has it room for one more attempt? When that is not known, asks, and `answered` is called then. */
  hasRoom(endpoint: Endpoint): boolean;
  /** One attempt begins. */
  use(endpoint: Endpoint): void;
  isAsking(): boolean;
}

export function createOwnRate({ clock, rateLimiter, quietUntil, answered }: OwnRateDeps): OwnRate {
  /** Not used yet. */
  let grants = 0;
  let isAsking = false;

  /** One question at a time. A refusal is quiet time. */
  async function ask(endpointId: string, rateLimit: RateLimit): Promise<void> {
    isAsking = true;
    try {
      const { isGranted, resetMs } = await rateLimiter.take(`endpoint:${endpointId}`, rateLimit, 1);
      if (isGranted) grants += 1;
      else quietUntil(clock.now() + Math.max(1, resetMs));
    } catch {
      grants += 1; // A limiter that is out of order must not stop deliveries.
    }
    isAsking = false;
    answered();
  }

  return {
    hasRoom({ id, rateLimit }) {
      if (rateLimit === null || grants > 0) return true;
      if (!isAsking) void ask(id, rateLimit);
      return false;
    },
    use({ rateLimit }) {
      if (rateLimit !== null) grants -= 1;
    },
    isAsking: () => isAsking,
  };
}
