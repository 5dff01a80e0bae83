/** What merely waits for endpoints that hang fills no window again and again: others of its lane wait a moment at most. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { endpointOf, envelopeOf } from "../../support/samples.ts";

const HANGING = 400;
const EVENTS = 8000;
/** The first of them wait for a slot once, for `holdUpMsMax`. */
const WAIT_MS_MAX = 2200;

for (const lane of LANES) {
  test(`behind ${EVENTS} ${lane} events for ${HANGING} endpoints that hang, another tenant's ${lane} event waits once, not again`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("well", { tenant: "small" }));
    for (let index = 0; index < HANGING; index++) {
      await harness.add(endpointOf(`hangs${index}`, { tenant: "big", eventTypes: [`to.${index}`] }));
      harness.world.script(`hangs${index}`, () => "hang");
    }
    harness.start();
    const big = (_: unknown, index: number) =>
      envelopeOf(`evt_${index}`, lane, { tenant: "big", type: `to.${index % HANGING}` });
    await harness.publish(...Array.from({ length: EVENTS }, big));
    const fromMs = harness.clock.now();
    await harness.publish(envelopeOf("evt_small", lane, { tenant: "small" }));
    while (harness.world.idsTo("well").length === 0) await harness.clock.advance(100);
    const waitedMs = harness.clock.now() - fromMs;
    assert.ok(waitedMs <= WAIT_MS_MAX, `${waitedMs} ms`);
  });
}

const BESIDE = 60;
const FANNED_OUT = 150;
const FAN_OUT_MS_MAX = 3000;

for (const lane of LANES) {
  test(`${lane} events that go to ${BESIDE} endpoints that hang and to a well one of the same tenant wait once, not again`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("well"));
    for (let index = 0; index < BESIDE; index++) {
      await harness.add(endpointOf(`hangs${index}`));
      harness.world.script(`hangs${index}`, () => "hang");
    }
    harness.start();
    const fromMs = harness.clock.now();
    await harness.publish(...Array.from({ length: FANNED_OUT }, (_, index) => envelopeOf(`evt_${index}`, lane)));
    const isOver = () => harness.clock.now() - fromMs >= FAN_OUT_MS_MAX;
    while (harness.world.idsTo("well").length < FANNED_OUT && !isOver()) await harness.clock.advance(100);
    assert.equal(harness.world.idsTo("well").length, FANNED_OUT);
  });
}
