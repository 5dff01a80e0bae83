/**
 * The policy `approximate` by @upstash/ratelimit: two counters for each subject, of the window that is going on and of the one
 * before, which counts by what is left of it. Cheaper for Redis than a log of grants, and less than exact: a burst on both
 * sides of an edge of its windows gets up to twice the limit, clocks of instances that differ add to it, and a refused call that
 * asked for several units may have taken them.
 */
import { Ratelimit } from "@upstash/ratelimit";
import { assert } from "../../lib/assert.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { LimitRule, RateLimiter } from "../../ports/rate-limiter.ts";
import type { RedisScript } from "../redis/client/redis-commands.ts";
import type { EdgePlace } from "./place.ts";

/** Its scripts begin with a flag that is Upstash's own, which a plain Redis refuses; they run as well without the line. */
const UPSTASH_FLAGS = /^#!lua [^\n]*\n/u;

/** Scripts of the library, by their text: two of them. */
const scripts = new Map<string, RedisScript>();

/** Rejects as `run` does: its own way past a Redis that is slow, to let everybody pass, is off. */
export function createApproximateLimiter({
  commands,
  keys,
  clock,
}: EdgePlace & { readonly clock: Clock }): RateLimiter {
  const redis = {
    // Whether Redis knows a script is the commands' own affair.
    evalsha: () => Promise.reject(new Error("NOSCRIPT")),
    eval: (text: string, names: string[], args: unknown[]) => commands.run(scriptOf(text), names, args.map(String)),
  } as unknown as ConstructorParameters<typeof Ratelimit>[0]["redis"];

  function ask(subject: string, { limit, windowMs }: LimitRule, rate: number) {
    const limiter = new Ratelimit({
      redis,
      limiter: Ratelimit.slidingWindow(limit, `${windowMs} ms`),
      prefix: keys.key(keys.shardOf(subject), "approximate"),
      timeout: 0,
      ephemeralCache: false,
      analytics: false,
    });
    return limiter.limit(subject, { rate });
  }

  return {
    async take(subject, rule, cost) {
      assert(Number.isInteger(cost) && cost >= 1, "a rate limit is charged in whole units");
      const { success, remaining, reset } = await ask(subject, rule, cost);
      const nowMs = clock.now();
      return { isGranted: success, remaining, resetMs: Math.max(0, reset - nowMs), atMs: nowMs };
    },
    async giveBack(subject, rule, { cost }) {
      const { remaining, reset } = await ask(subject, rule, -cost);
      return { remaining, resetMs: Math.max(0, reset - clock.now()) };
    },
  };
}

function scriptOf(text: string): RedisScript {
  const known = scripts.get(text);
  if (known !== undefined) return known;
  const script: RedisScript = {
    name: "approximate-limit",
    returns: "text",
    lua: text.replace(UPSTASH_FLAGS, ""),
  };
  scripts.set(text, script);
  return script;
}

/** Each key by its own policy. */
export function byPolicy(exact: RateLimiter, approximate: RateLimiter): RateLimiter {
  const of = ({ policy = "exact" }: LimitRule): RateLimiter => (policy === "exact" ? exact : approximate);
  return {
    take: (subject, rule, cost) => of(rule).take(subject, rule, cost),
    giveBack: (subject, rule, grant) => of(rule).giveBack(subject, rule, grant),
  };
}
