/**
 * The sliding-window log in Redis, one for all processes. In no window, wherever it begins, are more than `limit` units
 * granted; what is refused leaves no trace.
 */
import type { Clock } from "../../lib/ambient.ts";
import { assert } from "../../lib/assert.ts";
import type { LimitRule, LimitVerdict, RateLimiter } from "../../ports/rate-limiter.ts";
import { grainMs, LIMIT_SUBJECTS_MAX } from "../../ports/rate-limiter.ts";
import { joinCalls } from "./client/joined-calls.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands, RedisReply } from "./client/redis-commands.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisScript } from "./client/redis-commands.ts";
import { STALL_MS } from "./client/redis-commands.ts";

/** A log outlives its window by this much, so that only what counts for nothing is ever cleaned away. */
const LOG_SLACK_MS = 60_000;

/** How far back the server's clock may step, or a failover's be behind, with limits going on from where they were. */
const CLOCK_STEP_MS_MAX = 7 * 24 * 3600 * 1000;

/** Of the arguments of one call, about. */
const TAKE_BYTES = 100;

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

/**
 * Rejects with `store-unavailable`; the units may have been taken all the same. With a `clock` the calls of one turn of the event
 * loop share a script.
 */
export function createRedisRateLimiter(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly clock: Pick<Clock, "soon"> | null;
  /** Subjects remembered in each shard; past it the one idle longest is forgotten. */
  readonly subjectsMax?: number;
}): RateLimiter {
  const { commands, keys, clock, subjectsMax = LIMIT_SUBJECTS_MAX } = options;

  async function takeAll(shard: number, takes: readonly Take[]): Promise<readonly LimitVerdict[]> {
    const logs = byLog(takes);
    const names = logs.map(([first]) => `limit:${first?.subject ?? ""}`);
    const args = logs.flatMap((ofLog) => [...rateArguments(ofLog), ...ofLog.map(({ cost }) => cost)]);
    const place = ["limit-subjects", "limit-clock", ...names].map((name) => keys.key(shard, name));
    const reply = await commands.run(TAKE_UNITS, place, [subjectsMax, ...args]);
    const verdicts = verdictsOf(logs.flat(), numbersOf(reply, 1 + 3 * takes.length));
    return takes.map((take) => verdicts.get(take) as LimitVerdict);
  }

  const join = joinCalls({ clock, run: takeAll });
  return {
    take(subject, rate, cost) {
      assert(Number.isInteger(cost) && cost >= 1, "a rate limit is charged in whole units");
      return join(keys.shardOf(subject), { subject, rate, cost }, TAKE_BYTES);
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

interface Take {
  readonly subject: string;
  readonly rate: LimitRule;
  readonly cost: number;
}

/** Calls of one subject at one rate share a log's entry; where a limit was changed a moment ago each call stays by itself, in order. */
function byLog(takes: readonly Take[]): readonly (readonly Take[])[] {
  const logs = [...Map.groupBy(takes, logOf).values()];
  const subjects = new Set(takes.map(({ subject }) => subject));
  return subjects.size === logs.length ? logs : takes.map((take) => [take]);
}

function logOf({ subject, rate }: Take): string {
  return `${rate.limit}/${rate.windowMs}/${subject}`;
}

function rateArguments(takes: readonly Take[]): readonly number[] {
  const { limit = 0, windowMs = 0 } = takes[0]?.rate ?? {};
  return [limit, windowMs, grainMs(windowMs), takes.length];
}

/** The time first, then three numbers for each call. */
function verdictsOf(takes: readonly Take[], numbers: readonly number[]): ReadonlyMap<Take, LimitVerdict> {
  const atMs = numbers[0] ?? 0;
  return new Map(
    takes.map((take, index) => {
      const [granted, remaining = 0, resetMs = 0] = numbers.slice(1 + 3 * index, 4 + 3 * index);
      return [take, { isGranted: granted === 1, remaining, resetMs, atMs }];
    }),
  );
}

function numbersOf(reply: RedisReply, count: number): readonly number[] {
  assert(Array.isArray(reply) && reply.length === count, "a script of the rate limit answers with a list");
  const numbers = (reply as readonly RedisReply[]).map(Number);
  assert(numbers.every(Number.isFinite), "a script of the rate limit answers with numbers");
  return numbers;
}
