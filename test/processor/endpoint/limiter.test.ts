import assert from "node:assert/strict";
import { test } from "node:test";
import { createRateLimiter } from "@posthaste/shared/drivers/memory/rate-limiter.ts";
import type { Yard } from "../../support/processor-harness.ts";
import { createManualClock } from "../../support/manual-clock.ts";
import { answered, endpointOf, faulted, ids, openYard, START_MS } from "../../support/processor-harness.ts";

const ep1 = endpointOf("ep1");

/** Opens the breaker of `ep1` by five failures one after the other. */
async function openBreaker(yard: Yard): Promise<void> {
  for (let failure = 0; failure < 5; failure++) {
    yard.submit([`f${failure}`]);
    await yard.end(answered(500));
  }
}

const launchedIds = (yard: Yard): string[] => yard.launched.map(({ id }) => id);
const whys = (yard: Yard): string[] => yard.parked.map(({ why }) => why);

test("a message goes at once while there is room", () => {
  const yard = openYard();
  yard.submit(ids("m", 4));
  assert.deepEqual([yard.launched.length, yard.gates.inFlight(), yard.gates.waiting()], [4, 4, 0]);
});

test("past the cap messages wait, and go as others end", async () => {
  const yard = openYard({ limits: { capStart: 2 } });
  yard.submit(ids("m", 5));
  assert.deepEqual([launchedIds(yard), yard.gates.waiting()], [["m0", "m1"], 3]);
  await yard.end(answered(404));
  assert.deepEqual([launchedIds(yard).at(-1), yard.gates.waiting()], ["m2", 2]);
});

test("free room goes to HIGH before MEDIUM before LOW, whoever came first", async () => {
  const yard = openYard({ limits: { capStart: 1, inFlightPerEndpointMax: 1 } });
  yard.submit(["first"]);
  yard.submit(["low0"], "low");
  yard.submit(["medium0", "medium1"], "medium");
  yard.submit(["high0", "high1"], "high");
  for (let count = 0; count < 5; count++) await yard.end(answered(200));
  assert.deepEqual(launchedIds(yard), ["first", "high0", "high1", "medium0", "medium1", "low0"]);
});

test("LOW takes at most half of a cap, and the other half stays for those above", () => {
  const yard = openYard({ limits: { capFirst: 8, capStart: 8 } });
  yard.submit(ids("low", 10), "low");
  assert.equal(yard.launched.length, 4);
  yard.submit(ids("high", 10), "high");
  assert.equal(yard.launched.length, 8);
});

test("LOW gets one attempt where the cap is one", () => {
  const yard = openYard({ limits: { capStart: 1 } });
  yard.submit(ids("low", 3), "low");
  assert.equal(yard.launched.length, 1);
});

test("one endpoint never has more than its share in flight, and others find the rest", async () => {
  const yard = openYard({
    limits: { inFlightMax: 40, inFlightMediumMax: 36, inFlightPerEndpointMax: 8, capFirst: 8, capStart: 8 },
  });
  yard.submit(ids("slow", 50));
  yard.submit(ids("other", 5), "medium", endpointOf("ep2"));
  assert.equal(yard.launched.filter(({ endpointId }) => endpointId === "ep1").length, 8);
  assert.equal(yard.launched.filter(({ endpointId }) => endpointId === "ep2").length, 5);
});

test("past the slots of the process messages wait for any endpoint's slot, HIGH ahead", async () => {
  const yard = openYard({ limits: { inFlightMax: 4, inFlightMediumMax: 3, inFlightLowMax: 1 } });
  yard.submit(ids("m", 3), "medium");
  yard.submit(["second"], "medium", endpointOf("ep2"));
  yard.submit(["third"], "medium", endpointOf("ep4"));
  yard.submit(["high"], "high", endpointOf("ep3"));
  assert.deepEqual(launchedIds(yard), ["m0", "m1", "second", "high"]);
  await yard.end(answered(200), 2);
  assert.deepEqual(launchedIds(yard).slice(4).toSorted(), ["m2", "third"]);
});

test("timeouts of one round trip halve the cap once", async () => {
  const yard = openYard({
    limits: {
      capFirst: 8,
      capStart: 8,
      breaker: { failuresToOpen: 100, probeAfterMs: 10_000, probeAfterMsMax: 10_000 },
    },
  });
  yard.submit(ids("m", 30), "medium", ep1);
  await yard.clock.advance(500);
  await yard.end(faulted("timeout"), 8);
  assert.equal(yard.inFlight().length, 4);
});

test("good answers make the cap grow by one per capful", async () => {
  const yard = openYard({ limits: { capStart: 2, inFlightPerEndpointMax: 4 } });
  yard.submit(ids("m", 60));
  const counts: number[] = [];
  for (let round = 0; round < 14; round++) {
    counts.push(yard.inFlight().length);
    await yard.end(answered(200));
  }
  assert.deepEqual([counts[0], counts.at(-1), Math.max(...counts)], [2, 4, 4]);
});

test("five failures in a row open the breaker, and what waits is parked without an attempt", async () => {
  const yard = openYard({ limits: { capFirst: 5, capStart: 5, inFlightPerEndpointMax: 5 } });
  yard.submit(ids("m", 20));
  await yard.end(answered(500), 4);
  assert.equal(yard.parked.length, 0);
  await yard.end(answered(500));
  assert.deepEqual(new Set(whys(yard)), new Set(["breaker-open"]));
  assert.equal(yard.gates.waiting(), 0);
  assert.ok(yard.parked.every(({ outgoing, afterMs }) => outgoing.attempt === 1 && afterMs >= 10_000));
});

test("429 is an answer: it opens no breaker", async () => {
  const yard = openYard();
  for (let answer = 0; answer < 10; answer++) {
    yard.submit([`m${answer}`]);
    await yard.end(answered(429));
  }
  assert.deepEqual([yard.launched.length, yard.parked], [10, []]);
});

test("behind an open breaker a newcomer is parked until the probe at least", async () => {
  const yard = openYard();
  await openBreaker(yard);
  yard.submit(["m"]);
  assert.deepEqual([whys(yard), yard.launched.length], [["breaker-open"], 5]);
  assert.ok((yard.parked[0]?.afterMs ?? 0) >= 10_000);
});

test("when the probe is due exactly one message goes, and those behind it are parked", async () => {
  const yard = openYard();
  await openBreaker(yard);
  await yard.clock.advance(10_000);
  yard.submit(ids("p", 4));
  assert.deepEqual([launchedIds(yard).slice(5), whys(yard).length], [["p0"], 3]);
});

test("a probe that succeeds opens the gate and says that the endpoint recovered", async () => {
  const yard = openYard();
  await openBreaker(yard);
  await yard.clock.advance(10_000);
  yard.submit(["probe"]);
  await yard.end(answered(200));
  yard.submit(ids("m", 3));
  assert.deepEqual([yard.recovered, launchedIds(yard).slice(5)], [["ep1"], ["probe", "m0", "m1", "m2"]]);
});

test("a probe that fails closes the gate for twice as long", async () => {
  const yard = openYard();
  await openBreaker(yard);
  await yard.clock.advance(10_000);
  yard.submit(["probe"]);
  await yard.end(faulted("connect-refused"));
  await yard.clock.advance(19_999);
  yard.submit(["early"]);
  await yard.clock.advance(1);
  yard.submit(["due"]);
  assert.deepEqual(launchedIds(yard).slice(5), ["probe", "due"]);
});

for (const [what, result] of [
  ["failure", answered(500)],
  ["success", answered(200)],
] as const) {
  test(`while a probe is under way, the late ${what} of an older attempt decides nothing`, async () => {
    const yard = openYard({ limits: { capFirst: 6 } });
    yard.submit(["old"]);
    yard.submit(ids("f", 5));
    for (const launch of yard.launched.slice(1)) launch.end(answered(500));
    await yard.clock.advance(10_000);
    yard.submit(["probe"]);
    yard.launched[0]?.end(result);
    await yard.clock.settle();
    yard.submit(["second"]);
    assert.deepEqual([launchedIds(yard).includes("second"), yard.recovered], [false, []]);
    yard.launched.at(-1)?.end(answered(200));
    await yard.clock.settle();
    assert.deepEqual(yard.recovered, ["ep1"]);
  });
}

for (const status of [429, 503]) {
  test(`a Retry-After on ${status} quiets the endpoint: nothing goes before it, and what cannot wait is parked till then`, async () => {
    const yard = openYard();
    yard.submit(["m"]);
    await yard.end(answered(status, { retryAfter: "30" }));
    yard.submit(["n"]);
    assert.deepEqual([yard.launched.length, whys(yard), yard.parked[0]?.afterMs], [1, ["throttled"], 30_000]);
  });
}

test("after a Retry-After of a second what waits goes by itself", async () => {
  const yard = openYard();
  yard.submit(["m"]);
  await yard.end(answered(429, { retryAfter: "1" }));
  yard.submit(["n"]);
  await yard.clock.advance(999);
  assert.equal(yard.launched.length, 1);
  await yard.clock.advance(1);
  assert.deepEqual([launchedIds(yard), yard.parked], [["m", "n"], []]);
});

test("a Retry-After on any other answer quiets nobody else", async () => {
  const yard = openYard();
  yard.submit(["m"]);
  await yard.end(answered(404, { retryAfter: "3600" }));
  yard.submit(["n"]);
  assert.equal(yard.launched.length, 2);
});

test("a rate limit is exact: in no window more than its limit, and no slower", async () => {
  const limited = endpointOf("ep1", { rateLimit: { limit: 3, windowMs: 1000 } });
  const yard = openYard({ limits: { holdUpMsMax: 60_000 } });
  yard.submit(ids("m", 10), "medium", limited);
  for (let step = 0; step < 300; step++) {
    await yard.clock.advance(10);
    await yard.end(answered(200), 10);
  }
  assert.deepEqual(
    yard.launched.map(({ atMs }) => atMs),
    [0, 0, 0, 1000, 1000, 1000, 2000, 2000, 2000, 3000],
  );
});

test("a rate limit wakes its endpoint in time, also when a longer wait was planned before", async () => {
  const limited = endpointOf("ep1", { rateLimit: { limit: 2, windowMs: 100 } });
  const yard = openYard({ limits: { capStart: 1, inFlightPerEndpointMax: 1 } });
  yard.submit(ids("m", 3), "medium", limited);
  await yard.clock.advance(20);
  await yard.end(answered(200));
  await yard.end(answered(200));
  await yard.clock.advance(80);
  assert.deepEqual(
    yard.launched.map(({ atMs }) => atMs),
    [0, 20, 100],
  );
});

test("a limiter that is out of order stops no delivery", async () => {
  const limited = endpointOf("ep1", { rateLimit: { limit: 1, windowMs: 1000 } });
  const yard = openYard({ rateLimiter: { take: () => Promise.reject(new Error("no store")) } });
  yard.submit(["m"], "medium", limited);
  await yard.clock.settle();
  assert.deepEqual(launchedIds(yard), ["m"]);
});

test("a limiter that answers later is asked one question at a time", async () => {
  const limited = endpointOf("ep1", { rateLimit: { limit: 2, windowMs: 1000 } });
  const real = createRateLimiter({ clock: createManualClock(START_MS) });
  const yard = openYard({ rateLimiter: { take: (...question) => Promise.resolve(real.take(...question)) } });
  yard.submit(ids("m", 3), "medium", limited);
  await yard.clock.settle();
  assert.deepEqual(launchedIds(yard), ["m0", "m1"]);
});

test("a message that waited longer than it may hold up others is parked as busy", async () => {
  const yard = openYard({ limits: { capStart: 1 } });
  yard.submit(["hangs", "waits"]);
  await yard.clock.advance(1000);
  assert.deepEqual([whys(yard), yard.gates.waiting()], [[], 1]);
  await yard.clock.advance(1);
  assert.deepEqual([whys(yard), yard.gates.waiting(), launchedIds(yard)], [["busy"], 0, ["hangs"]]);
});

test("once somebody waited too long, a newcomer that would wait as long is parked at once", async () => {
  const yard = openYard({ limits: { capStart: 1, inFlightPerEndpointMax: 1 } });
  yard.submit(["slow", "waits"]);
  await yard.clock.advance(1001);
  assert.deepEqual(whys(yard), ["busy"]);
  yard.submit(["late"]);
  assert.deepEqual([yard.gates.waiting(), whys(yard)], [0, ["busy", "busy"]]);
});

test("while nobody waited too long yet, newcomers wait, however long the queue before them", async () => {
  const yard = openYard({ limits: { capStart: 1, inFlightPerEndpointMax: 1 } });
  yard.submit(["first"]);
  await yard.clock.advance(800);
  await yard.end(answered(200));
  yard.submit(ids("m", 40));
  assert.deepEqual([yard.gates.waiting(), whys(yard)], [39, []]);
});

test("the delay of a park doubles with each park, up to half an hour", async () => {
  const yard = openYard();
  await openBreaker(yard);
  for (const parks of [0, 1, 2, 7, 8, 40]) {
    await yard.clock.advance(1);
    yard.submit([`m${parks}`], "medium", endpointOf("ep1"), { parks });
  }
  const delays = yard.parked.map(({ afterMs }) => Math.round(afterMs / 1000));
  assert.deepEqual(delays, [10, 20, 40, 1280, 1800, 1800]);
});

test("parked messages come back spread, a hundred a second", async () => {
  const yard = openYard();
  await openBreaker(yard);
  yard.submit(ids("m", 4));
  assert.deepEqual(
    yard.parked.map(({ afterMs }) => afterMs),
    [10_000, 10_010, 10_020, 10_030],
  );
});

test("past the backlog bound messages overflow instead of being parked", async () => {
  const yard = openYard({ limits: { backlogMax: 2 } });
  await openBreaker(yard);
  yard.submit(ids("m", 4));
  assert.deepEqual([yard.parked.length, yard.overflowed], [2, ["m2", "m3"]]);
});

test("a parked message makes room in the backlog when it is due, whichever process it comes back to", async () => {
  const yard = openYard({ limits: { backlogMax: 1 } });
  await openBreaker(yard);
  yard.submit(["m0"]);
  await yard.clock.advance(11_000);
  yard.submit(["probe"]);
  await yard.end(answered(500));
  yard.submit(["m1", "m2"]);
  assert.deepEqual([yard.parked.length, yard.overflowed], [2, ["m2"]]);
});

test("what overflowed is kept back while the breaker is open, and called for when half of the bound is free", async () => {
  const yard = openYard({ limits: { backlogMax: 4 } });
  await openBreaker(yard);
  yard.submit(ids("m", 5), "medium", endpointOf("ep1"), { parks: 1 });
  assert.equal(yard.gates.keepsBack("ep1"), true);
  await yard.clock.advance(10_000);
  yard.submit(["probe"]);
  await yard.end(answered(200));
  assert.deepEqual(yard.recovered, []);
  await yard.clock.advance(11_000);
  assert.deepEqual([yard.recovered, yard.gates.keepsBack("ep1")], [["ep1"], false]);
});

test("some of what overflowed is called for when nothing else of this process asks an endpoint that was down", async () => {
  const yard = openYard({ limits: { backlogMax: 2 } });
  await openBreaker(yard);
  yard.submit(ids("m", 3));
  assert.equal(yard.gates.keepsBack("ep1"), true);
  await yard.clock.advance(9_000);
  assert.deepEqual(yard.recovered, []);
  await yard.clock.advance(3_000);
  assert.deepEqual(yard.recovered, ["ep1"]);
});

test("whoever waits for the endpoint's own rate limit comes back at the rate of that limit, and no later each time", async () => {
  const limited = { ...endpointOf("ep1"), rateLimit: { limit: 2, windowMs: 1000 } };
  const yard = openYard();
  yard.submit(ids("m", 42), "medium", limited, { parks: 9 });
  await yard.clock.advance(1500);
  const delays = yard.parked.map(({ afterMs }) => afterMs);
  assert.ok(delays.length >= 36 && Math.max(...delays) <= 24_000, String(delays));
  assert.ok(
    delays.every((ms, index) => index === 0 || ms - (delays[index - 1] ?? 0) >= 499),
    String(delays),
  );
});

test("what overflowed for an endpoint that is well, or unknown, need not be kept back", () => {
  const yard = openYard();
  yard.submit(["m"]);
  assert.deepEqual([yard.gates.keepsBack("ep1"), yard.gates.keepsBack("ep2")], [false, false]);
});

test("a message whose endpoint takes no deliveries any more is passed over, and the next one goes", () => {
  const seen: string[] = [];
  const yard = openYard({
    admit: (endpoint) => {
      seen.push(endpoint.id);
      return endpoint.status === "active" ? endpoint : null;
    },
  });
  yard.submit(["m0"], "medium", endpointOf("ep1", { status: "paused" }));
  yard.submit(["m1"]);
  assert.deepEqual([launchedIds(yard), yard.gates.waiting(), seen.length], [["m1"], 0, 2]);
});

test("an attempt that was broken off is settled and opens no breaker", async () => {
  const yard = openYard();
  yard.submit(ids("m", 6));
  await yard.end(faulted("aborted"), 6);
  yard.submit(["n"]);
  assert.deepEqual([launchedIds(yard).at(-1), yard.parked], ["n", []]);
});

test("close() hands back all that waits, and all that comes later, and leaves what is in flight", async () => {
  const yard = openYard({ limits: { capStart: 1 } });
  yard.submit(ids("m", 3));
  yard.gates.close();
  yard.submit(["late"]);
  assert.deepEqual(yard.told, ["back m1", "back m2", "back late"]);
  await yard.end(answered(200));
  await yard.clock.advance(60_000);
  assert.deepEqual([yard.told.at(-1), launchedIds(yard), yard.gates.waiting()], ["settled m0", ["m0"], 0]);
});
