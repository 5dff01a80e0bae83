/**
 * The rate limit of an API key and its header fields, `RateLimit-Policy` and `RateLimit`, with one policy named "default"
 * (ietf-wg-httpapi RateLimit header fields draft, 2025-09-23).
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { RateLimit } from "@posthaste/shared/domain/endpoint.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { LimitVerdict, RateLimiter } from "@posthaste/shared/ports/rate-limiter.ts";

/**
 * Takes `cost` units of the key, all or none, and writes the RateLimit fields into `headers`. Keys without a limit are
 * not charged. Throws 429.
 */
export async function charge(
  limiter: RateLimiter,
  caller: ApiKey,
  cost: number,
  headers: Record<string, string>,
): Promise<void> {
  const rate = caller.rateLimit;
  if (rate === null) return;
  applyVerdict(rate, await limiter.take(caller.id, rate, cost), cost, headers);
}

/** For answers that are given before a charge. */
export function announcePolicy(caller: ApiKey, headers: Record<string, string>): void {
  if (caller.rateLimit !== null) headers["ratelimit-policy"] = policyField(caller.rateLimit);
}

/** Refuses a batch that no window could ever grant, as a 429 would be repeated for ever. */
export function requireGrantable(caller: ApiKey, cost: number): void {
  const rate = caller.rateLimit;
  if (rate === null || cost <= rate.limit) return;
  const errors = [{ pointer: "#/events", detail: `must have at most ${rate.limit} events with this API key` }];
  const detail = `The rate limit of this API key grants ${rate.limit} events per ${rate.windowMs} ms; send smaller batches.`;
  throw new PosthasteError("validation-failed", { detail, errors });
}

function applyVerdict(rate: RateLimit, verdict: LimitVerdict, cost: number, headers: Record<string, string>): void {
  const resetS = Math.max(0, Math.ceil(verdict.resetMs / 1000));
  headers["ratelimit-policy"] = policyField(rate);
  headers["ratelimit"] = `"default";r=${verdict.remaining};t=${resetS}`;
  if (verdict.isGranted) return;
  const wish = cost === 1 ? "This API key has no request" : `This API key has fewer than ${cost + 1} events`;
  throw new PosthasteError("rate-limited", {
    detail: `${wish} left in its window of ${rate.windowMs} ms; wait as Retry-After says.`,
    retryAfterS: Math.max(1, resetS),
  });
}

/** `w` is whole seconds, at least 1: a shorter window shows as 1. */
function policyField({ limit, windowMs }: RateLimit): string {
  return `"default";q=${limit};w=${Math.max(1, Math.ceil(windowMs / 1000))}`;
}
