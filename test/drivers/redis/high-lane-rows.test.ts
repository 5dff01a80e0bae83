/** The HIGH lane's rows: tenants are served in turn, some may be left out, and no key that is lost or odd keeps an item back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { LEASE_MS } from "@posthaste/shared/drivers/redis/high-lane/lease-keeper.ts";
import { KEPT_MAX } from "@posthaste/shared/drivers/distributed/merged-lane.ts";
import type { LaneItem } from "@posthaste/shared/ports/lanes.ts";
import { NEVER, idsOf } from "../../contract/harness.ts";
import type { LaneWorld } from "./high-lane-harness.ts";
import { openLaneWorld, openThreeLanes, takeNow, withRun } from "./high-lane-harness.ts";
import { TENANT, sampleEnvelope, sampleEnvelopes } from "../../support/samples.ts";

const BEAT_MS = 1000;

async function byHand(world: LaneWorld, part: string, lua: string): Promise<void> {
  const script: RedisScript = { name: "by-hand", returns: "text", lua };
  await world.process.commands.run(script, [world.process.keys.key(0, `lane:high${part}`)], []);
}

function countsOf(items: readonly LaneItem[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { envelope } of items) counts.set(envelope.tenant, (counts.get(envelope.tenant) ?? 0) + 1);
  return counts;
}

test("high lane: whoever had nothing waiting comes before another tenant's backlog", async () => {
  await using world = await openLaneWorld();
  const lane = world.lane();
  await lane.append(sampleEnvelopes(500));
  assert.equal((await takeNow(world, lane, 64)).length, 64);
  await lane.append([sampleEnvelope("small", { tenant: "globex" })]);
  assert.equal(idsOf(await takeNow(world, lane, 64))[0], "small");
});

test("high lane: tenants with a backlog get the same share of what is taken, and one alone gets all", async () => {
  await using world = await openLaneWorld();
  const lane = world.lane();
  for (const tenant of ["a", "b", "c"]) await lane.append(sampleEnvelopes(tenant === "a" ? 400 : 100, { tenant }));
  const taken: LaneItem[] = [];
  for (let round = 0; round < 4; round += 1) taken.push(...(await takeNow(world, lane, 48)));
  assert.deepEqual([...countsOf(taken).values()], [64, 64, 64]);
  while (taken.length < 600) taken.push(...(await takeNow(world, lane, 100)));
  const ids = taken.filter(({ envelope }) => envelope.tenant === "a").map(({ envelope }) => envelope.id);
  assert.deepEqual(
    ids,
    sampleEnvelopes(400).map(({ id }) => id),
    "in the order of append",
  );
});

test("high lane: who is left out is not taken, keeps no other waiting, and comes when it is wanted again", async () => {
  await using world = await openLaneWorld();
  const takes: string[] = [];
  const commands = withRun(world.process.commands, (script, next) => {
    if (script.name === "lane-take") takes.push(script.name);
    return next();
  });
  const [lane, gateway] = [world.lane({ commands }), world.lane()];
  lane.leaveOut([TENANT]);
  await gateway.append(sampleEnvelopes(100));
  const first = lane.take(10, NEVER);
  await world.harness.clock.advance(1000);
  assert.ok(takes.length <= 101, `${takes.length} takes in a second`);
  await gateway.append([sampleEnvelope("small", { tenant: "globex" })]);
  await world.harness.clock.advance(10);
  assert.deepEqual(idsOf(await first), ["small"]);
  const second = lane.take(10, NEVER);
  await world.harness.clock.settle();
  lane.leaveOut([]);
  await world.harness.clock.advance(10);
  assert.equal((await second).length, 10);
});

test("high lane: what another process left of a row rings for those who came too late for it, also when that one dies", async () => {
  await using world = await openLaneWorld();
  const full = world.lane();
  let held: readonly LaneItem[] = [];
  const commands = withRun(world.process.commands, async (script, next) => {
    const reply = await next();
    if (script.name === "lane-take" && held.length === 0) {
      await full.append(sampleEnvelopes(100));
      held = await takeNow(world, full, 64);
      await full[Symbol.asyncDispose]();
    }
    return reply;
  });
  const late = world.lane({ commands });
  const left = await late.take(100, NEVER);
  assert.deepEqual([held.length, left.length], [64, 36]);
  const reaped = late.take(100, NEVER);
  await world.harness.clock.advance(2 * LEASE_MS);
  assert.deepEqual(idsOf(await reaped), idsOf(held));
});

test("high lane: however much of a tenant waits that is not admitted, another's item is seen", async () => {
  await using harness = await openThreeLanes();
  const { lanes } = harness.drivers;
  for (let from = 0; from < 2 * KEPT_MAX; from += 512) {
    const part = sampleEnvelopes(512).map(({ id }) => sampleEnvelope(`${id}_${from}`, { priority: "HIGH" }));
    await lanes.append(part);
  }
  const taken = lanes.take("high", 10, NEVER, (tenant) => tenant !== TENANT);
  await harness.clock.settle();
  await lanes.append([sampleEnvelope("small", { priority: "HIGH", tenant: "globex" })]);
  await harness.clock.advance(10);
  assert.deepEqual(idsOf(await taken), ["small"]);
  assert.equal((await lanes.take("high", 64, NEVER)).length, 64, "what was left out is still there");
});

test("high lane: what lies in the lane's list by other hands is found within a beat", async () => {
  await using world = await openLaneWorld();
  const lane = world.lane();
  await lane.append([sampleEnvelope("evt_a")]);
  const taken = lane.take(10, NEVER);
  assert.deepEqual(idsOf(await taken), ["evt_a"]);
  const waiting = lane.take(10, NEVER);
  await world.harness.clock.settle();
  await byHand(world, "", "redis.call('LPUSH', KEYS[1], redis.call('HVALS', KEYS[1] .. ':held')[1])");
  await world.harness.clock.advance(BEAT_MS);
  assert.deepEqual(idsOf(await waiting), ["evt_a"]);
});

test("high lane: a tenant whose row is a key of another type is served from the lane's list", async () => {
  await using world = await openLaneWorld();
  const lane = world.lane();
  await byHand(world, `:row:${TENANT}`, "redis.call('SET', KEYS[1], 'of somebody else')");
  await lane.append(sampleEnvelopes(3));
  await lane.release(await takeNow(world, lane));
  const again = await takeNow(world, lane);
  assert.deepEqual(idsOf(again), ["evt_0", "evt_1", "evt_2"]);
  await lane.ack(again);
  assert.deepEqual(await lane.depth(), { count: 0, oldestAtMs: null });
});

for (const [when, work] of [
  ["at a beat", (world: LaneWorld) => world.harness.clock.advance(BEAT_MS)],
  ["at an ack", () => Promise.resolve()],
] as const) {
  test(`high lane: rows whose turns were deleted get them back ${when}`, async () => {
    await using world = await openLaneWorld();
    const lane = world.lane();
    for (const tenant of ["a", "b"]) await lane.append(sampleEnvelopes(20, { tenant }));
    const held = await takeNow(world, lane, 2);
    await byHand(
      world,
      ":turns",
      "redis.call('DEL', KEYS[1], (KEYS[1]:gsub('turns$', 'fresh')), (KEYS[1]:gsub('turns$', 'bell')))",
    );
    await work(world);
    await lane.ack(held);
    const taken: LaneItem[] = [];
    while (taken.length < 38) taken.push(...(await takeNow(world, lane, 100)));
    assert.deepEqual([...countsOf(taken).values()], [19, 19]);
    await lane.ack(taken);
    assert.deepEqual(await lane.depth(), { count: 0, oldestAtMs: null });
  });
}
