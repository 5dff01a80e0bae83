import assert from "node:assert/strict";
import { test } from "node:test";
import { createSlots, noneHeld } from "@posthaste/processor/endpoint/slots.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import fc from "fast-check";
import type { Holder, Standing } from "@posthaste/processor/endpoint/slots.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";

const bounds = { all: 8, mediumAndLow: 6, low: 3, tenantPerFree: 8 };
const large = { all: 512, mediumAndLow: 448, low: 256, tenantPerFree: 8 };

const holderOf = (tenant: string, standing: Standing = "unknown"): Holder => ({
  tenant,
  held: noneHeld(),
  standing: () => standing,
});
const newcomer = holderOf("newcomer");

/** Takes all that many tenants with one message each find. */
function takeAll(lane: Lane, slots = createSlots(bounds)) {
  const holders: Holder[] = [];
  for (; slots.isFree(lane, newcomer); holders.push(holderOf(`${lane}${holders.length}`))) {
    slots.take(lane, holderOf(`${lane}${holders.length}`));
  }
  return { slots, taken: holders.length };
}

/** Endpoints of one tenant take in turn until none of them finds a slot, or each holds `most`. */
function hog(
  slots: ReturnType<typeof createSlots>,
  tenant: string,
  endpoints: number,
  most: number,
  lane: Lane,
  standing: Standing = "unknown",
) {
  const holders = Array.from({ length: endpoints }, () => holderOf(tenant, standing));
  for (let hasTaken = true; hasTaken;) {
    hasTaken = false;
    for (const holder of holders) {
      if (holder.held[lane] >= most || !slots.isFree(lane, holder)) continue;
      slots.take(lane, holder);
      hasTaken = true;
    }
  }
  return holders.map(({ held }) => held[lane]);
}

const alone = [
  ["high", 8],
  ["medium", 6],
  ["low", 3],
] as const;
for (const [lane, most] of alone) {
  test(`${lane} alone gets ${most} of 8 slots`, () => assert.equal(takeAll(lane).taken, most));
}

test("behind all that LOW may take, MEDIUM gets its rest and HIGH the rest of all", () => {
  const { slots } = takeAll("low");
  assert.deepEqual([takeAll("medium", slots).taken, takeAll("high", slots).taken], [3, 2]);
});

test("HIGH may take all, and then nobody finds a slot", () => {
  const { slots } = takeAll("high");
  assert.deepEqual(
    LANES.map((lane) => slots.isFree(lane, newcomer) || slots.isOpen(lane)),
    [false, false, false],
  );
});

test("a slot that is freed can be taken again, by its lane and by those above", () => {
  const { slots } = takeAll("low");
  const [holder] = [holderOf("low0")];
  holder.held.low = 1;
  slots.free("low", holder);
  assert.deepEqual([slots.count(), slots.isFree("low", newcomer), slots.isFree("high", newcomer)], [2, true, true]);
});

test("a tenant alone uses nearly all slots of a lane, and four endpoints their whole share", () => {
  const used = (endpoints: number, lane: Lane) =>
    hog(createSlots(large), "acme", endpoints, 64, lane).reduce((sum, held) => sum + held, 0);
  assert.deepEqual(hog(createSlots(large), "acme", 4, 64, "medium"), [64, 64, 64, 64]);
  assert.ok(used(64, "high") >= 440, String(used(64, "high")));
  assert.ok(used(64, "medium") >= 385, String(used(64, "medium")));
});

for (const [lane, bound] of [
  ["high", large.all],
  ["medium", large.mediumAndLow],
  ["low", large.low],
] as const) {
  const sum = (held: readonly number[]) => held.reduce((all, each) => all + each, 0);

  test(`a tenant with a thousand endpoints, one attempt at each, gets eight ninths of ${lane}, and another finds a slot`, () => {
    const slots = createSlots(large);
    const taken = sum(hog(slots, "acme", 1000, 1, lane));
    assert.ok(Math.abs(taken - (bound * 8) / 9) <= 2, `${taken} of ${bound}`);
    assert.equal(slots.isFree(lane, newcomer), true);
  });

  test(`two such tenants that come in turn get eight seventeenths of ${lane} each, and a third finds a slot`, () => {
    const slots = createSlots(large);
    const taken = { acme: 0, bolt: 0 };
    for (let round = 0; round < 1000; round++) {
      for (const tenant of ["acme", "bolt"] as const) taken[tenant] += sum(hog(slots, tenant, 1, 1, lane));
    }
    for (const each of Object.values(taken)) assert.ok(Math.abs(each - (bound * 8) / 17) <= 2, `${each} of ${bound}`);
    assert.equal(slots.isFree(lane, newcomer), true);
  });
}

test("what a tenant leaves free is enough for several others, each beside those before it", () => {
  const slots = createSlots(large);
  hog(slots, "acme", 32, 64, "high");
  for (const tenant of ["bolt", "core", "dune"]) {
    const held = hog(slots, tenant, 1, 64, "high")[0] ?? 0;
    assert.ok(held >= 4, `${tenant} got ${held}`);
  }
  assert.equal(slots.isFree("high", newcomer), true);
});

for (const lane of LANES) {
  test(`where a tenant's endpoints have failed, half of ${lane} is left; what was never tried leaves some to those that answer`, () => {
    const slots = createSlots(large);
    const bound = { high: large.all, medium: large.mediumAndLow, low: large.low }[lane];
    hog(slots, "acme", 1000, 1, lane, "failing");
    assert.ok(Math.abs(slots.count() - bound / 2) <= 1, `${slots.count()} of ${bound}`);
    hog(slots, "acme", 1000, 1, lane, "unknown");
    assert.equal(slots.isFree(lane, holderOf("acme", "failing")), false);
    assert.equal(slots.isFree(lane, holderOf("acme", "unknown")), false);
    assert.equal(slots.isFree(lane, holderOf("acme", "quick")), true);
    hog(slots, "acme", 1000, 1, lane, "quick");
    assert.equal(slots.isFree(lane, newcomer), true);
  });
}

test("beside its own endpoints that hang in a lane, a tenant's other endpoint finds slots in the same lane", () => {
  for (const lane of LANES) {
    const slots = createSlots(large);
    hog(slots, "acme", 32, 64, lane);
    const held = hog(slots, "acme", 1, 64, lane)[0] ?? 0;
    assert.ok(held >= 2, `${lane}: ${held}`);
  }
});

test("whatever is taken and freed, no lane passes its bound and HIGH always finds what the others may not take", () => {
  const tenant = fc.constantFrom("acme", "bolt");
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...LANES), tenant, fc.boolean()), { maxLength: 100 }), (steps) => {
      const slots = createSlots(bounds);
      const holders = { acme: holderOf("acme"), bolt: holderOf("bolt") };
      const sum = (lane: Lane) => holders.acme.held[lane] + holders.bolt.held[lane];
      for (const [lane, name, isTake] of steps) {
        const holder = holders[name];
        if (isTake && slots.isFree(lane, holder)) slots.take(lane, holder);
        else if (!isTake && holder.held[lane] > 0) slots.free(lane, holder);
        assert.ok(sum("low") <= bounds.low && sum("medium") + sum("low") <= bounds.mediumAndLow);
        assert.equal(slots.count(), sum("high") + sum("medium") + sum("low"));
        assert.equal(slots.isFree("high", newcomer), slots.count() < bounds.all);
      }
    }),
  );
});
