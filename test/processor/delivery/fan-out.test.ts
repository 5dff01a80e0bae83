import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import { createFanOut } from "@posthaste/processor/delivery/fan-out.ts";
import { FILTERED_IDS_MAX, MATCHED_IDS_MAX } from "@posthaste/shared/ports/ledger.ts";
import { START_MS, TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

const event = envelopeOf("evt_1");

const fanOut = createFanOut();

test("an event goes to the endpoints that subscribe to its type, in their order, and the others are named", () => {
  const endpoints = [
    endpointOf("ep1", { eventTypes: ["invoice.paid"] }),
    endpointOf("ep2", { eventTypes: ["order.*"] }),
    endpointOf("ep3"),
    endpointOf("ep4", { eventTypes: ["order"] }),
  ];
  const { matched, record } = fanOut(event, endpoints, START_MS + 5);
  assert.deepEqual(matched, [endpoints[1], endpoints[2]]);
  assert.deepEqual(record, {
    tenant: TENANT,
    eventId: "evt_1",
    atMs: START_MS + 5,
    matched: ["ep2", "ep3"],
    matchedCount: 2,
    filtered: ["ep1", "ep4"],
    filteredCount: 2,
  });
});

test("a paused or disabled endpoint matches too: its delivery is held, not lost", () => {
  const endpoints = [endpointOf("ep1", { status: "paused" }), endpointOf("ep2", { status: "disabled" })];
  assert.deepEqual(fanOut(event, endpoints, START_MS).matched, endpoints);
});

test("a tenant without endpoints gets an empty record", () => {
  const { matched, record } = fanOut(event, [], START_MS);
  assert.deepEqual([matched, record.matchedCount, record.filteredCount], [[], 0, 0]);
});

test("past the bound the record names no more ids, and its counts and the deliveries stay whole", () => {
  const count = Math.max(MATCHED_IDS_MAX, FILTERED_IDS_MAX) + 7;
  const endpoints = Array.from({ length: count * 2 }, (_, index) =>
    endpointOf(`ep${index}`, { eventTypes: [index % 2 === 0 ? "*" : "other"] }),
  );
  const { matched, record } = fanOut(event, endpoints, START_MS);
  assert.deepEqual(
    [matched.length, record.matched.length, record.matchedCount, record.filtered.length, record.filteredCount],
    [count, MATCHED_IDS_MAX, count, FILTERED_IDS_MAX, count],
  );
});

test("a tenant with many endpoints is fanned out by what they are now, however often its types came before", () => {
  const many = Array.from({ length: 40 }, (_, index) =>
    endpointOf(`ep${index}`, { eventTypes: [index === 3 ? event.type : "other"] }),
  );
  for (const times of [1, 2]) {
    const { matched, record } = fanOut(event, many, START_MS + times);
    assert.deepEqual([matched, record.filteredCount, record.atMs], [[many[3]], 39, START_MS + times]);
  }
  const fewer = many.slice(4);
  assert.deepEqual(fanOut(event, fewer, START_MS).matched, []);
});

test("whatever endpoints ask for, those that match are found, in order and once", () => {
  const word = fc.constantFrom("a", "b", "order", "paid");
  const type = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join("."));
  const ownType = fc.constantFrom("posthaste.delivery.dead", "posthaste.alert.lag");
  const rule = fc.oneof(
    type,
    ownType,
    fc.constant("*"),
    fc.constant("posthaste.*"),
    type.map((text) => `${text}.*`),
  );
  const rules = fc.array(rule, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(
      fc.oneof(fc.array(rules, { maxLength: 5 }), fc.array(rules, { minLength: 32, maxLength: 50 })),
      fc.array(fc.oneof(type, ownType), { minLength: 3, maxLength: 6 }),
      fc.constantFrom(TENANT, OPERATOR_TENANT),
      // With 60 some lists have an index and others are too large for one.
      fc.constantFrom(1_000_000, 60),
      (wishes, types, tenant, rulesMax) => {
        const endpoints = wishes.map((eventTypes, index) => endpointOf(`ep${index}`, { eventTypes, tenant }));
        const fanOutOfAll = createFanOut({ rulesMax });
        // The first is looked for, the others are found by an index.
        for (const each of types) {
          const { matched, record } = fanOutOfAll({ ...event, tenant, type: each }, endpoints, START_MS);
          const [right, wrong] = [true, false].map((is) =>
            endpoints.filter((endpoint) => matches(endpoint, each) === is),
          );
          assert.deepEqual(matched, right);
          assert.deepEqual(
            record.filtered,
            wrong?.slice(0, FILTERED_IDS_MAX).map(({ id }) => id),
          );
          assert.equal(record.filteredCount, wrong?.length);
        }
      },
    ),
  );
});
