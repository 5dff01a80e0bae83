import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { Yard } from "../../support/processor-harness.ts";
import { answered, endpointOf, ids, openYard } from "../../support/processor-harness.ts";

const RICH = { holdUpMsMax: 60_000 };

function submitFor(yard: Yard, tenant: string, endpoint: Endpoint, eventIds: readonly string[], lane: Lane): void {
  yard.submit(eventIds, lane, endpoint, { tenant });
}

/** Endpoints of `acme` with 100 messages each that never end; they answered before, so that their caps are large. */
async function hangAll(yard: Yard, count: number, lane: Lane): Promise<void> {
  for (let index = 0; index < count; index++) {
    const endpoint = endpointOf(`hangs${index}`);
    submitFor(yard, "acme", endpoint, [`first${index}`], lane);
    yard.launched.at(-1)?.end(answered(200));
    await yard.clock.settle();
    submitFor(yard, "acme", endpoint, ids(`h${index}_`, 100), lane);
  }
}

const hasLaunched = (yard: Yard, id: string): boolean => yard.launched.some((launch) => launch.id === id);

for (const lane of ["high", "medium", "low"] as const) {
  test(`beside 32 endpoints of a tenant that hang with ${lane}, another tenant's event goes at once`, async () => {
    const yard = openYard({ limits: RICH });
    await hangAll(yard, 32, lane);
    submitFor(yard, "bolt", endpointOf("well"), ["quick"], lane);
    assert.equal(hasLaunched(yard, "quick"), true);
  });

  test(`beside 32 endpoints that hang with ${lane}, the same tenant's HIGH goes at once`, async () => {
    const yard = openYard({ limits: RICH });
    await hangAll(yard, 32, lane);
    submitFor(yard, "acme", endpointOf("well"), ["quick"], "high");
    assert.equal(hasLaunched(yard, "quick"), true);
  });
}

test("an endpoint that never answered holds four slots, and its whole start after a good answer", async () => {
  const yard = openYard({ limits: RICH });
  yard.submit(ids("m", 40));
  assert.equal(yard.inFlight().length, 4);
  await yard.end(answered(200));
  assert.equal(yard.inFlight().length, 16);
});

test("one endpoint of the only tenant reaches its cap of 64", async () => {
  const yard = openYard({ limits: RICH });
  yard.submit(ids("m", 5000));
  for (let round = 0; round < 80; round++) await yard.end(answered(200), yard.inFlight().length);
  assert.equal(yard.inFlight().length, 64);
});

test("many endpoints of the only tenant use nearly all that the process has", async () => {
  const yard = openYard({ limits: RICH });
  await hangAll(yard, 64, "high");
  assert.ok(yard.gates.inFlight() >= 440, String(yard.gates.inFlight()));
});

test("all that waited for a slot goes out in the end, endpoint by endpoint", async () => {
  const yard = openYard({ limits: { ...RICH, inFlightMax: 20, inFlightMediumMax: 18, inFlightLowMax: 10 } });
  for (let index = 0; index < 50; index++) {
    submitFor(yard, index % 2 === 0 ? "acme" : "bolt", endpointOf(`ep${index}`), ids(`m${index}_`, 10), "medium");
  }
  for (let round = 0; round < 200; round++) await yard.end(answered(200), 10);
  assert.deepEqual([yard.launched.length, yard.gates.waiting(), yard.gates.inFlight()], [500, 0, 0]);
});
