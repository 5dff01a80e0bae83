/** Cancelled events on Redis are forgotten by time, and make room; elsewhere a cancellation goes with its event. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRedisCancellations } from "@posthaste/shared/drivers/redis/cancellations.ts";
import { CANCELLED_KEPT_MS } from "@posthaste/shared/ports/cancellations.ts";
import { openRedisHarness } from "./harness.ts";
import { withCode } from "../../contract/harness.ts";
import { START_MS, TENANT } from "../../support/samples.ts";

const HOUR_MS = 3600_000;

test("cancellations on Redis: those long past their time make room for others, and no sooner", async () => {
  const open = openRedisHarness(({ commands, keys }) => ({
    cancellations: createRedisCancellations({ commands, keys, cancelledMax: 2 }),
  }));
  await using harness = await open();
  const { cancellations } = harness.drivers;
  const first = { tenant: TENANT, id: "evt_a", acceptedAtMs: START_MS, deliverAtMs: START_MS + HOUR_MS };
  assert.equal(await cancellations.cancel(first), "cancelled");
  await harness.clock.advance(HOUR_MS + CANCELLED_KEPT_MS - 1);
  const second = { ...first, id: "evt_b", deliverAtMs: harness.clock.now() + HOUR_MS };
  await assert.rejects(cancellations.cancel(second), withCode("overloaded"));
  assert.equal(await cancellations.begin(first), "cancelled");
  await harness.clock.advance(1);
  assert.equal(await cancellations.cancel(second), "cancelled");
  assert.equal(await cancellations.begin(second), "cancelled");
});
