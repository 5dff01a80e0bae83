import assert from "node:assert/strict";
import { test } from "node:test";
import { createRateLimiter } from "@posthaste/shared/drivers/memory/rate-limiter.ts";
import type { LimiterHarness } from "../../support/processor-harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { openLimiters } from "../../support/processor-harness.ts";
import { START_MS, answered, endpointOf, faulted, ids } from "../../support/samples.ts";

const ep1 = endpointOf("ep1");

/** Opens the breaker of `ep1` by five failures one after the other. */
async function openBreaker(harness: LimiterHarness): Promise<void> {
  for (let failure = 0; failure < 5; failure++) {
    await harness.submit([`f${failure}`]);
    await harness.end(answered(500));
  }
}

const launchedIds = (harness: LimiterHarness): string[] => harness.launched.map(({ id }) => id);
const whys = (harness: LimiterHarness): string[] => harness.deferred.map(({ why }) => why);

test("a delivery goes at once while there is room", async () => {
  const harness = openLimiters();
  await harness.submit(ids("m", 4));
  assert.deepEqual([harness.launched.length, harness.limiters.inFlight(), harness.limiters.waiting()], [4, 4, 0]);
});

test("past the cap deliveries wait, and go as others end", async () => {
  const harness = openLimiters({ limits: { capStart: 2 } });
  await harness.submit(ids("m", 5));
  assert.deepEqual([launchedIds(harness), harness.limiters.waiting()], [["m0", "m1"], 3]);
  await harness.end(answered(404));
  assert.deepEqual([launchedIds(harness).at(-1), harness.limiters.waiting()], ["m2", 2]);
});

test("free room goes to HIGH before MEDIUM before LOW, whoever came first", async () => {
  const harness = openLimiters({ limits: { capStart: 1, inFlightPerEndpointMax: 1 } });
  await harness.submit(["first"]);
  await harness.submit(["low0"], "low");
  await harness.submit(["medium0", "medium1"], "medium");
  await harness.submit(["high0", "high1"], "high");
  for (let count = 0; count < 5; count++) await harness.end(answered(200));
  assert.deepEqual(launchedIds(harness), ["first", "high0", "high1", "medium0", "medium1", "low0"]);
});

test("LOW takes at most half of a cap, and the other half stays for those above", async () => {
  const harness = openLimiters({ limits: { capFirst: 8, capStart: 8 } });
  await harness.submit(ids("low", 10), "low");
  assert.equal(harness.launched.length, 4);
  await harness.submit(ids("high", 10), "high");
  assert.equal(harness.launched.length, 8);
});

test("LOW gets one attempt where the cap is one", async () => {
  const harness = openLimiters({ limits: { capStart: 1 } });
  await harness.submit(ids("low", 3), "low");
  assert.equal(harness.launched.length, 1);
});

test("one endpoint never has more than its share in flight, and others find the rest", async () => {
  const harness = openLimiters({
    limits: { inFlightMax: 40, inFlightMediumMax: 36, inFlightPerEndpointMax: 8, capFirst: 8, capStart: 8 },
  });
  await harness.submit(ids("slow", 50));
  await harness.submit(ids("other", 5), "medium", endpointOf("ep2"));
  assert.equal(harness.launched.filter(({ endpointId }) => endpointId === "ep1").length, 8);
  assert.equal(harness.launched.filter(({ endpointId }) => endpointId === "ep2").length, 5);
});

test("past the slots of the process deliveries wait for any endpoint's slot, HIGH ahead", async () => {
  const harness = openLimiters({ limits: { inFlightMax: 4, inFlightMediumMax: 3, inFlightLowMax: 1 } });
  await harness.submit(ids("m", 3), "medium");
  await harness.submit(["second"], "medium", endpointOf("ep2"));
  await harness.submit(["third"], "medium", endpointOf("ep4"));
  await harness.submit(["high"], "high", endpointOf("ep3"));
  // Until the first has answered its next ones stand behind endpoints that hold nothing.
  assert.deepEqual(launchedIds(harness), ["m0", "second", "third", "high"]);
  await harness.end(answered(200), 3);
  assert.deepEqual(launchedIds(harness).slice(4).toSorted(), ["m1", "m2"]);
});

test("timeouts of one round trip halve the cap once", async () => {
  const harness = openLimiters({
    limits: {
      capFirst: 8,
      capStart: 8,
      breaker: { failuresToOpen: 100, probeAfterMs: 10_000, probeAfterMsMax: 10_000 },
    },
  });
  await harness.submit(ids("m", 30), "medium", ep1);
  await harness.clock.advance(500);
  await harness.end(faulted("timeout"), 8);
  assert.equal(harness.inFlight().length, 4);
});

test("good answers make the cap grow by one per capful", async () => {
  const harness = openLimiters({ limits: { capStart: 2, inFlightPerEndpointMax: 4 } });
  await harness.submit(ids("m", 60));
  const counts: number[] = [];
  for (let round = 0; round < 14; round++) {
    counts.push(harness.inFlight().length);
    await harness.end(answered(200));
  }
  assert.deepEqual([counts[0], counts.at(-1), Math.max(...counts)], [2, 4, 4]);
});

test("five failures in a row open the breaker, and what waits is deferred without an attempt", async () => {
  const harness = openLimiters({ limits: { capFirst: 5, capStart: 5, inFlightPerEndpointMax: 5 } });
  await harness.submit(ids("m", 20));
  await harness.end(answered(500), 4);
  assert.equal(harness.deferred.length, 0);
  await harness.end(answered(500));
  assert.deepEqual(new Set(whys(harness)), new Set(["breaker-open"]));
  assert.equal(harness.limiters.waiting(), 0);
  assert.ok(harness.deferred.every(({ delivery, afterMs }) => delivery.attempt === 1 && afterMs >= 10_000));
});

test("429 is an answer: it opens no breaker", async () => {
  const harness = openLimiters();
  for (let answer = 0; answer < 10; answer++) {
    await harness.submit([`m${answer}`]);
    await harness.end(answered(429));
  }
  assert.deepEqual([harness.launched.length, harness.deferred], [10, []]);
});

test("behind an open breaker a newcomer is deferred until the probe at least", async () => {
  const harness = openLimiters();
  await openBreaker(harness);
  await harness.submit(["m"]);
  assert.deepEqual([whys(harness), harness.launched.length], [["breaker-open"], 5]);
  assert.ok((harness.deferred[0]?.afterMs ?? 0) >= 10_000);
});

test("when the probe is due exactly one delivery goes, and those behind it are deferred", async () => {
  const harness = openLimiters();
  await openBreaker(harness);
  await harness.clock.advance(10_000);
  await harness.submit(ids("p", 4));
  assert.deepEqual([launchedIds(harness).slice(5), whys(harness).length], [["p0"], 3]);
});

test("a probe that succeeds closes the breaker and says that the endpoint recovered", async () => {
  const harness = openLimiters();
  await openBreaker(harness);
  await harness.clock.advance(10_000);
  await harness.submit(["probe"]);
  await harness.end(answered(200));
  await harness.submit(ids("m", 3));
  assert.deepEqual([harness.recovered, launchedIds(harness).slice(5)], [["ep1"], ["probe", "m0", "m1", "m2"]]);
});

test("a probe that fails opens the breaker for twice as long", async () => {
  const harness = openLimiters();
  await openBreaker(harness);
  await harness.clock.advance(10_000);
  await harness.submit(["probe"]);
  await harness.end(faulted("connect-refused"));
  await harness.clock.advance(19_999);
  await harness.submit(["early"]);
  await harness.clock.advance(1);
  await harness.submit(["due"]);
  assert.deepEqual(launchedIds(harness).slice(5), ["probe", "due"]);
});

for (const [what, result] of [
  ["failure", answered(500)],
  ["success", answered(200)],
] as const) {
  test(`while a probe is under way, the late ${what} of an older attempt decides nothing`, async () => {
    const harness = openLimiters({ limits: { capFirst: 6 } });
    await harness.submit(["old"]);
    await harness.submit(ids("f", 5));
    for (const launch of harness.launched.slice(1)) launch.end(answered(500));
    await harness.clock.advance(10_000);
    await harness.submit(["probe"]);
    harness.launched[0]?.end(result);
    await harness.clock.settle();
    await harness.submit(["second"]);
    assert.deepEqual([launchedIds(harness).includes("second"), harness.recovered], [false, []]);
    harness.launched.at(-1)?.end(answered(200));
    await harness.clock.settle();
    assert.deepEqual(harness.recovered, ["ep1"]);
  });
}

for (const status of [429, 503]) {
  test(`a Retry-After on ${status} quiets the endpoint: nothing goes before it, and what cannot wait is deferred till then`, async () => {
    const harness = openLimiters();
    await harness.submit(["m"]);
    await harness.end(answered(status, { retryAfter: "30" }));
    await harness.submit(["n"]);
    assert.deepEqual(
      [harness.launched.length, whys(harness), harness.deferred[0]?.afterMs],
      [1, ["throttled"], 30_000],
    );
  });
}

test("after a Retry-After of a second what waits goes by itself", async () => {
  const harness = openLimiters();
  await harness.submit(["m"]);
  await harness.end(answered(429, { retryAfter: "1" }));
  await harness.submit(["n"]);
  await harness.clock.advance(999);
  assert.equal(harness.launched.length, 1);
  await harness.clock.advance(1);
  assert.deepEqual([launchedIds(harness), harness.deferred], [["m", "n"], []]);
});

test("a Retry-After on any other answer quiets nobody else", async () => {
  const harness = openLimiters();
  await harness.submit(["m"]);
  await harness.end(answered(404, { retryAfter: "3600" }));
  await harness.submit(["n"]);
  assert.equal(harness.launched.length, 2);
});

test("a rate limit is exact: in no window more than its limit, and no slower", async () => {
  const limited = endpointOf("ep1", { rateLimit: { limit: 3, windowMs: 1000 } });
  const harness = openLimiters({ limits: { holdUpMsMax: 60_000 } });
  await harness.submit(ids("m", 10), "medium", limited);
  for (let step = 0; step < 300; step++) {
    await harness.clock.advance(10);
    await harness.end(answered(200), 10);
  }
  assert.deepEqual(
    harness.launched.map(({ atMs }) => atMs),
    [0, 0, 0, 1000, 1000, 1000, 2000, 2000, 2000, 3000],
  );
});

test("a rate limit wakes its endpoint in time, also when a longer wait was planned before", async () => {
  const limited = endpointOf("ep1", { rateLimit: { limit: 2, windowMs: 100 } });
  const harness = openLimiters({ limits: { capStart: 1, inFlightPerEndpointMax: 1 } });
  await harness.submit(ids("m", 3), "medium", limited);
  await harness.clock.advance(20);
  await harness.end(answered(200));
  await harness.end(answered(200));
  await harness.clock.advance(80);
  assert.deepEqual(
    harness.launched.map(({ atMs }) => atMs),
    [0, 20, 100],
  );
});

test("a limiter that is out of order stops no delivery", async () => {
  const limited = endpointOf("ep1", { rateLimit: { limit: 1, windowMs: 1000 } });
  const harness = openLimiters({ rateLimiter: { take: () => Promise.reject(new Error("no store")) } });
  await harness.submit(["m"], "medium", limited);
  await harness.clock.settle();
  assert.deepEqual(launchedIds(harness), ["m"]);
});

test("a limiter that answers later is asked one question at a time", async () => {
  const limited = endpointOf("ep1", { rateLimit: { limit: 2, windowMs: 1000 } });
  const real = createRateLimiter({ clock: createManualClock(START_MS) });
  const harness = openLimiters({ rateLimiter: real });
  await harness.submit(ids("m", 3), "medium", limited);
  await harness.clock.settle();
  assert.deepEqual(launchedIds(harness), ["m0", "m1"]);
});

test("a delivery that waited longer than it may hold up others is deferred as busy", async () => {
  const harness = openLimiters({ limits: { capStart: 1 } });
  await harness.submit(["hangs", "waits"]);
  await harness.clock.advance(1000);
  assert.deepEqual([whys(harness), harness.limiters.waiting()], [[], 1]);
  await harness.clock.advance(1);
  assert.deepEqual([whys(harness), harness.limiters.waiting(), launchedIds(harness)], [["busy"], 0, ["hangs"]]);
});

test("once somebody waited too long, a newcomer that would wait as long is deferred at once", async () => {
  const harness = openLimiters({ limits: { capStart: 1, inFlightPerEndpointMax: 1 } });
  await harness.submit(["slow", "waits"]);
  await harness.clock.advance(1001);
  assert.deepEqual(whys(harness), ["busy"]);
  await harness.submit(["late"]);
  assert.deepEqual([harness.limiters.waiting(), whys(harness)], [0, ["busy", "busy"]]);
});

test("while nobody waited too long yet, newcomers wait, however long the queue before them", async () => {
  const harness = openLimiters({ limits: { capStart: 1, inFlightPerEndpointMax: 1 } });
  await harness.submit(["first"]);
  await harness.clock.advance(800);
  await harness.end(answered(200));
  await harness.submit(ids("m", 40));
  assert.deepEqual([harness.limiters.waiting(), whys(harness)], [39, []]);
});

for (const [ageS, expected] of [
  [7200, [10, 20, 40, 1280, 1800, 1800]],
  [60, [10, 20, 40, 60, 60, 60]],
  [5, [10, 10, 10, 10, 10, 10]],
] as const) {
  test(`the delay of a deferral doubles with each, up to half an hour, and doubles an age of ${ageS} s at most`, async () => {
    const harness = openLimiters();
    await harness.clock.advance(ageS * 1000);
    await openBreaker(harness);
    for (const deferrals of [0, 1, 2, 7, 8, 40]) {
      await harness.clock.advance(1);
      await harness.submit([`m${deferrals}`], "medium", endpointOf("ep1"), { deferrals });
    }
    const delays = harness.deferred.map(({ afterMs }) => Math.round(afterMs / 1000));
    assert.deepEqual(delays, expected);
  });
}

test("deferred deliveries come back spread, a hundred a second", async () => {
  const harness = openLimiters();
  await openBreaker(harness);
  await harness.submit(ids("m", 4));
  assert.deepEqual(
    harness.deferred.map(({ afterMs }) => afterMs),
    [10_000, 10_010, 10_020, 10_030],
  );
});

test("past the backlog bound deliveries overflow instead of being deferred", async () => {
  const harness = openLimiters({ limits: { backlogMax: 2 } });
  await openBreaker(harness);
  await harness.submit(ids("m", 4));
  assert.deepEqual([harness.deferred.length, harness.overflowed], [2, ["m2", "m3"]]);
});

test("a deferred delivery makes room in the backlog when it is due, whichever process it comes back to", async () => {
  const harness = openLimiters({ limits: { backlogMax: 1 } });
  await openBreaker(harness);
  await harness.submit(["m0"]);
  await harness.clock.advance(11_000);
  await harness.submit(["probe"]);
  await harness.end(answered(500));
  await harness.submit(["m1", "m2"]);
  assert.deepEqual([harness.deferred.length, harness.overflowed], [2, ["m2"]]);
});

test("what overflowed is kept back while the breaker is open, and called for when half of the bound is free", async () => {
  const harness = openLimiters({ limits: { backlogMax: 4 } });
  await openBreaker(harness);
  await harness.submit(ids("m", 5), "medium", endpointOf("ep1"), { deferrals: 1 });
  assert.equal(harness.limiters.keepsBack("ep1"), true);
  await harness.clock.advance(10_000);
  await harness.submit(["probe"]);
  await harness.end(answered(200));
  assert.deepEqual(harness.recovered, []);
  await harness.clock.advance(11_000);
  assert.deepEqual([harness.recovered, harness.limiters.keepsBack("ep1")], [["ep1"], false]);
});

test("some of what overflowed is called for when nothing else of this process asks an endpoint that was down", async () => {
  const harness = openLimiters({ limits: { backlogMax: 2 } });
  await openBreaker(harness);
  await harness.submit(ids("m", 3));
  assert.equal(harness.limiters.keepsBack("ep1"), true);
  await harness.clock.advance(9_000);
  assert.deepEqual(harness.recovered, []);
  await harness.clock.advance(3_000);
  assert.deepEqual(harness.recovered, ["ep1"]);
});

test("whoever waits for the endpoint's own rate limit comes back at the rate of that limit, and no later each time", async () => {
  const limited = { ...endpointOf("ep1"), rateLimit: { limit: 2, windowMs: 1000 } };
  const harness = openLimiters();
  await harness.submit(ids("m", 42), "medium", limited, { deferrals: 9 });
  await harness.clock.advance(1500);
  const delays = harness.deferred.map(({ afterMs }) => afterMs);
  assert.ok(delays.length >= 36 && Math.max(...delays) <= 24_000, String(delays));
  assert.ok(
    delays.every((ms, index) => index === 0 || ms - (delays[index - 1] ?? 0) >= 499),
    String(delays),
  );
});

test("what overflowed for an endpoint that is well, or unknown, need not be kept back", async () => {
  const harness = openLimiters();
  await harness.submit(["m"]);
  assert.deepEqual([harness.limiters.keepsBack("ep1"), harness.limiters.keepsBack("ep2")], [false, false]);
});

test("an attempt that was broken off is settled and opens no breaker", async () => {
  const harness = openLimiters();
  await harness.submit(ids("m", 6));
  await harness.end(faulted("aborted"), 6);
  await harness.submit(["n"]);
  assert.deepEqual([launchedIds(harness).at(-1), harness.deferred], ["n", []]);
});

test("close() releases all that waits, and all that comes later, and leaves what is in flight", async () => {
  const harness = openLimiters({ limits: { capStart: 1 } });
  await harness.submit(ids("m", 3));
  harness.limiters.close();
  await harness.submit(["late"]);
  assert.deepEqual(harness.told, ["back m1", "back m2", "back late"]);
  await harness.end(answered(200));
  await harness.clock.advance(60_000);
  assert.deepEqual([harness.told.at(-1), launchedIds(harness), harness.limiters.waiting()], ["settled m0", ["m0"], 0]);
});
