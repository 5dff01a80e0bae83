/**
 * The exact sliding-window log in memory. One ring of grants for each subject, which grows with use and not with the
 * limit; grants of one millisecond share an entry. A grant at `t` counts in the windows that contain `t` and stops
 * counting at `t + windowMs`.
 */
import type { Clock } from "../../lib/ambient.ts";
import { assert } from "../../lib/assert.ts";
import { Lru } from "../../lib/lru.ts";
import type { RateLimiter } from "../../ports/rate-limiter.ts";
import { LIMIT_SUBJECTS_MAX } from "../../ports/rate-limiter.ts";

export function createRateLimiter(options: {
  readonly clock: Pick<Clock, "now">;
  readonly subjectsMax?: number;
}): RateLimiter {
  const now = createSteadyNow(options.clock);
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
    async take(subject, rate, cost) {
      assert(Number.isInteger(cost) && cost >= 1, "a rate limit is charged in whole units");
      const nowMs = now();
      const log = logOf(subject);
      log.expire(nowMs - rate.windowMs);
      const isGranted = log.used() + cost <= rate.limit;
      if (isGranted) log.add(nowMs, cost);
      const remaining = Math.max(0, rate.limit - log.used());
      if (isGranted) return { isGranted, remaining, resetMs: rate.windowMs };
      const freedAtMs = log.timeOfUnit(log.used() + cost - rate.limit);
      return { isGranted, remaining, resetMs: Math.max(0, (freedAtMs ?? nowMs) + rate.windowMs - nowMs) };
    },
  };
}

interface GrantLog {
  /** Forgets the grants at or before `atMs`. */
  expire(atMs: number): void;
  /** Units that count. */
  used(): number;
  add(atMs: number, units: number): void;
  /** When the unit number `count` (from 1, oldest first) was granted; null when there are fewer. */
  timeOfUnit(count: number): number | null;
}

const RING_LENGTH_MIN = 8;

function createGrantLog(): GrantLog {
  let times = new Float64Array(RING_LENGTH_MIN);
  let units = new Float64Array(RING_LENGTH_MIN);
  let head = 0;
  let count = 0;
  let used = 0;

  /** Copies the entries in order into rings of another length, a power of two. */
  function resize(length: number): void {
    const [oldTimes, oldUnits] = [times, units];
    times = new Float64Array(length);
    units = new Float64Array(length);
    for (let index = 0; index < count; index++) {
      const from = (head + index) & (oldTimes.length - 1);
      times[index] = oldTimes[from] ?? 0;
      units[index] = oldUnits[from] ?? 0;
    }
    head = 0;
  }

  return {
    expire(atMs) {
      while (count > 0 && (times[head] ?? 0) <= atMs) {
        used -= units[head] ?? 0;
        head = (head + 1) & (times.length - 1);
        count--;
      }
      if (times.length > RING_LENGTH_MIN && count * 4 <= times.length) resize(times.length / 2);
    },
    used: () => used,
    add(atMs, added) {
      used += added;
      const last = (head + count - 1) & (times.length - 1);
      if (count > 0 && times[last] === atMs) {
        units[last] = (units[last] ?? 0) + added;
        return;
      }
      if (count === times.length) resize(times.length * 2);
      const next = (head + count) & (times.length - 1);
      times[next] = atMs;
      units[next] = added;
      count++;
    },
    timeOfUnit(wanted) {
      let seen = 0;
      for (let index = 0; index < count; index++) {
        const at = (head + index) & (times.length - 1);
        seen += units[at] ?? 0;
        if (seen >= wanted) return times[at] ?? null;
      }
      return null;
    },
  };
}

/** Wall-clock time that never goes back: after a step back it goes on from where it was, at the same pace. */
function createSteadyNow(clock: Pick<Clock, "now">): () => number {
  let lastMs = Number.NEGATIVE_INFINITY;
  let offsetMs = 0;
  return () => {
    const nowMs = clock.now() + offsetMs;
    if (nowMs >= lastMs) {
      lastMs = nowMs;
      return nowMs;
    }
    offsetMs += lastMs - nowMs;
    return lastMs;
  };
}
