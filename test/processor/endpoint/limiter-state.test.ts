import assert from "node:assert/strict";
import { test } from "node:test";
import { dropIfRemoved, gateOf } from "@posthaste/processor/endpoint/limiter-state.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import type { Gate } from "@posthaste/processor/endpoint/limiter-state.ts";
import { answered, endpointOf, envelopeOf, openProcessorHarness, openYard } from "../../support/processor-harness.ts";
import { outgoingOf } from "../../support/processor-harness.ts";

const GATES_MAX = 10_000;

function gateFor(gates: Map<string, Gate>, endpointId: string, nowMs = 0): Gate {
  return gateOf(gates, outgoingOf(envelopeOf("evt_1"), endpointId, []), PROCESSOR_LIMITS, nowMs);
}

function openBreaker(gate: Gate, nowMs: number): void {
  for (let failure = 0; failure < 5; failure++) gate.breaker.fail(nowMs);
}

/** As many gates as are kept, each prepared by `prepare`. */
function fill(prepare: (gate: Gate) => void): Map<string, Gate> {
  const gates = new Map<string, Gate>();
  for (let index = 0; index < GATES_MAX; index++) prepare(gateFor(gates, `old${index}`));
  return gates;
}

test("past the bound idle gates are forgotten", () => {
  const gates = fill(() => undefined);
  gateFor(gates, "new");
  assert.ok(gates.size < GATES_MAX && gates.has("new"));
});

test("an open breaker is kept until its probe is due, and forgotten then", () => {
  const gates = fill((gate) => openBreaker(gate, 0));
  gateFor(gates, "early", 9_999);
  assert.equal(gates.size, GATES_MAX + 1);
  gateFor(gates, "late", 10_000);
  assert.ok(gates.size < GATES_MAX, String(gates.size));
});

const busy: readonly (readonly [string, (gate: Gate) => void])[] = [
  ["an attempt in flight", (gate) => gate.pace.begin(0)],
  ["something parked", (gate) => gate.parked.add(100_000)],
  ["an overflow to call back", (gate) => void (gate.overflow = () => undefined)],
  ["a quiet time", (gate) => void (gate.quietUntilMs = 100_000)],
];
for (const [what, prepare] of busy) {
  test(`a gate with ${what} is never forgotten`, () => {
    const gates = fill(prepare);
    for (let index = 0; index < 200; index++) prepare(gateFor(gates, `new${index}`, 50_000));
    assert.equal(gates.size, GATES_MAX + 200);
  });
}

test("behind many gates that must stay, idle ones are found, a few looked at for each new one", () => {
  let count = 0;
  const gates = fill((gate) => {
    count += 1;
    if (count <= GATES_MAX / 2) gate.parked.add(100_000);
  });
  gateFor(gates, "first");
  assert.equal(gates.size, GATES_MAX + 1);
  for (let index = 0; index < 100; index++) gateFor(gates, `new${index}`);
  assert.ok(gates.size <= GATES_MAX, String(gates.size));
});

test("the gate of a deleted endpoint stays while an attempt is under way, and goes after it", () => {
  const gates = new Map<string, Gate>();
  const gate = gateFor(gates, "ep1");
  const token = gate.pace.begin(0);
  gate.isRemoved = true;
  dropIfRemoved(gates, gate);
  assert.equal(gates.size, 1);
  gate.pace.end(token, 10, "healthy");
  dropIfRemoved(gates, gate);
  assert.equal(gates.size, 0);
});

test("an endpoint that was removed is forgotten, its open breaker and its parked messages too", async () => {
  const yard = openYard();
  for (let failure = 0; failure < 5; failure++) {
    yard.submit([`f${failure}`]);
    await yard.end(answered(500));
  }
  yard.submit(["parked"]);
  assert.equal(yard.parked.length, 1);
  assert.equal(yard.gates.keepsBack("ep1"), true);
  yard.gates.removed("ep1");
  assert.equal(yard.gates.keepsBack("ep1"), false);
});

test("an endpoint removed during an attempt is forgotten at its end", async () => {
  const yard = openYard({ limits: { breaker: { ...PROCESSOR_LIMITS.breaker, failuresToOpen: 1 } } });
  yard.submit(["m"]);
  yard.gates.removed("ep1");
  await yard.end(answered(500));
  assert.equal(yard.gates.keepsBack("ep1"), false);
});

test("the announcement that an endpoint was deleted makes its gate forgotten", async () => {
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

test("a park that could not be written is taken back, and leaves its place in the backlog to another", async () => {
  const yard = openYard({ limits: { backlogMax: 1 } });
  for (let failure = 0; failure < 5; failure++) {
    yard.submit([`f${failure}`]);
    await yard.end(answered(500));
  }
  yard.submit(["m0"]);
  yard.parked[0]?.outgoing.handBack();
  yard.submit(["m1", "m2"]);
  assert.deepEqual([yard.parked.length, yard.overflowed, yard.told.at(-1)], [2, ["m2"], "back m0"]);
});
