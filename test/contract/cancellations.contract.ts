/** What every implementation of the port `cancellations` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Cancellations, Decision, PlannedEvent } from "@posthaste/shared/ports/cancellations.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import type { Harness, OpenHarness } from "./harness.ts";
import { withCode } from "./harness.ts";
import { START_MS, sampleEnvelope } from "../support/samples.ts";

const HOUR_MS = 3600_000;
const DUE_MS = START_MS + HOUR_MS;

/** Accepted, and planned for `DUE_MS`. */
async function plan({ drivers }: Harness, id: string, parts: { readonly tenant?: string } = {}): Promise<PlannedEvent> {
  const envelope = sampleEnvelope(id, { ...parts, deliverAtMs: DUE_MS });
  const cause = { cause: "deliver-at", notBeforeMs: DUE_MS, endpointId: null, generation: 0, attempt: 1 } as const;
  await drivers.retryQueue.schedule([scheduledEvent(envelope, cause)]);
  return { tenant: envelope.tenant, id, acceptedAtMs: envelope.acceptedAtMs, deliverAtMs: DUE_MS };
}

export function cancellationsContract(name: string, open: OpenHarness): void {
  test(`${name} cancellations: what is cancelled before its time never begins, also after a crash`, async () => {
    await using harness = await open();
    const event = await plan(harness, "evt_a");
    assert.equal(await harness.drivers.cancellations.cancel(event), "cancelled");
    await harness.reopen();
    await harness.clock.advance(HOUR_MS);
    assert.equal(await harness.drivers.cancellations.begin(event), "cancelled");
    assert.equal(await harness.drivers.cancellations.begin(event), "cancelled");
    assert.equal(await harness.drivers.cancellations.cancel(event), "cancelled");
  });

  test(`${name} cancellations: what has begun before its time is not cancelled any more, also after a crash`, async () => {
    await using harness = await open();
    const event = await plan(harness, "evt_a");
    assert.equal(await harness.drivers.cancellations.begin(event), "begun");
    await harness.reopen();
    await harness.clock.advance(HOUR_MS - 10);
    assert.equal(await harness.drivers.cancellations.cancel(event), "begun");
    assert.equal(await harness.drivers.cancellations.begin(event), "begun");
  });

  test(`${name} cancellations: at its time it is too late, begun or not`, async () => {
    await using harness = await open();
    const event = await plan(harness, "evt_a");
    await harness.clock.advance(HOUR_MS);
    assert.equal(await harness.drivers.cancellations.cancel(event), "begun");
    assert.equal(await harness.drivers.cancellations.begin(event), "begun");
  });

  test(`${name} cancellations: a clock that was set back opens nothing that has begun`, async () => {
    await using harness = await open();
    const event = await plan(harness, "evt_a");
    await harness.clock.advance(HOUR_MS);
    assert.equal(await harness.drivers.cancellations.begin(event), "begun");
    harness.clock.stepWall(-30_000);
    assert.equal(await harness.drivers.cancellations.cancel(event), "begun");
  });

  test(`${name} cancellations: of calls at the same time all hear the same decision`, async () => {
    await using harness = await open();
    for (let round = 0; round < 20; round++) {
      const event = await plan(harness, `evt_${round}`);
      const { cancellations } = harness.drivers;
      const calls: ((of: Cancellations) => Promise<Decision>)[] = [
        (of) => of.cancel(event),
        (of) => of.begin(event),
        (of) => of.begin(event),
        (of) => of.cancel(event),
      ];
      const order = round % 2 === 0 ? calls : calls.toReversed();
      const decisions = await Promise.all(order.map((call) => call(cancellations)));
      assert.equal(new Set(decisions).size, 1, decisions.join(", "));
    }
  });

  test(`${name} cancellations: an event stands for itself: not for another tenant's, nor for a later one of its id`, async () => {
    await using harness = await open();
    const event = await plan(harness, "evt_a");
    const foreign = await plan(harness, "evt_a", { tenant: "globex" });
    assert.equal(await harness.drivers.cancellations.cancel(event), "cancelled");
    assert.equal(await harness.drivers.cancellations.begin(foreign), "begun");
    const later = { ...event, acceptedAtMs: event.acceptedAtMs + 1 };
    assert.equal(await harness.drivers.cancellations.begin(later), "begun");
  });

  test(`${name} cancellations: past a tenant's share a further one is refused, and other tenants go on`, async () => {
    await using harness = await open({ cancelledMax: 4 });
    const { cancellations } = harness.drivers;
    const first = await plan(harness, "evt_a");
    await cancellations.cancel(first);
    await cancellations.cancel(await plan(harness, "evt_b"));
    const refused = await plan(harness, "evt_c");
    await assert.rejects(cancellations.cancel(refused), withCode("overloaded"));
    assert.equal(await cancellations.cancel(first), "cancelled");
    assert.equal(await cancellations.cancel(await plan(harness, "evt_d", { tenant: "globex" })), "cancelled");
    assert.equal(await cancellations.begin(refused), "begun");
  });
}
