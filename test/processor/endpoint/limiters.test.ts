import assert from "node:assert/strict";
import { test } from "node:test";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import type { LimiterHarness } from "../../support/processor-harness.ts";
import { lookupIn, openLimiters, openProcessorHarness } from "../../support/processor-harness.ts";
import { TENANT, answered, endpointOf, envelopeOf, ids } from "../../support/samples.ts";

const LIMITERS_MAX = 10_000;
const oneFailure = { breaker: { ...PROCESSOR_LIMITS.breaker, failuresToOpen: 1 } };

/** One delivery to each of so many endpoints, whose attempt ends with `result`, or goes on when that is null. */
async function use(
  harness: LimiterHarness,
  endpointIds: readonly string[],
  result: ReturnType<typeof answered> | null,
): Promise<void> {
  // A few at a time, as there are so many slots.
  for (let from = 0; from < endpointIds.length; from += 50) {
    const before = harness.launched.length;
    for (const id of endpointIds.slice(from, from + 50)) void harness.submit([`to ${id}`], "high", endpointOf(id));
    await harness.clock.settle();
    if (result !== null) for (const launch of harness.launched.slice(before)) launch.end(result);
  }
}

/** As many limiters as are kept, all in use once. */
async function fill(result: ReturnType<typeof answered>, limits = {}): Promise<LimiterHarness> {
  const harness = openLimiters({ limits });
  await use(harness, ids("old", LIMITERS_MAX), result);
  assert.equal(harness.limiters.size(), LIMITERS_MAX);
  return harness;
}

test("past the bound idle limiters are forgotten", async () => {
  const harness = await fill(answered(200));
  await use(harness, ["new"], answered(200));
  assert.ok(harness.limiters.size() < LIMITERS_MAX);
});

test("an open breaker is kept until its probe is due, and forgotten then", async () => {
  const harness = await fill(answered(500), oneFailure);
  await harness.clock.advance(9_999);
  await use(harness, ["early"], answered(200));
  assert.equal(harness.limiters.size(), LIMITERS_MAX + 1);
  await harness.clock.advance(1);
  await use(harness, ["late"], answered(200));
  assert.ok(harness.limiters.size() < LIMITERS_MAX, String(harness.limiters.size()));
});

test("a limiter with a quiet time is never forgotten", async () => {
  const harness = await fill(answered(429, { retryAfter: "100" }));
  await harness.clock.advance(50_000);
  await use(harness, ids("new", 200), answered(429, { retryAfter: "100" }));
  assert.equal(harness.limiters.size(), LIMITERS_MAX + 200);
});

const busy: readonly (readonly [string, (harness: LimiterHarness) => Promise<void>])[] = [
  ["an attempt in flight", (harness) => use(harness, ["kept"], null)],
  [
    "something deferred",
    async (harness) => {
      await use(harness, ["kept"], answered(500));
      await harness.submit(["later"], "high", endpointOf("kept"), { deferrals: 3 });
    },
  ],
  [
    "an overflow to call back",
    async (harness) => {
      await use(harness, ["kept"], answered(500));
      assert.equal(harness.limiters.keepsBack("kept"), true);
    },
  ],
];
for (const [what, prepare] of busy) {
  test(`a limiter with ${what} is never forgotten, and idle ones behind it are found`, async () => {
    const harness = openLimiters({ limits: oneFailure });
    await prepare(harness);
    await use(harness, ids("old", LIMITERS_MAX), answered(200));
    const [launched] = harness.launched;
    await use(harness, ids("new", 20), answered(200));
    assert.ok(harness.limiters.size() <= LIMITERS_MAX, String(harness.limiters.size()));
    // What it knows is still known: the attempt can end, and the endpoint that was down is still kept back.
    if (what === "an attempt in flight") launched?.end(answered(500));
    assert.equal(harness.limiters.keepsBack("kept"), true);
  });
}

test("close() names whose overflow nobody here calls back any more, and later ones are kept back by nobody", async () => {
  const harness = openLimiters({ limits: oneFailure });
  await use(harness, ["down"], answered(500));
  await use(harness, ["well"], answered(200));
  assert.equal(harness.limiters.keepsBack("down"), true);
  assert.deepEqual(
    harness.limiters.close().map(({ tenant, endpointId }) => `${tenant}/${endpointId}`),
    [`${TENANT}/down`],
  );
  assert.equal(harness.limiters.keepsBack("down"), false);
});

test("the limiter of a deleted endpoint stays while an attempt is under way, and goes after it", async () => {
  const harness = openLimiters();
  await harness.submit(["m"]);
  harness.limiters.removed("ep1");
  assert.equal(harness.limiters.size(), 1);
  await harness.end(answered(200));
  assert.equal(harness.limiters.size(), 0);
});

test("an endpoint that was removed is forgotten, its open breaker and its deferred deliveries too", async () => {
  const harness = openLimiters({ limits: oneFailure });
  await harness.submit(["f"]);
  await harness.end(answered(500));
  await harness.submit(["deferred"]);
  assert.equal(harness.deferred.length, 1);
  assert.equal(harness.limiters.keepsBack("ep1"), true);
  harness.limiters.removed("ep1");
  assert.equal(harness.limiters.keepsBack("ep1"), false);
});

test("an endpoint removed during an attempt is forgotten at its end", async () => {
  const harness = openLimiters({ limits: oneFailure });
  await harness.submit(["m"]);
  harness.limiters.removed("ep1");
  await harness.end(answered(500));
  assert.equal(harness.limiters.keepsBack("ep1"), false);
});

test("an endpoint removed while a delivery only waits for it is forgotten when that has been deferred", async () => {
  const rateLimiter = { take: () => Promise.resolve({ isGranted: false, remaining: 0, resetMs: 60_000, atMs: 0 }) };
  const harness = openLimiters({ rateLimiter });
  await harness.submit(["m"], "high", endpointOf("ep1", { rateLimit: { limit: 1, windowMs: 60_000 } }));
  assert.equal(harness.limiters.waiting(), 1);
  harness.limiters.removed("ep1");
  await harness.clock.advance(2000);
  assert.equal(harness.deferred.length, 1);
  await harness.submit(["other"], "high", endpointOf("ep2"));
  assert.equal(harness.limiters.size(), 1);
});

test("a delivery that comes to an endpoint after it was removed leaves nothing of it", async () => {
  const now = new Map([["ep2", endpointOf("ep2")]]);
  const harness = openLimiters({ lookup: lookupIn(now) });
  await harness.submit(["late"]);
  assert.deepEqual(harness.told, ["inactive late"]);
  await harness.submit(["other"], "high", endpointOf("ep2"));
  assert.equal(harness.limiters.size(), 1);
});

test("the announcement that an endpoint was deleted makes its limiter forgotten", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start({ limits: { breaker: { failuresToOpen: 1, probeAfterMs: 10_000, probeAfterMsMax: 10_000 } } });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(1000);
  await harness.drivers.directory.remove(endpointOf("ep1").tenant, "ep1");
  await harness.clock.advance(100);
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 200 }));
  await harness.publish(envelopeOf("evt_2"));
  await harness.clock.advance(100);
  assert.equal((await harness.delivery("evt_2", "ep1"))?.state, "delivered");
});

test("a delivery whose endpoint takes no deliveries any more is passed over, and the next one goes", async () => {
  const now = new Map([["ep1", endpointOf("ep1", { status: "paused" })]]);
  const harness = openLimiters({ lookup: lookupIn(now) });
  await harness.submit(["m0"]);
  now.set("ep1", endpointOf("ep1"));
  await harness.submit(["m1"]);
  now.delete("ep1");
  await harness.submit(["m2"]);
  assert.deepEqual([harness.launched.map(({ id }) => id), harness.limiters.waiting()], [["m1"], 0]);
  assert.deepEqual(harness.told, ["inactive m0", "inactive m2"]);
});

for (const stepMs of [-3600_000, 3600_000]) {
  test(`a step of the clock by ${stepMs / 60_000} minutes neither opens nor shuts anything, and defers no longer`, async () => {
    const harness = openLimiters({ limits: oneFailure });
    await harness.submit(["f"]);
    await harness.end(answered(500));
    harness.clock.stepWall(stepMs);
    await harness.submit(["m0"]);
    const [deferred] = harness.deferred;
    assert.ok(
      deferred !== undefined && deferred.afterMs >= 10_000 && deferred.afterMs < 20_000,
      `${deferred?.afterMs}`,
    );
    await harness.clock.advance(10_000);
    await harness.submit(["probe"]);
    assert.deepEqual(
      harness.inFlight().map(({ id }) => id),
      ["probe"],
    );
    await harness.end(answered(503, { retryAfter: new Date(harness.clock.now() + 20_000).toUTCString() }));
    await harness.submit(["m1"]);
    const last = harness.deferred.at(-1);
    assert.ok(last !== undefined && last.afterMs >= 19_000 && last.afterMs < 40_000, `${last?.afterMs}`);
  });
}

test("a step forward gives back what was deferred, and that is not counted twice: nothing overflows", async () => {
  const harness = openLimiters({ limits: { ...oneFailure, backlogMax: 10 } });
  await harness.submit(["f"]);
  await harness.end(answered(500));
  await harness.submit(ids("m", 10));
  assert.equal(harness.deferred.length, 10);
  harness.clock.stepWall(3600_000);
  await harness.submit(ids("m", 10), "medium", endpointOf("ep1"), { deferrals: 1 });
  assert.deepEqual([harness.deferred.length, harness.overflowed], [20, []]);
});

test("after a step back what is deferred longer still counts, and is called back for each probe", async () => {
  let recalls = 0;
  const recall = () => Promise.resolve(void (recalls += 1)).then(() => 0);
  const harness = openLimiters({ limits: oneFailure, recall });
  await harness.submit(["f"]);
  await harness.end(answered(500));
  await harness.submit(ids("m", 3));
  harness.clock.stepWall(-3600_000);
  await harness.clock.advance(300_000);
  const before = recalls;
  await harness.submit(["probe"]);
  await harness.end(answered(500));
  await harness.clock.advance(300_000);
  assert.ok(recalls > before, `${recalls} recalls, ${before} before the second probe`);
});
