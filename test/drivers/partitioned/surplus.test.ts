/** A tenant whose events are not admitted fills what a lane reads ahead: the surplus is handed out, and those behind it seen. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LaneItem } from "@posthaste/shared/ports/lanes.ts";
import { idsOf } from "../../contract/harness.ts";
import { TENANT, sampleEnvelope, sampleEnvelopes } from "../../support/samples.ts";
import type { LogProcess, LogWorld } from "./lanes-harness.ts";
import { openLogWorld } from "./lanes-harness.ts";

const NEVER = new AbortController().signal;
const AHEAD = 10;

/** Thirty events of one tenant, then one of another, for a lane that reads ten ahead. */
async function open(): Promise<{ world: LogWorld; process: LogProcess }> {
  const world = await openLogWorld(1);
  const process = await world.start({ recordsMax: AHEAD });
  await process.lanes.append(sampleEnvelopes(30));
  await process.lanes.append([sampleEnvelope("small", { tenant: "globex" })]);
  await world.clock.settle();
  return { world, process };
}

/** Takes for the other tenant alone, while time passes; what came first. */
async function takeSmall({ clock }: LogWorld, { lanes }: LogProcess): Promise<readonly LaneItem[]> {
  const taken = lanes.take("medium", 100, NEVER, (tenant) => tenant !== TENANT);
  await clock.advance(2000);
  lanes.lookAgain("medium");
  return await taken;
}

test("what takes all the room for reading ahead is handed out as surplus, until the other tenant's event is seen", async () => {
  const { world, process } = await open();
  const surplus: string[] = [];
  for (;;) {
    const items = await takeSmall(world, process);
    if (items.every(({ isSurplus }) => isSurplus !== true)) {
      assert.deepEqual(idsOf(items), ["small"]);
      break;
    }
    surplus.push(...idsOf(items));
    await process.lanes.ack(items);
    await world.clock.settle();
  }
  assert.ok(surplus.length >= 30 - AHEAD && surplus.length <= 30, surplus.join());
});

test("surplus that was not acknowledged is handed out again after a crash, as a repeat", async () => {
  const { world, process } = await open();
  const surplus = await takeSmall(world, process);
  assert.ok(surplus.length > 0 && surplus.every(({ isSurplus }) => isSurplus === true));
  await process.crash();
  const next = await world.start();
  const again = await next.lanes.take("medium", 100, NEVER);
  assert.deepEqual(
    again.filter(({ isRepeat }) => isRepeat).map(({ envelope }) => envelope.id),
    idsOf(again),
  );
  assert.ok(idsOf(surplus).every((id) => idsOf(again).includes(id)));
});

test("a lane that has room to read on, or hands out much, has no surplus", async () => {
  const world = await openLogWorld(1);
  const process = await world.start();
  await process.lanes.append(sampleEnvelopes(30));
  const controller = new AbortController();
  const taken = process.lanes.take("medium", 100, controller.signal, () => false);
  await world.clock.advance(5000);
  process.lanes.lookAgain("medium");
  await world.clock.settle();
  controller.abort();
  assert.deepEqual(await taken, []);
});

test("a lane that hands out as much as its taker wants has no surplus", async () => {
  const { world, process } = await open();
  const controller = new AbortController();
  const wantsTwo = Object.assign(() => false, { enoughPerS: 2 });
  assert.equal((await process.lanes.take("medium", 5, NEVER)).length, 5);
  // Five in two seconds, as joining took one.
  await world.clock.advance(1000);
  const taken = process.lanes.take("medium", 5, controller.signal, wantsTwo);
  await world.clock.settle();
  controller.abort();
  assert.deepEqual(await taken, []);
});
