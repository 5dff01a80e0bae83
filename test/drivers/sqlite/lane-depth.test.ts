/** The age of the oldest event of a lane, whosever it is and however many wait beside it. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createSealer, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { MASTER_KEY } from "../../contract/embedded-harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, sampleEnvelope } from "../../support/samples.ts";

const running = new AbortController().signal;

test("depth() finds the oldest in any tenant and flow, and the next one when that is acknowledged", async () => {
  await using drivers = openEmbedded({
    clock: createManualClock(START_MS),
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer: createSealer(MASTER_KEY),
    database: new DatabaseSync(":memory:"),
  });
  const { lanes } = drivers;
  // Neither the first tenant nor the first flow of its tenant has the oldest.
  const places = ["m", "z", "a", "k"].flatMap((tenant) =>
    Array.from({ length: 9 }, (_, type) => ({ tenant, type: `type.${type}` })),
  );
  for (const [index, place] of places.entries()) {
    const acceptedAtMs = START_MS + index;
    await lanes.append([sampleEnvelope(`evt_${index}`, { ...place, acceptedAtMs })]);
  }
  const items = [...(await lanes.take("medium", places.length, running))].toSorted(
    (left, right) => left.envelope.acceptedAtMs - right.envelope.acceptedAtMs,
  );
  assert.equal(items.length, places.length);
  for (const [index, item] of items.entries()) {
    assert.deepEqual(await lanes.depth("medium"), { count: places.length - index, oldestAtMs: START_MS + index });
    await lanes.ack([item]);
  }
  assert.deepEqual(await lanes.depth("medium"), { count: 0, oldestAtMs: null });
});
