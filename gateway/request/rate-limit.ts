/**
 * The rate limit of an API key and its header fields, `RateLimit-Policy` and `RateLimit`, with one policy named "default"
 * (ietf-wg-httpapi RateLimit header fields draft, 2025-09-23).
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { RateLimit } from "@posthaste/shared/domain/endpoint.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Grant, LimitState, LimitVerdict, RateLimiter } from "@posthaste/shared/ports/rate-limiter.ts";

/**
 * Takes `cost` units of the key, all or none, and writes the RateLimit fields into `headers`. Null for keys without a limit,
 * which are not charged. Throws 429.
 */
export async function charge(
  limiter: RateLimiter,
  caller: ApiKey,
  cost: number,
  headers: Record<string, string>,
): Promise<Grant | null> {
  const rate = caller.rateLimit;
  if (rate === null) return null;
  const verdict = await limiter.take(caller.id, rate, cost);
  writeState(rate, verdict, headers);
  if (!verdict.isGranted) throw limited(rate, verdict, cost);
  return { cost, atMs: verdict.atMs, ...(verdict.isLocal === true ? { isLocal: true } : {}) };
}

/** Gives `cost` units of a grant back and writes the fields anew. Never rejects: at worst they come back with their window. */
export async function giveBack(
  limiter: RateLimiter,
  caller: ApiKey,
  grant: Grant,
  headers: Record<string, string>,
): Promise<void> {
  const rate = caller.rateLimit;
  if (rate === null || grant.cost === 0) return;
  const state = await limiter.giveBack(caller.id, rate, grant).catch(() => null);
  if (state !== null) writeState(rate, state, headers);
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

function writeState(rate: RateLimit, state: LimitState, headers: Record<string, string>): void {
  headers["ratelimit-policy"] = policyField(rate);
  headers["ratelimit"] = `"default";r=${state.remaining};t=${inSeconds(state.resetMs)}`;
}

function limited(rate: RateLimit, verdict: LimitVerdict, cost: number): PosthasteError {
  const wish = cost === 1 ? "This API key has no request" : `This API key has fewer than ${cost} events`;
  return new PosthasteError("rate-limited", {
    detail: `${wish} left in its window of ${rate.windowMs} ms; wait as Retry-After says.`,
    retryAfterS: Math.max(1, inSeconds(verdict.resetMs)),
  });
}

function inSeconds(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1000));
}

/** `w` is whole seconds, at least 1: a shorter window shows as 1. */
function policyField({ limit, windowMs }: RateLimit): string {
  return `"default";q=${limit};w=${Math.max(1, Math.ceil(windowMs / 1000))}`;
}
