/** The HIGH lane on a real Redis: the contract of lanes, and what leases, doorbell and shards promise beyond it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HIGH_LANE_BOUNDS } from "@posthaste/shared/drivers/redis/high-lane/append.ts";
import { LEASE_MS } from "@posthaste/shared/drivers/redis/high-lane/lease-keeper.ts";
import { KNOWN_MS } from "@posthaste/shared/drivers/redis/high-lane/lease-store.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import type { LaneItem } from "@posthaste/shared/ports/lanes.ts";
import { idsOf, withCode } from "../../contract/harness.ts";
import { laneBooksContract, lanesContract } from "../../contract/lanes.contract.ts";
import type { LaneWorld } from "./high-lane-harness.ts";
import { marksOf, openLaneWorld, openRoutedLanes, openThreeLanes, takeNow, withRun } from "./high-lane-harness.ts";
import { START_MS, sampleEnvelope, sampleEnvelopes } from "../../support/samples.ts";

const NEVER = new AbortController().signal;

lanesContract("redis (three lanes)", openThreeLanes);
laneBooksContract("redis (three lanes)", openThreeLanes);
lanesContract("redis (HIGH, others embedded)", openRoutedLanes);
laneBooksContract("redis (HIGH, others embedded)", openRoutedLanes);

const PUSH: RedisScript = { name: "test-push", returns: "text", lua: "return redis.call('LPUSH', KEYS[1], ARGV[1])" };

async function pushByHand(world: LaneWorld, bytes: Uint8Array): Promise<void> {
  await world.process.commands.run(PUSH, [world.process.keys.key(0, "lane:high")], [bytes]);
}

test("high lane: the lease of a process that lives is kept, however long it works", async () => {
  await using world = await openLaneWorld();
  const [worker, other] = [world.lane(), world.lane()];
  await worker.append([sampleEnvelope("evt_a")]);
  const items = await takeNow(world, worker);
  await world.harness.clock.advance(10 * LEASE_MS);
  assert.deepEqual(await takeNow(world, other), []);
  await worker.ack(items);
  assert.deepEqual(await worker.depth(), { count: 0, oldestAtMs: null });
});

test("high lane: what a silent process held goes to a waiting one as repeats, oldest first", async () => {
  await using world = await openLaneWorld();
  const [silent, other] = [world.lane(), world.lane()];
  await silent.append([...sampleEnvelopes(20), sampleEnvelope("evt_fresh")]);
  await takeNow(world, silent, 20);
  await silent[Symbol.asyncDispose]();
  await other.ack(await takeNow(world, other));
  const taken = other.take(100, NEVER);
  await world.harness.clock.advance(2 * LEASE_MS);
  assert.deepEqual(
    marksOf(await taken),
    sampleEnvelopes(20).map(({ id }) => [id, true]),
  );
});

test("high lane: an ack that comes after the lease ran out takes nothing from the new holder", async () => {
  await using world = await openLaneWorld();
  const [late, other] = [world.lane(), world.lane()];
  await late.append([sampleEnvelope("evt_a")]);
  const held = await takeNow(world, late);
  await late[Symbol.asyncDispose]();
  await world.harness.clock.advance(LEASE_MS);
  const again = await takeNow(world, other);
  await late.ack(held);
  assert.equal((await other.depth()).count, 1);
  await other.ack(again);
  assert.equal((await other.depth()).count, 0);
});

test("high lane: what no process had taken at a crash is no repeat", async () => {
  await using world = await openLaneWorld();
  const gateway = world.lane();
  await gateway.append([sampleEnvelope("evt_a")]);
  await gateway[Symbol.asyncDispose]();
  await world.harness.clock.advance(LEASE_MS);
  assert.deepEqual(marksOf(await takeNow(world, world.lane())), [["evt_a", false]]);
});

test("high lane: a released item is a repeat", async () => {
  await using world = await openLaneWorld();
  const [silent, other] = [world.lane(), world.lane()];
  await silent.append(sampleEnvelopes(2));
  await takeNow(world, silent, 1);
  await silent[Symbol.asyncDispose]();
  await world.harness.clock.advance(LEASE_MS);
  await other.release(await takeNow(world, other));
  assert.deepEqual(marksOf(await takeNow(world, other)), [
    ["evt_0", true],
    ["evt_1", true],
  ]);
});

test("high lane: poison is handed over with its bytes and removed, and what is good comes through", async () => {
  await using world = await openLaneWorld();
  const poison: string[] = [];
  const lane = world.lane({
    onPoison: (bytes, reason) => void poison.push(`${Buffer.from(bytes).toString()}: ${reason}`),
  });
  await pushByHand(world, Buffer.from("garbage"));
  await lane.append([sampleEnvelope("evt_a")]);
  await lane.ack(await takeNow(world, lane));
  assert.deepEqual(poison, ["garbage: the facts before the body are no line of JSON"]);
  assert.deepEqual(await lane.depth(), { count: 0, oldestAtMs: null });
});

test("high lane: poison that could not be handed over comes again", async () => {
  await using world = await openLaneWorld();
  let times = 0;
  const lane = world.lane({
    onPoison() {
      times++;
      if (times === 1) throw new Error("nobody takes it");
    },
  });
  await pushByHand(world, Buffer.from("garbage"));
  const taken = lane.take(1, NEVER);
  await world.harness.clock.advance(2 * LEASE_MS);
  await lane.append([sampleEnvelope("evt_a")]);
  assert.deepEqual([idsOf(await taken), times, (await lane.depth()).count], [["evt_a"], 2, 1]);
});

test("high lane: shards take turns, so that a backlog of one holds up no other", async () => {
  await using world = await openLaneWorld({ shards: 3 });
  const lane = world.lane();
  const { keys } = world.process;
  const tenants = [0, 1, 2].map((shard) => {
    const tenant = Array.from({ length: 50 }, (_, index) => `tenant-${index}`).find(
      (name) => keys.shardOf(name) === shard,
    );
    assert.ok(tenant !== undefined);
    return tenant;
  });
  await lane.append(sampleEnvelopes(100, { tenant: tenants[0] ?? "" }));
  await lane.append([
    ...sampleEnvelopes(1, { tenant: tenants[1] ?? "" }),
    ...sampleEnvelopes(1, { tenant: tenants[2] ?? "" }),
  ]);
  const takes = [await takeNow(world, lane, 5), await takeNow(world, lane, 5), await takeNow(world, lane, 5)];
  assert.deepEqual(new Set(takes.map((items) => items[0]?.envelope.tenant)), new Set(tenants));
  assert.deepEqual(await lane.depth(), { count: 102, oldestAtMs: START_MS });
});

test("high lane: an acknowledged event is known for a time, and may be appended after it", async () => {
  await using world = await openLaneWorld();
  const lane = world.lane();
  await lane.append([sampleEnvelope("evt_a")]);
  await lane.ack(await takeNow(world, lane));
  await world.harness.clock.advance(KNOWN_MS - 1);
  await lane.append([sampleEnvelope("evt_a")]);
  assert.equal((await lane.depth()).count, 0);
  await world.harness.clock.advance(1);
  await lane.append([sampleEnvelope("evt_a")]);
  assert.deepEqual(marksOf(await takeNow(world, lane)), [["evt_a", false]]);
});

test("high lane: an event that waits longer than that is known all the same", async () => {
  await using world = await openLaneWorld();
  const lane = world.lane();
  await lane.append([sampleEnvelope("evt_a")]);
  await world.harness.clock.advance(24 * KNOWN_MS);
  await lane.append([sampleEnvelope("evt_a")]);
  assert.equal((await lane.depth()).count, 1);
});

test("high lane: append() announces on the lane's channel how many are new", async () => {
  await using world = await openLaneWorld();
  const heard: string[] = [];
  const { commands, keys } = world.process;
  const listener = (message: string): void => void heard.push(message);
  const subscription = await commands.subscribe(keys.channel("lane:high"), listener, () => undefined);
  await world.lane().append(sampleEnvelopes(3));
  await world.lane().append(sampleEnvelopes(4));
  await world.harness.clock.settle();
  await subscription[Symbol.asyncDispose]();
  assert.deepEqual(heard, ["3", "1"]);
});

test("high lane: a full lane says overloaded with what it holds, and an ack makes room", async () => {
  await using world = await openLaneWorld();
  const lane = world.lane({ bounds: { ...HIGH_LANE_BOUNDS, itemsMax: 2 } });
  await lane.append(sampleEnvelopes(2));
  await assert.rejects(lane.append([sampleEnvelope("evt_more")]), withCode("overloaded"));
  await assert.rejects(lane.append([sampleEnvelope("evt_more")]), /holds 2 items of at most 2/);
  await lane.ack(await takeNow(world, lane, 1));
  await lane.append([sampleEnvelope("evt_more")]);
  assert.equal((await lane.depth()).count, 2);
});

test("high lane: of appends that share a script a repeat is passed over, and takes no place from those behind it", async () => {
  await using world = await openLaneWorld();
  const lane = world.lane({ bounds: { ...HIGH_LANE_BOUNDS, itemsMax: 3 } });
  const append = (...ids: string[]) => lane.append(ids.map((id) => sampleEnvelope(id)));
  const calls = [
    append("evt_a", "evt_b"),
    append("evt_a"),
    append("evt_c", "evt_d"),
    append("evt_e"),
    append("evt_b"),
    append("evt_f"),
  ];
  const kept = (await Promise.allSettled(calls)).map(({ status }) => status === "fulfilled");
  assert.deepEqual(kept, [true, true, false, true, true, false]);
  assert.deepEqual(idsOf(await takeNow(world, lane)), ["evt_a", "evt_b", "evt_e"]);
  assert.equal((await lane.depth()).count, 3);
});

test("high lane: a take that fails costs time and no item, and is reported", async () => {
  await using world = await openLaneWorld();
  let failures = 3;
  const commands = withRun(world.process.commands, async (script, next) => {
    if (script.name === "lane-take" && failures-- > 0) throw new Error("connection lost");
    return await next();
  });
  const faults: unknown[] = [];
  const lane = world.lane({ commands, onFault: (error) => void faults.push(error) });
  await lane.append([sampleEnvelope("evt_a")]);
  const taken = lane.take(1, NEVER);
  await world.harness.clock.advance(1000);
  assert.deepEqual([marksOf(await taken), faults.length], [[["evt_a", false]], 3]);
});

test("high lane: what a take took whose answer was lost comes as repeats as soon as Redis answers, not when its lease ends", async () => {
  await using world = await openLaneWorld();
  let losses = 1;
  const commands = withRun(world.process.commands, async (script, next) => {
    const reply = await next();
    if (script.name === "lane-take" && losses-- > 0) throw new Error("connection lost");
    return reply;
  });
  const other = world.lane();
  await other.append(sampleEnvelopes(4));
  const held = await takeNow(world, other, 1);
  const lane = world.lane({ commands, onFault: () => undefined });
  const taken = lane.take(2, NEVER);
  await world.harness.clock.advance(1000);
  assert.deepEqual(marksOf(await taken), [
    ["evt_1", true],
    ["evt_2", true],
  ]);
  assert.deepEqual(marksOf(await takeNow(world, lane)), [["evt_3", false]]);
  assert.deepEqual(
    held.map(({ envelope }) => envelope.id),
    ["evt_0"],
  );
});

test("high lane: what arrives for a waiter that gave up goes back", async () => {
  await using world = await openLaneWorld();
  const controller = new AbortController();
  const commands = withRun(world.process.commands, async (script, next) => {
    const reply = await next();
    if (script.name === "lane-take") controller.abort();
    return reply;
  });
  const [hasty, other] = [world.lane({ commands }), world.lane()];
  await hasty.append(sampleEnvelopes(2));
  assert.deepEqual(await hasty.take(10, controller.signal), []);
  await world.harness.clock.settle();
  assert.deepEqual(marksOf(await takeNow(world, other)), [
    ["evt_0", true],
    ["evt_1", true],
  ]);
});

test("high lane: those who wait at disposal get none", async () => {
  await using world = await openLaneWorld();
  const lane = world.lane();
  const taken = lane.take(1, NEVER);
  await world.harness.clock.settle();
  await lane[Symbol.asyncDispose]();
  assert.deepEqual(await taken, []);
});

test("high lane: a minute of waiting costs a heartbeat a second and nothing more", async () => {
  await using world = await openLaneWorld();
  const names: string[] = [];
  const commands = withRun(world.process.commands, (script, next) => {
    names.push(script.name);
    return next();
  });
  const lane = world.lane({ commands });
  const controller = new AbortController();
  const taken = lane.take(1, controller.signal);
  await world.harness.clock.settle();
  names.length = 0;
  await world.harness.clock.advance(60_000);
  controller.abort();
  await taken;
  assert.ok(names.length >= 60 && names.length <= 80, `${names.length} calls`);
  assert.deepEqual(new Set(names), new Set(["lane-beat"]));
});

const SPOIL: RedisScript = { name: "test-spoil", returns: "text", lua: "redis.call('RENAME', KEYS[1], KEYS[2])" };
const SET: RedisScript = { name: "test-set", returns: "text", lua: "redis.call('SET', KEYS[1], 'of somebody else')" };
const DELETE: RedisScript = { name: "test-delete", returns: "text", lua: "redis.call('DEL', KEYS[1])" };

/** A key that a lane's scripts write is of another type for a while, so that a step in the middle of a script fails. */
async function whileSpoiled(world: LaneWorld, name: string, work: () => Promise<void>): Promise<void> {
  const { commands, keys } = world.process;
  const key = keys.key(0, name);
  const isThere =
    Number(
      await commands.run(
        { name: "test-exists", returns: "text", lua: "return redis.call('EXISTS', KEYS[1])" },
        [key],
        [],
      ),
    ) === 1;
  if (isThere) await commands.run(SPOIL, [key, `${key}:aside`], []);
  await commands.run(SET, [key], []);
  await work();
  await commands.run(DELETE, [key], []);
  if (isThere) await commands.run(SPOIL, [`${key}:aside`, key], []);
}

for (const name of ["lane:high:held", "lane:high:leases"]) {
  test(`high lane: a take that breaks off at ${name} takes nothing away`, async () => {
    await using world = await openLaneWorld();
    const lane = world.lane();
    await lane.append(sampleEnvelopes(40));
    await whileSpoiled(world, name, async () => {
      assert.deepEqual(await takeNow(world, lane), []);
      await world.harness.clock.advance(1000);
    });
    const items: LaneItem[] = [];
    for (let round = 0; round < 20 && items.length < 40; round++) {
      await world.harness.clock.advance(LEASE_MS);
      items.push(...(await takeNow(world, lane)));
    }
    assert.deepEqual(new Set(idsOf(items)), new Set(sampleEnvelopes(40).map(({ id }) => id)));
  });
}

for (const name of ["lane:high:fresh", "lane:high:kept", "lane:high:known", "lane:tally"]) {
  test(`high lane: an append that breaks off at ${name} is unavailable, and the same event sent again is delivered`, async () => {
    await using world = await openLaneWorld();
    const lane = world.lane();
    await whileSpoiled(world, name, async () => {
      await assert.rejects(lane.append(sampleEnvelopes(3)), withCode("store-unavailable"));
    });
    await lane.append(sampleEnvelopes(3));
    await world.harness.clock.advance(LEASE_MS);
    assert.deepEqual(new Set(idsOf(await takeNow(world, lane))), new Set(["evt_0", "evt_1", "evt_2"]));
  });
}
test("high lane: items that cannot be put aside now hold up no good one behind them", async () => {
  await using world = await openLaneWorld();
  const { promise: stored, resolve: store } = Promise.withResolvers<void>();
  const lane = world.lane({ onPoison: () => stored });
  await pushByHand(world, Buffer.from("garbage"));
  await pushByHand(world, Buffer.from(""));
  await lane.append([sampleEnvelope("evt_a")]);
  assert.deepEqual(marksOf(await takeNow(world, lane)), [["evt_a", false]]);
  store();
});

test("high lane: a take that fails between holding and taking off loses nothing, and says that the store is unavailable", async () => {
  for (const part of ["held", "leases"]) {
    await using world = await openLaneWorld();
    const faults: unknown[] = [];
    const lane = world.lane({ onFault: (error) => void faults.push(error) });
    await lane.append(sampleEnvelopes(3));
    const key = world.process.keys.key(0, `lane:high:${part}`);
    const run = (lua: string) => world.process.commands.run({ name: "by-hand", lua, returns: "text" }, [key], []);
    await run("return redis.call('SET', KEYS[1], 'of another type')");
    const taken = lane.take(100, NEVER);
    await world.harness.clock.settle();
    await run("return redis.call('DEL', KEYS[1])");
    await world.harness.clock.advance(10_000);
    assert.deepEqual(
      (await taken).map(({ envelope }) => envelope.id),
      ["evt_0", "evt_1", "evt_2"],
      part,
    );
    assert.ok(faults.length > 0);
    for (const fault of faults) assert.ok(fault instanceof PosthasteError && fault.code === "store-unavailable", part);
  }
});
