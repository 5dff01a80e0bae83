/** The sliding-window log in memory: one log of grants for each subject (`grant-log.ts`), by a clock that never steps. */
import type { Clock } from "../../lib/ambient.ts";
import { assert } from "../../lib/assert.ts";
import { Lru } from "../../lib/lru.ts";
import type { RateLimit } from "../../domain/endpoint.ts";
import type { RateLimiter } from "../../ports/rate-limiter.ts";
import { grainMs, LIMIT_SUBJECTS_MAX } from "../../ports/rate-limiter.ts";
import type { GrantLog } from "./grant-log.ts";
import { createGrantLog } from "./grant-log.ts";

export interface LocalRateLimiter extends RateLimiter {
  /** Counts what somebody else granted, whether there is room for it or not. */
  note(subject: string, rate: RateLimit, cost: number): void;
}

export function createRateLimiter(options: {
  readonly clock: Pick<Clock, "monotonic">;
  readonly subjectsMax?: number;
}): LocalRateLimiter {
  const { clock } = options;
  const logs = new Lru<string, GrantLog>({ countMax: options.subjectsMax ?? LIMIT_SUBJECTS_MAX });

  function logOf(subject: string): GrantLog {
    let log = logs.get(subject);
    if (log === undefined) {
      log = createGrantLog();
      logs.set(subject, log);
    }
    return log;
  }

  return {
    note(subject, { windowMs }, cost) {
      const nowMs = Math.floor(clock.monotonic());
      const log = logOf(subject);
      log.expire(nowMs - windowMs);
      log.add(nowMs, cost, grainMs(windowMs));
    },
    async take(subject, rate, cost) {
      assert(Number.isInteger(cost) && cost >= 1, "a rate limit is charged in whole units");
      const nowMs = Math.floor(clock.monotonic());
      const log = logOf(subject);
      log.expire(nowMs - rate.windowMs);
      const isGranted = log.used() + cost <= rate.limit;
      if (isGranted) log.add(nowMs, cost, grainMs(rate.windowMs));
      const remaining = Math.max(0, rate.limit - log.used());
      if (isGranted) return { isGranted, remaining, resetMs: rate.windowMs, atMs: nowMs };
      const freedAtMs = log.timeOfUnit(log.used() + cost - rate.limit);
      const resetMs = Math.max(0, (freedAtMs ?? nowMs) + rate.windowMs - nowMs);
      return { isGranted, remaining, resetMs, atMs: nowMs };
    },
    async giveBack(subject, rate, { cost, atMs }) {
      const nowMs = Math.floor(clock.monotonic());
      const log = logOf(subject);
      log.expire(nowMs - rate.windowMs);
      if (atMs > nowMs - rate.windowMs) log.remove(atMs, cost);
      const latestMs = log.latest();
      const resetMs = latestMs === null ? 0 : Math.max(0, latestMs + rate.windowMs - nowMs);
      return { remaining: Math.max(0, rate.limit - log.used()), resetMs };
    },
  };
}
