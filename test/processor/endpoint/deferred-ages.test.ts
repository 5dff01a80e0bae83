import assert from "node:assert/strict";
import { test } from "node:test";
import { createDeferredAges } from "@posthaste/processor/endpoint/deferred-ages.ts";
import { deliveryOf, envelopeOf } from "../../support/samples.ts";

const accepted = (acceptedAtMs: number, deferrals = 0) =>
  deliveryOf(envelopeOf(`evt_${acceptedAtMs}`, "low", { acceptedAtMs }), "ep_1", { deferrals });

test("the oldest of those that were deferred and did not come back is known, until all came back", () => {
  const ages = createDeferredAges();
  for (const acceptedAtMs of [5000, 2000, 2400, 9000]) ages.deferred(accepted(acceptedAtMs), 60_000);
  assert.equal(ages.oldestAtMs(10_000), 2000);
  ages.came(accepted(2000, 1));
  assert.equal(ages.oldestAtMs(10_000), 2000, "to the second: the other one of this second is there");
  ages.came(accepted(2400, 1));
  assert.equal(ages.oldestAtMs(10_000), 5000);
  ages.came(accepted(5000, 0));
  assert.equal(ages.oldestAtMs(10_000), 5000, "one that was never deferred is another");
  ages.came(accepted(5000, 1));
  ages.came(accepted(9000, 2));
  assert.equal(ages.oldestAtMs(10_000), null);
});

test("one that comes back elsewhere is forgotten soon after it was due", () => {
  const ages = createDeferredAges();
  ages.deferred(accepted(1000), 60_000);
  ages.deferred(accepted(2000), 90_000);
  assert.deepEqual(
    [60_000, 70_000, 100_000].map((nowMs) => ages.oldestAtMs(nowMs)),
    [1000, 2000, null],
  );
});
