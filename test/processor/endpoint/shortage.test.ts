/** What merely waits for endpoints that hang fills no window again and again: others of its lane wait a moment at most. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import type { Reply } from "../../support/processor-harness.ts";
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

const SPREAD = 200;
const BACKLOG = 4000;
/** LOW's slots that a tenant alone may have. */
const LOW_AT_ONCE = 227;

interface Told {
  readonly deferrals: number;
  /** From the publication to the last arrival, or to `forMs`. */
  readonly tookMs: number;
}

/** A backlog of one tenant for many endpoints, each of which answers so. */
async function workOff(lane: Lane, reply: Reply, forMs: number): Promise<Told> {
  await using harness = await openProcessorHarness();
  for (let index = 0; index < SPREAD; index++) {
    await harness.add(endpointOf(`ep${index}`, { eventTypes: [`to.${index}`] }));
    harness.world.script(`ep${index}`, () => reply);
  }
  let deferrals = 0;
  harness.start({
    wrap: (drivers) => {
      const { retryQueue } = drivers;
      const schedule: typeof retryQueue.schedule = (items) => {
        deferrals += items.filter(({ cause }) => cause === "parked").length;
        return retryQueue.schedule(items);
      };
      return { ...drivers, retryQueue: { ...retryQueue, schedule } };
    },
  });
  const of = (_: unknown, index: number) => envelopeOf(`evt_${index}`, lane, { type: `to.${index % SPREAD}` });
  const fromMs = harness.clock.now();
  await harness.publish(...Array.from({ length: BACKLOG }, of));
  while (harness.world.sent.length < BACKLOG && harness.clock.now() - fromMs < forMs) await harness.clock.advance(500);
  return { deferrals, tookMs: harness.clock.now() - fromMs };
}

for (const lane of LANES) {
  test(`${BACKLOG} ${lane} events for ${SPREAD} endpoints that hang are put off, and seldom read again for nothing`, async () => {
    const { deferrals } = await workOff(lane, "hang", 60_000);
    assert.ok(deferrals <= 3.5 * BACKLOG, `${deferrals} deferrals`);
  });
}

test(`${BACKLOG} events for ${SPREAD} endpoints that take two seconds find a slot as soon as one is given back`, async () => {
  const { tookMs } = await workOff("low", { status: 200, afterMs: 2000 }, 300_000);
  assert.ok(tookMs <= 1.5 * (BACKLOG / LOW_AT_ONCE) * 2000, `${tookMs} ms`);
});
