/** What other releases wrote of a delivery reads back, as far as it is known here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deliveryOf } from "@posthaste/shared/drivers/redis/ledger/record.ts";
import { ENDPOINT_ID, START_MS, TENANT } from "../../support/samples.ts";

const read = (json: string) =>
  deliveryOf(TENANT, ["evt_a", ENDPOINT_ID, "0", String(START_MS), `retrying 1 1 o ${json}`]);
const FACTS = `"updatedAtMs":${START_MS},"nextAttemptAtMs":null,"reason":"answered 500"`;

test("a delivery that an earlier release wrote has no times, and no code for its wait", () => {
  const view = read(`{${FACTS}}`);
  assert.deepEqual([view?.state, view?.reason, view?.times, view?.wait], ["retrying", "answered 500", null, null]);
});

test("what is not known of a later release, or is no time, is left out", () => {
  const wait = `"takenAtMs":${START_MS},"wait":"for-godot"`;
  const view = read(`{${FACTS},"times":[1,2,3,4],${wait},"more":1}`);
  assert.deepEqual([view?.times, view?.wait], [{ laneMs: 1, limiterMs: 2, deferredMs: 3, retryMs: 4 }, null]);
  for (const times of ["[1,2,3]", "[1,2,3,-4]", '"late"', "{}"]) {
    const damaged = read(`{${FACTS},"times":${times},${wait}}`);
    assert.deepEqual([damaged?.state, damaged?.times], ["retrying", null], times);
  }
});
