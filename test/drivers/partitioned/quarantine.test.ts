/** Records with facts that no API takes: given away, and no burden to those behind them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { envelopeHeaders } from "@posthaste/shared/domain/envelope-record.ts";
import { idsOf } from "../../contract/harness.ts";
import { sampleEnvelope, sampleEnvelopes } from "../../support/samples.ts";
import { TOPICS, openLogWorld } from "./lanes-harness.ts";

const NEVER = new AbortController().signal;

for (const spoil of [
  { id: "evt.bad" },
  { tenant: "a/b" },
  { type: "order..paid" },
  { accepted: "9".repeat(20) },
  { traceparent: "a\nb" },
]) {
  test(`a record whose facts are ${JSON.stringify(spoil)} is given away, and those behind it are delivered`, async () => {
    const world = await openLogWorld(1);
    const { lanes } = await world.start();
    const { body } = sampleEnvelope("evt_bad");
    const headers = { ...envelopeHeaders(sampleEnvelope("evt_bad")), ...spoil };
    const record = { topic: TOPICS.medium, partition: 0, key: null, value: body, timestampMs: 0, headers };
    await world.partitionLog.openProducer("raw").append([record]);
    await lanes.append(sampleEnvelopes(3));
    await world.clock.settle();
    assert.deepEqual(idsOf(await lanes.take("medium", 10, NEVER)), ["evt_0", "evt_1", "evt_2"]);
    assert.deepEqual(
      world.poison.map((poison) => poison.headers),
      [headers],
    );
  });
}
