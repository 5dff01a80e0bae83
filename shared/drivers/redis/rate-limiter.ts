/**
 * The sliding-window log in Redis, one for all processes. In no window, wherever it begins, are more than `limit` units
 * granted; what is refused leaves no trace.
 */
import { assert } from "../../lib/assert.ts";
import type { LimitVerdict, RateLimiter } from "../../ports/rate-limiter.ts";
import { grainMs, LIMIT_SUBJECTS_MAX } from "../../ports/rate-limiter.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands, RedisReply } from "./client/redis-commands.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisScript } from "./client/redis-commands.ts";
import { STALL_MS } from "./client/redis-commands.ts";

/** A log outlives its window by this much, so that only what counts for nothing is ever cleaned away. */
const LOG_SLACK_MS = 60_000;

/** How far back the server's clock may step, or a failover's be behind, with limits going on from where they were. */
const CLOCK_STEP_MS_MAX = 7 * 24 * 3600 * 1000;

export const TAKE_UNITS: RedisScript = luaScript({
  name: "take-units",
  returns: "text",
  files: ["take-units"],
  constants: { LOG_SLACK_MS, CLOCK_STEP_MS_MAX },
  silenceMsMax: STALL_MS,
});

export const GIVE_BACK_UNITS: RedisScript = luaScript({
  name: "give-back-units",
  returns: "text",
  files: ["give-back-units"],
  constants: { LOG_SLACK_MS },
  silenceMsMax: STALL_MS,
});

/** Rejects with `store-unavailable`; the units may have been taken all the same. */
export function createRedisRateLimiter(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  /** Subjects remembered in each shard; past it the one idle longest is forgotten. */
  readonly subjectsMax?: number;
}): RateLimiter {
  const { commands, keys, subjectsMax = LIMIT_SUBJECTS_MAX } = options;
  return {
    async take(subject, rate, cost) {
      assert(Number.isInteger(cost) && cost >= 1, "a rate limit is charged in whole units");
      const shard = keys.shardOf(subject);
      const names = [`limit:${subject}`, "limit-subjects", "limit-clock"].map((name) => keys.key(shard, name));
      const args = [rate.limit, rate.windowMs, cost, subjectsMax, grainMs(rate.windowMs)];
      return toVerdict(await commands.run(TAKE_UNITS, names, args));
    },
    async giveBack(subject, rate, { cost, atMs }) {
      const shard = keys.shardOf(subject);
      const names = [`limit:${subject}`, "limit-clock"].map((name) => keys.key(shard, name));
      const reply = await commands.run(GIVE_BACK_UNITS, names, [rate.limit, rate.windowMs, cost, atMs]);
      const [remaining = 0, resetMs = 0] = numbersOf(reply, 2);
      return { remaining, resetMs };
    },
  };
}

function toVerdict(reply: RedisReply): LimitVerdict {
  const [granted, remaining = 0, resetMs = 0, atMs = 0] = numbersOf(reply, 4);
  return { isGranted: granted === 1, remaining, resetMs, atMs };
}

function numbersOf(reply: RedisReply, count: number): readonly number[] {
  assert(Array.isArray(reply) && reply.length === count, "a script of the rate limit answers with a list");
  const numbers = (reply as readonly RedisReply[]).map(Number);
  assert(numbers.every(Number.isFinite), "a script of the rate limit answers with numbers");
  return numbers;
}
