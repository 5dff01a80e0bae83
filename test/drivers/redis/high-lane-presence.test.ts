/** The HIGH lane between processes that die, stand still or cannot reach Redis: who counts as present. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PRESENCE_MS } from "@posthaste/shared/drivers/redis/high-lane/lease-keeper.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { idsOf } from "../../contract/harness.ts";
import { marksOf, openLaneWorld, takeNow, withRun } from "./high-lane-harness.ts";
import { sampleEnvelope, sampleEnvelopes } from "../../support/samples.ts";

test("high lane: what a killed process held is another's within six seconds, before Kafka hands out MEDIUM", async () => {
  await using world = await openLaneWorld();
  const [killed, other] = [world.lane(), world.lane()];
  await killed.append(sampleEnvelopes(1200));
  assert.equal((await takeNow(world, killed, 700)).length, 700);
  // Other tickets lie between those that are reaped.
  assert.equal((await takeNow(world, other, 100)).length, 100);
  assert.equal((await takeNow(world, killed, 400)).length, 400);
  await killed[Symbol.asyncDispose]();
  await world.harness.clock.advance(PRESENCE_MS + 1000);
  const items = [...(await takeNow(world, other, 1000))];
  await world.harness.clock.advance(1000);
  items.push(...(await takeNow(world, other, 1000)));
  assert.deepEqual(
    new Set(marksOf(items).map(([id, isRepeat]) => `${id} ${isRepeat}`)),
    new Set(
      sampleEnvelopes(1200)
        .filter((_, index) => index < 700 || index >= 800)
        .map(({ id }) => `${id} true`),
    ),
  );
  assert.equal(items.length, 1100);
});

test("high lane: a process that stands still for four seconds keeps what it holds", async () => {
  await using world = await openLaneWorld();
  let still = Promise.withResolvers<void>();
  still.resolve();
  const commands = withRun(world.process.commands, async (script, next) => {
    if (script.name === "lane-beat") await still.promise;
    return next();
  });
  const [paused, other] = [world.lane({ commands }), world.lane()];
  await paused.append([sampleEnvelope("evt_a")]);
  const items = await takeNow(world, paused);
  await world.harness.clock.advance(20_000);
  still = Promise.withResolvers<void>();
  await world.harness.clock.advance(4000);
  still.resolve();
  await world.harness.clock.advance(20_000);
  assert.deepEqual(await takeNow(world, other), []);
  await paused.ack(items);
  assert.equal((await other.depth()).count, 0);
});

test("high lane: a Redis that was away for longer than a process may be silent takes nothing from those that live", async () => {
  await using world = await openLaneWorld();
  let isAway = false;
  const commands = withRun(world.process.commands, (script, next) => {
    if (isAway && script.name === "lane-beat") return Promise.reject(new PosthasteError("store-unavailable", "away"));
    return next();
  });
  const lanes = [world.lane({ commands }), world.lane({ commands })] as const;
  await lanes[0].append(sampleEnvelopes(2));
  const held = [await takeNow(world, lanes[0], 1), await takeNow(world, lanes[1], 1)];
  isAway = true;
  await world.harness.clock.advance(15_000);
  isAway = false;
  await world.harness.clock.advance(15_000);
  for (const lane of lanes) assert.deepEqual(await takeNow(world, lane), []);
  assert.deepEqual(held.map(idsOf), [["evt_0"], ["evt_1"]]);
});
