/** A stored event that HTTP has no place for costs itself: no slot, no breaker, no other event. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { TENANT, endpointOf, envelopeOf, ids } from "../../support/samples.ts";

const ODD: readonly (readonly [string, Partial<Envelope>])[] = [
  ["an id with a dot", { id: "evt.odd" }],
  ["an id with a line break", { id: "evt\r\nx: y" }],
  ["an id beyond ASCII", { id: "evt_\u{1F4A9}" }],
];

for (const [name, parts] of ODD) {
  for (const lane of ["high", "low"] as const) {
    test(`${name} on ${lane} is a dead letter with the reason, and costs its endpoint nothing`, async () => {
      await using harness = await openProcessorHarness();
      await harness.add(endpointOf("ep1"));
      const processor = harness.start();
      await harness.publish(
        ...ids("odd", 20).map((id) =>
          envelopeOf(id, lane, { ...parts, id: parts.id === undefined ? id : `${id}${parts.id}` }),
        ),
      );
      await harness.publish(envelopeOf("evt_good", lane));
      await harness.clock.advance(10_000);
      assert.deepEqual(harness.world.idsTo("ep1"), ["evt_good"]);
      const { rows } = await harness.drivers.deadLetters.list({ tenant: TENANT }, 100, null);
      assert.equal(rows.length, 20);
      assert.ok(rows.every(({ state, attempts }) => state === "dead" && attempts === 0));
      assert.match(rows[0]?.reason ?? "", /^the message cannot be sent: /);
      assert.equal(processor.outstanding(), 0);
      await harness.stop(processor);
    });
  }
}

for (const end of ["01\r\nx: y", "0\u{1F4A9}"]) {
  test(`a stored traceparent that ends in ${JSON.stringify(end)} is left out, and its event is delivered`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("ep1"));
    const processor = harness.start();
    await harness.publish(
      envelopeOf("evt_1", "high", { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-${end}` }),
    );
    await harness.clock.advance(10_000);
    assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
    assert.equal(harness.world.sent[0]?.headers["traceparent"], undefined);
    await harness.stop(processor);
  });
}
