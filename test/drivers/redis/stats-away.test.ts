/** Stats while Redis is away: what is counted meanwhile is there when it is back, once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RedisStats } from "@posthaste/shared/drivers/redis/stats.ts";
import { createRedisStats } from "@posthaste/shared/drivers/redis/stats.ts";
import { ADD_COUNTS, STATS_PENDING_MAX, STATS_WRITE_MS } from "@posthaste/shared/drivers/redis/stats-writer.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, TENANT } from "../../support/samples.ts";
import { openRedisHarness } from "./harness.ts";
import { createSwitchedCommands } from "./switch.ts";

const accepted = (count: number, type = "order.paid"): StatEntry[] =>
  Array.from({ length: count }, () => ({ kind: "accepted", tenant: TENANT, type, lane: "high", atMs: START_MS }));

async function openStats(isAnswerLost = false) {
  const harness = await openRedisHarness(() => ({}), { server: "model" })();
  const line = createSwitchedCommands(harness.commands, { isSentTwice: isAnswerLost });
  const clock = createManualClock(START_MS);
  const stats: RedisStats = createRedisStats({
    commands: line.commands,
    keys: harness.keys,
    clock,
    entropy: systemEntropy,
  });
  const total = async (): Promise<number> => (await stats.tenant(TENANT)).totalEvents;
  return { harness, line, clock, stats, total, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
}

test("counts of an outage are written when Redis is back", async () => {
  await using opened = await openStats();
  const { line, clock, stats, total } = opened;
  stats.add(accepted(3));
  await clock.advance(STATS_WRITE_MS);
  assert.equal(await total(), 3);
  line.setAway(true);
  for (let round = 0; round < 40; round++) {
    stats.add(accepted(2));
    await clock.advance(STATS_WRITE_MS);
  }
  assert.equal(stats.lostCount(), 0);
  line.setAway(false);
  await clock.advance(STATS_WRITE_MS);
  assert.equal(await total(), 83);
});

test("a write that was carried out without an answer counts once", async () => {
  await using opened = await openStats();
  const { harness, clock } = opened;
  let fails = 1;
  const stats = createRedisStats({
    commands: {
      async run(...call) {
        const reply = await harness.commands.run(...call);
        if (fails-- > 0) throw new PosthasteError("store-unavailable", "The answer was lost, says the test.");
        return reply;
      },
    },
    keys: harness.keys,
    clock,
    entropy: systemEntropy,
  });
  stats.add(accepted(5));
  await clock.advance(STATS_WRITE_MS);
  stats.add(accepted(1));
  await clock.advance(2 * STATS_WRITE_MS);
  assert.equal((await stats.tenant(TENANT)).totalEvents, 6);
});

test("two writers do not take each other's writes for their own", async () => {
  await using opened = await openStats(true);
  const { harness, line, clock, stats, total } = opened;
  const other = createRedisStats({ commands: line.commands, keys: harness.keys, clock, entropy: systemEntropy });
  for (let round = 0; round < 3; round++) {
    stats.add(accepted(1));
    other.add(accepted(10));
    await clock.advance(STATS_WRITE_MS);
  }
  assert.equal(await total(), 33);
});

test("past the bound of counters counts are lost and counted; those that have a counter go on", async () => {
  await using opened = await openStats();
  const { line, clock, stats, total } = opened;
  line.setAway(true);
  stats.add(accepted(1, "in.hand"));
  await clock.advance(STATS_WRITE_MS);
  for (let index = 0; index < STATS_PENDING_MAX + 7; index++) stats.add(accepted(1, `type.${index}`));
  stats.add(accepted(5, "type.1"));
  assert.equal(stats.lostCount(), 7);
  line.setAway(false);
  await clock.advance(STATS_WRITE_MS);
  assert.equal(await total(), 1 + STATS_PENDING_MAX + 5);
});

test("lanes are counted in the shards of their tenants, with a write that there is anyway, and read from all of them", async () => {
  await using harness = await openRedisHarness(() => ({}), { server: "model" })();
  const keys = createKeySpace({ shards: 4, prefix: `${harness.keys.key(0, "")}shards:` });
  let writes = 0;
  const run: typeof harness.commands.run = (script, ...call) => {
    if (script === ADD_COUNTS) writes++;
    return harness.commands.run(script, ...call);
  };
  const clock = createManualClock(harness.clock.now());
  const stats = createRedisStats({ commands: { run }, keys, clock, entropy: systemEntropy });
  const tenants = Array.from({ length: 16 }, (_, index) => `tenant-${index}`);
  const atMs = clock.now();
  stats.add(tenants.map((tenant) => ({ kind: "accepted", tenant, type: "order.paid", lane: "high", atMs })));
  await stats.flush();
  assert.equal(writes, new Set(tenants.map((tenant) => keys.shardOf(tenant))).size);
  assert.ok(writes > 1, "the tenants lie in several shards");
  assert.deepEqual(
    (await stats.flow()).map(({ lane, accepted: count }) => [lane, count]),
    [["high", 16]],
  );
});
