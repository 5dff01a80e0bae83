import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { LimiterHarness } from "../../support/processor-harness.ts";
import { openLimiters } from "../../support/processor-harness.ts";
import { answered, endpointOf, ids } from "../../support/samples.ts";

const RICH = { holdUpMsMax: 60_000 };

function submitFor(
  harness: LimiterHarness,
  tenant: string,
  endpoint: Endpoint,
  eventIds: readonly string[],
  lane: Lane,
): Promise<void> {
  return harness.submit(eventIds, lane, endpoint, { tenant });
}

/** Endpoints of `acme` with 100 deliveries each that never end; they answered before, so that their caps are large. */
async function hangAll(harness: LimiterHarness, count: number, lane: Lane): Promise<void> {
  for (let index = 0; index < count; index++) {
    const endpoint = endpointOf(`hangs${index}`);
    await submitFor(harness, "acme", endpoint, [`first${index}`], lane);
    harness.launched.at(-1)?.end(answered(200));
    await harness.clock.settle();
    await submitFor(harness, "acme", endpoint, ids(`h${index}_`, 100), lane);
  }
}

const hasLaunched = (harness: LimiterHarness, id: string): boolean =>
  harness.launched.some((launch) => launch.id === id);

for (const lane of ["high", "medium", "low"] as const) {
  test(`beside 32 endpoints of a tenant that hang with ${lane}, another tenant's event goes at once`, async () => {
    const harness = openLimiters({ limits: RICH });
    await hangAll(harness, 32, lane);
    await submitFor(harness, "bolt", endpointOf("well"), ["quick"], lane);
    assert.equal(hasLaunched(harness, "quick"), true);
  });

  test(`beside 32 endpoints that hang with ${lane}, the same tenant's HIGH goes at once to one that answers`, async () => {
    const harness = openLimiters({ limits: RICH });
    await submitFor(harness, "acme", endpointOf("well"), ["before"], "high");
    await harness.end(answered(200), 1);
    await hangAll(harness, 32, lane);
    await submitFor(harness, "acme", endpointOf("well"), ["quick"], "high");
    assert.equal(hasLaunched(harness, "quick"), true);
  });
}

test("beside a thousand endpoints of a tenant that hang, one event for each, another tenant's event goes at once in each lane", async () => {
  const harness = openLimiters({ limits: RICH });
  for (const lane of ["low", "medium", "high"] as const) {
    for (let index = 0; index < 1000; index++) {
      await submitFor(harness, "acme", endpointOf(`hangs${index}`), [`${lane}${index}`], lane);
    }
    await submitFor(harness, "bolt", endpointOf(`well_${lane}`), [`quick_${lane}`], lane);
    assert.equal(hasLaunched(harness, `quick_${lane}`), true, lane);
  }
});

test("an endpoint that never answered holds four slots, and its whole start after a good answer", async () => {
  const harness = openLimiters({ limits: RICH });
  await harness.submit(ids("m", 40));
  assert.equal(harness.inFlight().length, 4);
  await harness.end(answered(200));
  assert.equal(harness.inFlight().length, 16);
});

test("one endpoint of the only tenant reaches its cap of 64", async () => {
  const harness = openLimiters({ limits: RICH });
  await harness.submit(ids("m", 5000));
  for (let round = 0; round < 80; round++) await harness.end(answered(200), harness.inFlight().length);
  assert.equal(harness.inFlight().length, 64);
});

test("many endpoints of the only tenant use nearly all that the process has", async () => {
  const harness = openLimiters({ limits: RICH });
  await hangAll(harness, 64, "high");
  assert.ok(harness.limiters.inFlight() >= 440, String(harness.limiters.inFlight()));
});

test("all that waited for a slot goes out in the end, endpoint by endpoint", async () => {
  const harness = openLimiters({ limits: { ...RICH, inFlightMax: 20, inFlightMediumMax: 18, inFlightLowMax: 10 } });
  for (let index = 0; index < 50; index++) {
    await submitFor(
      harness,
      index % 2 === 0 ? "acme" : "bolt",
      endpointOf(`ep${index}`),
      ids(`m${index}_`, 10),
      "medium",
    );
  }
  for (let round = 0; round < 200; round++) await harness.end(answered(200), 10);
  assert.deepEqual([harness.launched.length, harness.limiters.waiting(), harness.limiters.inFlight()], [500, 0, 0]);
});
