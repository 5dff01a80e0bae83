/** What the policy `approximate` lets pass, on a real Redis over HTTP: the figures that docs/edge.md states. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mock, test } from "node:test";
import { createApproximateLimiter } from "@posthaste/shared/drivers/edge/approximate-limiter.ts";
import { openHttpRedis } from "@posthaste/shared/drivers/redis/client/http-commands.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { RateLimiter } from "@posthaste/shared/ports/rate-limiter.ts";
import { START_MS } from "../../support/samples.ts";
import { openRest } from "../../support/upstash/open-rest.ts";

const RULE = { limit: 20, windowMs: 60_000, policy: "approximate" } as const;
/** `START_MS` is the beginning of one of its windows. */
const STEP_MS = RULE.windowMs / 100;

/** The library's clock is the process's; `at` sets it. */
async function withLimiter(work: (limiter: RateLimiter, at: (ms: number) => void) => Promise<void>): Promise<void> {
  await using rest = await openRest();
  const now = mock.method(Date, "now");
  try {
    const commands = openHttpRedis({ address: rest, name: "REST", fetch, clock: systemClock, time: "server" });
    const keys = createKeySpace({ shards: 1, prefix: `t${randomBytes(6).toString("hex")}:` });
    const limiter = createApproximateLimiter({ commands, keys, clock: systemClock });
    await work(limiter, (ms) => {
      now.mock.mockImplementation(() => START_MS + ms);
    });
  } finally {
    now.mock.restore();
  }
}

/** The most grants of any time as long as a window. */
function mostInAWindow(times: readonly number[]): number {
  const within = times.map((from) => times.filter((at) => at >= from && at < from + RULE.windowMs).length);
  return Math.max(...within);
}

async function grantTimes(limiter: RateLimiter, at: (ms: number) => void, offers: readonly number[]) {
  const times: number[] = [];
  for (const ms of offers) {
    at(ms);
    if ((await limiter.take("key_a", RULE, 1)).isGranted) times.push(ms);
  }
  return times;
}

test("approximate: the limit holds within one window of its own, and what was granted can come back", async () => {
  await withLimiter(async (limiter, at) => {
    const times = await grantTimes(limiter, at, Array<number>(30).fill(0));
    assert.equal(times.length, RULE.limit);
    const refused = await limiter.take("key_a", RULE, 1);
    assert.deepEqual([refused.isGranted, refused.remaining, refused.resetMs], [false, 0, RULE.windowMs]);
    const state = await limiter.giveBack("key_a", RULE, { cost: 5, atMs: START_MS });
    assert.equal(state.remaining, 5);
    assert.equal((await limiter.take("key_a", RULE, 5)).isGranted, true);
  });
});

test("approximate: a burst before a window's edge, and who goes on knocking after it, get twice the limit", async () => {
  await withLimiter(async (limiter, at) => {
    const burst = Array<number>(RULE.limit).fill(RULE.windowMs - 1);
    const after = Array.from({ length: 100 }, (_, index) => RULE.windowMs + index * STEP_MS);
    const most = mostInAWindow(await grantTimes(limiter, at, [...burst, ...after]));
    assert.equal(most, 2 * RULE.limit);
  });
});

test("approximate: who offers twice the limit all the time gets the limit", async () => {
  await withLimiter(async (limiter, at) => {
    const offers = Array.from({ length: 400 }, (_, index) => (index * RULE.windowMs) / (2 * RULE.limit));
    const most = mostInAWindow(await grantTimes(limiter, at, offers));
    assert.equal(most, RULE.limit);
  });
});
