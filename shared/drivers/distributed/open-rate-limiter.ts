/** The limiter in Redis and the one in the process, put together. */
import type { Clock } from "../../lib/ambient.ts";
import type { RateLimiter } from "../../ports/rate-limiter.ts";
import { createRateLimiter } from "../memory/rate-limiter.ts";
import type { KeySpace } from "../redis/client/key-space.ts";
import type { RedisCommands } from "../redis/client/redis-commands.ts";
import { createRedisRateLimiter } from "../redis/rate-limiter.ts";
import type { LimitEvents, LimiterLine } from "./rate-limiter.ts";
import { createDistributedLimiter } from "./rate-limiter.ts";

export function openRateLimiter(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly clock: Clock;
  readonly cacheLine: LimiterLine;
  readonly limits: { readonly processes: number; readonly events: LimitEvents };
  /** `LIMIT_SUBJECTS_MAX` when undefined. */
  readonly subjectsMax: number | undefined;
}): RateLimiter {
  const { commands, keys, clock, subjectsMax } = options;
  const subjects = subjectsMax === undefined ? {} : { subjectsMax };
  return createDistributedLimiter({
    shared: createRedisRateLimiter({ commands, keys, clock, ...subjects }),
    local: createRateLimiter({ clock, ...subjects }),
    line: options.cacheLine,
    clock,
    ...options.limits,
  });
}
