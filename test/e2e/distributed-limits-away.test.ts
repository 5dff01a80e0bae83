/** Rate limits while the Redis that holds them is away: each gateway keeps its share by itself, as each key wishes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startRedis } from "../support/services/redis.ts";
import { waitFor } from "../support/services/wait-for.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

const WITHIN_MS = 60_000;
/** Longer than the test, so that no unit comes back meanwhile. */
const WINDOW_MS = 3600_000;
const LIMIT = 20;

async function makeKey(harness: DistributedHarness, failureMode: string): Promise<string> {
  const made = await harness.ask(0, "/v1/api-keys", {
    name: failureMode,
    tenant: "acme",
    scopes: ["publish"],
    rate_limit: { limit: LIMIT, window_ms: WINDOW_MS, failure_mode: failureMode },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return String(made.body["key"]);
}

/** The answers to `count` events, one after another. */
async function publish(harness: DistributedHarness, gateway: number, key: string, count: number) {
  const answers = [];
  for (let index = 0; index < count; index++) {
    const response = await fetch(`${harness.gateways[gateway]?.url ?? ""}/v1/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ type: "a.b", priority: "MEDIUM", data: {} }),
    });
    await response.body?.cancel();
    answers.push({ status: response.status, headers: response.headers });
  }
  return answers;
}

const statusesOf = (answers: readonly { readonly status: number }[]): readonly number[] =>
  answers.map(({ status }) => status);

const linesOf = (harness: DistributedHarness, gateway: number, event: string): number =>
  (harness.gateways[gateway]?.printed() ?? "").split(`"event":"${event}"`).length - 1;

/** `away`: the Redis that holds the limits goes, and comes back with what it held. */
async function requireLimitsKept(
  harness: DistributedHarness,
  away: { readonly store: string; readonly kill: () => Promise<void>; readonly restart: () => Promise<void> },
): Promise<void> {
  const [local, closed, open] = [
    await makeKey(harness, "local"),
    await makeKey(harness, "closed"),
    await makeKey(harness, "open"),
  ];
  // Both gateways know the keys, and have granted a part of the limit: 4 and 1.
  for (const key of [local, closed, open]) assert.deepEqual(statusesOf(await publish(harness, 1, key, 1)), [202]);
  assert.deepEqual(statusesOf(await publish(harness, 0, local, 4)), [202, 202, 202, 202]);
  for (const key of [closed, open]) await publish(harness, 0, key, 1);
  await away.kill();

  for (const [gateway, left] of [
    [0, LIMIT / 2 - 4],
    [1, LIMIT / 2 - 1],
  ] as const) {
    const answers = await publish(harness, gateway, local, left + 3);
    assert.deepEqual(statusesOf(answers), [...Array.from({ length: left }, () => 202), 429, 429, 429]);
    const [first, last] = [answers[0]?.headers, answers.at(-1)?.headers];
    assert.match(first?.get("ratelimit") ?? "", new RegExp(`^"default";r=${left - 1};t=3600$`));
    assert.match(last?.get("ratelimit") ?? "", /^"default";r=0;t=\d+$/);
    assert.equal(last?.get("ratelimit-policy"), `"default";q=${LIMIT};w=3600`);
    assert.ok(Number(last?.get("retry-after")) > 3000, String(last?.get("retry-after")));
    const refused = await publish(harness, gateway, closed, 2);
    assert.deepEqual(statusesOf(refused), [503, 503]);
    assert.ok(Number(refused[0]?.headers.get("retry-after")) >= 1);
    assert.ok((await publish(harness, gateway, open, LIMIT + 5)).every(({ status }) => status === 202));
    const ready = await fetch(`${harness.gateways[gateway]?.url ?? ""}/readyz`);
    assert.equal(ready.status, 200);
    assert.match(await ready.text(), /"degraded":\[".*keeps its share of every rate limit by itself/);
    assert.equal(linesOf(harness, gateway, "limiter.local"), 1);
    assert.match(
      harness.gateways[gateway]?.printed() ?? "",
      new RegExp(`"event":"store\\.away","store":"${away.store}"`),
    );
    const metrics = await (await fetch(`${harness.gateways[gateway]?.url ?? ""}/metrics`)).text();
    assert.match(metrics, /posthaste_rate_limit_fallbacks_total\{[^}]*failure_mode="open"[^}]*\} \d+/);
  }

  await away.restart();
  await waitFor({
    fact: "the closed key to be taken again",
    withinMs: WITHIN_MS,
    holds: async () =>
      (await publish(harness, 0, closed, 1))[0]?.status === 202 && linesOf(harness, 0, "limiter.shared") > 0,
  });
  assert.equal(linesOf(harness, 0, "limiter.local"), 1);
  // The shared window goes on with what it granted itself: 5 of 20.
  const after = await publish(harness, 0, local, LIMIT);
  assert.equal(after.filter(({ status }) => status === 202).length, LIMIT - 5);
}

test("while Redis is away limits hold in shares, and a key's failure mode is kept", async () => {
  await using redis = await startRedis();
  await using harness = await openDistributedHarness({
    gateways: 2,
    processors: 1,
    env: { REDIS_URL: redis.url, GATEWAY_COUNT: "2" },
  });
  await requireLimitsKept(harness, { store: "redis", kill: () => redis.kill(), restart: () => redis.restart() });
});

test("the same holds when the limits lie on a Redis of their own, and only that is away", async () => {
  await using cache = await startRedis({ conf: ["maxmemory 50mb", "maxmemory-policy allkeys-lru"] });
  await using main = await startRedis();
  const env = { REDIS_URL: main.url, REDIS_CACHE_URL: cache.url, GATEWAY_COUNT: "2" };
  await using harness = await openDistributedHarness({ gateways: 2, processors: 1, env });
  await requireLimitsKept(harness, { store: "redis-cache", kill: () => cache.kill(), restart: () => cache.restart() });
});
