/** What may be evicted lies on a Redis of its own (REDIS_CACHE_URL), and losing all of it costs no event. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openReceiver } from "../support/receiver.ts";
import { startRedis } from "../support/services/redis.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

test("limits and counts lie on the cache Redis, all else does not, and a flush of it loses counts alone", async () => {
  await using cache = await startRedis({ conf: ["maxmemory 50mb", "maxmemory-policy allkeys-lru", "appendonly no"] });
  await using main = await startRedis();
  let came = 0;
  await using receiver = await openReceiver((_request, response) => {
    came++;
    response.writeHead(204).end();
  });
  const env = { REDIS_URL: main.url, REDIS_CACHE_URL: cache.url };
  await using harness = await openDistributedHarness({ gateways: 2, processors: 1, env });
  await harness.ask(0, "/v1/endpoints", { url: receiver.url, event_types: ["*"], tenant: "acme" });
  const made = await harness.ask(0, "/v1/api-keys", {
    name: "limited",
    tenant: "acme",
    scopes: ["publish"],
    rate_limit: { limit: 3, window_ms: 60_000 },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const publish = async (index: number): Promise<number> => {
    const event = { type: "order.paid", priority: "HIGH", data: { index } };
    return (await harness.ask(index % 2, "/v1/events", event, String(made.body["key"]))).status;
  };
  const statuses: number[] = [];
  for (let index = 0; index < 5; index++) statuses.push(await publish(index));
  assert.deepEqual(statuses, [202, 202, 202, 429, 429]);
  await waitFor({ fact: "three events to come", withinMs: 90_000, holds: () => came === 3 });
  const namesIn = async (redis: typeof cache): Promise<string> => await redis.ask("KEYS", "*");
  await waitFor({
    fact: "counts on the cache",
    withinMs: 10_000,
    holds: async () => /stats/.test(await namesIn(cache)),
  });
  assert.match(await namesIn(cache), /limit/);
  assert.doesNotMatch(await namesIn(cache), /ledger|directory|high|claim|dead/);
  assert.doesNotMatch(await namesIn(main), /stats|limit/);
  await cache.ask("FLUSHALL");
  assert.equal(await publish(5), 202);
  await waitFor({ fact: "the fourth event to come", withinMs: 90_000, holds: () => came === 4 });
});
