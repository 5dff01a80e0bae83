/** What overflowed in a processor that was killed is found by one that runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LEFT_MS, LOOK_MS, recoverLeft, watchLeftBehind } from "@posthaste/processor/recovery/left-behind.ts";
import { storeFault } from "@posthaste/shared/domain/errors.ts";
import type { DeadLetters } from "@posthaste/shared/ports/dead-letters.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { TENANT, endpointOf, envelopeOf, ids, sampleDeadLetter } from "../../support/samples.ts";

/** As another process leaves it that died in the moment after. */
async function overflowElsewhere(
  { drivers, clock }: ProcessorHarness,
  events: readonly string[],
  endpointId = "ep1",
): Promise<void> {
  const letters = events.map((id) =>
    sampleDeadLetter(`dlv_${id}`, {
      envelope: envelopeOf(id),
      endpointId,
      state: "backlog",
      attempts: 0,
      atMs: clock.now(),
    }),
  );
  await drivers.deadLetters.append(letters);
}

test("overflow that nobody calls back is delivered within hours, and not before its own process would", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const processor = harness.start();
  using watches = new DisposableStack();
  watches.use(watchLeftBehind({ clock: harness.clock, recoverLeft: () => processor.recoverLeft() }));
  await harness.clock.advance(1000);
  const lost = ids("evt_", 120);
  await overflowElsewhere(harness, lost);
  await harness.clock.advance(LEFT_MS - 1000);
  assert.equal(harness.world.sent.length, 0);
  await harness.clock.advance(LOOK_MS + 60_000);
  assert.deepEqual(harness.world.idsTo("ep1").toSorted(), [...lost].toSorted());
  assert.equal((await harness.depths()).dead, 0);
  await harness.stop(processor);
});

test("what the process keeps back itself is left to it", async () => {
  await using harness = await openProcessorHarness();
  await overflowElsewhere(harness, ["evt_a", "evt_b"]);
  const kept = new Set(["ep1"]);
  const recovered: string[] = [];
  const look = () =>
    recoverLeft(
      {
        clock: harness.clock,
        deadLetters: harness.drivers.deadLetters,
        limiters: { keepsBack: (endpointId) => kept.has(endpointId) },
        recovery: { recover: (tenant, endpointId) => Promise.resolve(void recovered.push(`${tenant} ${endpointId}`)) },
      },
      new AbortController().signal,
    );
  using watches = new DisposableStack();
  watches.use(watchLeftBehind({ clock: harness.clock, recoverLeft: look }));
  await harness.clock.advance(LEFT_MS + 2 * LOOK_MS);
  assert.deepEqual(recovered, []);
  kept.clear();
  await harness.clock.advance(LOOK_MS);
  assert.deepEqual(recovered, [`${TENANT} ep1`], "once for each endpoint");
});

test("a look that fails is repeated", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  let looks = 0;
  const processor = harness.start({
    wrap: (drivers) => ({
      ...drivers,
      deadLetters: {
        ...drivers.deadLetters,
        list(filter, limit, cursor) {
          if (filter.untilMs !== undefined && looks++ === 0) return Promise.reject(new Error("no store"));
          return drivers.deadLetters.list(filter, limit, cursor);
        },
      },
    }),
  });
  using watches = new DisposableStack();
  watches.use(watchLeftBehind({ clock: harness.clock, recoverLeft: () => processor.recoverLeft() }));
  await overflowElsewhere(harness, ["evt_a"]);
  await harness.clock.advance(LEFT_MS + 2 * LOOK_MS);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_a"]);
  await harness.stop(processor);
});

for (const look of ["the look at a start", "the look for what was left"] as const) {
  test(`${look} goes on where an endpoint's record does not read back, which has what is its own once it does`, async () => {
    await using harness = await openProcessorHarness();
    for (const id of ["ep1", "ep_odd"]) await harness.add(endpointOf(id));
    await overflowElsewhere(harness, ["evt_a"], "ep1");
    // The newest, so it is met first.
    await overflowElsewhere(harness, ["evt_odd"], "ep_odd");
    let isDamaged = true;
    const unreadable = storeFault("The record of the endpoint does not read back.", { isDamage: true });
    const processor = harness.start({
      wrap: (drivers) => ({
        ...drivers,
        directory: {
          ...drivers.directory,
          find: (tenant, id) =>
            id === "ep_odd" && isDamaged ? Promise.reject(unreadable) : drivers.directory.find(tenant, id),
        },
        ...(look === "the look at a start" ? {} : { deadLetters: withoutStart(drivers.deadLetters) }),
      }),
    });
    using watches = new DisposableStack();
    watches.use(watchLeftBehind({ clock: harness.clock, recoverLeft: () => processor.recoverLeft() }));
    await harness.clock.advance(look === "the look at a start" ? 5000 : LEFT_MS + 2 * LOOK_MS);
    assert.deepEqual([harness.world.idsTo("ep1"), harness.world.idsTo("ep_odd")], [["evt_a"], []]);
    isDamaged = false;
    await harness.clock.advance(10_000);
    assert.deepEqual(harness.world.idsTo("ep_odd"), ["evt_odd"]);
    await harness.stop(processor);
  });
}

/** What lies there is found by nobody who asks for all of a state, whatever its time. */
function withoutStart(deadLetters: DeadLetters): DeadLetters {
  return {
    ...deadLetters,
    list: async (filter, limit, cursor) =>
      filter.endpointId === undefined && filter.untilMs === undefined
        ? { rows: [], next: null }
        : deadLetters.list(filter, limit, cursor),
  };
}
