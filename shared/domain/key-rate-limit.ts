/** The rate limit of an API key, and what stands in for it while the limiter that all processes share cannot be asked. */
import * as v from "valibot";
import type { RateLimit } from "./endpoint.ts";
import { RateLimitSetting } from "./endpoint.ts";

/**
 * `local`: each process keeps a window of its own, with its share of the limit. `closed`: requests are refused with 503.
 * `open`: no limit holds. From strict to loose: `closed`, `local`, `open`.
 */
export const FailureMode = v.picklist(["local", "closed", "open"], "must be local, closed or open");
export type FailureMode = v.InferOutput<typeof FailureMode>;

/**
 * `exact`: in no window more than the limit passes, however many gateways share it. `approximate`: gateways at the edge go by two
 * counters and their own clocks (`drivers/edge/approximate-limiter.ts`), and let up to about twice the limit pass around the
 * edge of a window; all others are exact.
 */
export const LimitPolicy = v.picklist(["exact", "approximate"], "must be exact or approximate");
export type LimitPolicy = v.InferOutput<typeof LimitPolicy>;

export interface KeyRateLimit extends RateLimit {
  readonly failureMode: FailureMode;
  /** `exact` when it is left out. */
  readonly policy?: LimitPolicy;
}

/** Without a mode, the creator's own decides (`api-key-grant.ts`). */
export type KeyRateLimitWish = Omit<KeyRateLimit, "failureMode"> & { readonly failureMode: FailureMode | null };

const { limit, window_ms } = RateLimitSetting.pipe[0].entries;
export const KeyRateLimitSetting = v.pipe(
  v.strictObject({
    limit,
    window_ms,
    failure_mode: v.pipe(
      v.optional(FailureMode),
      v.description("What holds while the Redis of the limits cannot be asked."),
    ),
    policy: v.pipe(
      v.optional(LimitPolicy),
      v.description("At the edge `approximate` counts more cheaply, and lets up to twice the limit pass."),
    ),
  }),
  v.transform((wish): KeyRateLimitWish => ({
    limit: wish.limit,
    windowMs: wish.window_ms,
    failureMode: wish.failure_mode ?? null,
    ...(wish.policy === "approximate" ? { policy: wish.policy } : {}),
  })),
);

const LOOSENESS = { closed: 0, local: 1, open: 2 } as const satisfies Record<FailureMode, number>;

export function isLooser(left: FailureMode, right: FailureMode): boolean {
  return LOOSENESS[left] > LOOSENESS[right];
}
