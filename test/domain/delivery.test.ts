import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeliveryKey } from "@posthaste/shared/domain/delivery.ts";
import { DELIVERY_STATES, deliveryId, HELD_STATES, isFinal, MISSED_STATES } from "@posthaste/shared/domain/delivery.ts";
import { isId } from "@posthaste/shared/domain/id.ts";
import fc from "fast-check";
import { testHasher } from "../support/ambient.ts";

const ACCEPTED_AT_MS = Date.UTC(2026, 0, 31, 12);
const key: DeliveryKey = { tenant: "acme", eventId: "evt_1", endpointId: "ep_1", generation: 0 };

function idOf(parts: Partial<DeliveryKey> = {}): string {
  return deliveryId({ ...key, ...parts }, ACCEPTED_AT_MS, testHasher);
}

test("deliveryId() is the same for the same key, on every process and for ever", () => {
  assert.equal(idOf(), idOf());
  assert.equal(idOf(), "dlv_01kg9ys7g0afnk16s6m8qpy1tc");
});

const parts: readonly (readonly [what: string, part: Partial<DeliveryKey>])[] = [
  ["tenant", { tenant: "acme2" }],
  ["event", { eventId: "evt_2" }],
  ["endpoint", { endpointId: "ep_2" }],
  ["generation", { generation: 1 }],
];

for (const [what, part] of parts) {
  test(`deliveryId() differs by ${what}`, () => assert.notEqual(idOf(part), idOf()));
}

test("deliveryId() is a delivery's id, and sorts by acceptance", () => {
  assert.ok(isId("dlv", idOf()));
  assert.ok(deliveryId(key, ACCEPTED_AT_MS + 1, testHasher) > idOf());
});

test("deliveryId() tells any two keys apart, also where their parts run together", () => {
  const anyName = fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/);
  const anyKey = fc.record({ tenant: anyName, eventId: anyName, endpointId: anyName, generation: fc.nat({ max: 20 }) });
  fc.assert(
    fc.property(anyKey, anyKey, (left, right) => {
      const areEqual = (["tenant", "eventId", "endpointId", "generation"] as const).every(
        (name) => left[name] === right[name],
      );
      const ids = [left, right].map((each) => deliveryId(each, ACCEPTED_AT_MS, testHasher));
      assert.equal(ids[0] === ids[1], areEqual);
    }),
    { numRuns: 500 },
  );
});

test("delivered, dead, filtered and expired are final, and nothing else is", () => {
  assert.deepEqual(DELIVERY_STATES.filter(isFinal), ["delivered", "dead", "filtered", "expired"]);
});

test("what is held can still be delivered, and lies in the dead-letter record meanwhile", () => {
  for (const state of HELD_STATES) {
    assert.ok(!isFinal(state));
    assert.ok((MISSED_STATES as readonly string[]).includes(state));
  }
});
