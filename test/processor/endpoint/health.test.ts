/** Owners hear of their endpoints that fail: before one is disabled, when it is, and when it is well; and of what is dead. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { OPERATOR_TENANT } from "@posthaste/shared/domain/event.ts";
import { troubleAfterChange } from "@posthaste/shared/domain/endpoint-trouble.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { LIMITS, RETRY, failing, pass, told, types } from "../../support/notices.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

test("the tenant is told before its endpoint is disabled and when it is; nobody else gets it", async () => {
  await using harness = await failing();
  await pass(harness, 25);
  assert.deepEqual(types(harness), []);
  await pass(harness, 15);
  assert.deepEqual(types(harness), ["posthaste.endpoint.failing"]);
  const [warning] = told(harness);
  assert.equal(warning?.data["endpoint_id"], "ep1");
  const since = Date.parse(String(warning?.data["failing_since"]));
  assert.equal(Date.parse(String(warning?.data["disables_at"])), since + LIMITS.disableAfterMs);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.status, "active");
  await pass(harness, 40);
  assert.deepEqual(types(harness), ["posthaste.endpoint.failing", "posthaste.endpoint.disabled"]);
  const endpoint = await harness.drivers.directory.find(TENANT, "ep1");
  assert.equal(endpoint?.status, "disabled");
  assert.equal(endpoint?.statusReason, `no attempt succeeded since ${new Date(since).toISOString()}`);
  assert.equal(told(harness)[1]?.data["reason"], endpoint?.statusReason);
  assert.deepEqual(
    told(harness, "all").map(({ type }) => type),
    ["order.paid"],
  );
});

test("a restart does not stop the clock, and does not tell twice", async () => {
  await using harness = await failing();
  await pass(harness, 40);
  harness.crash();
  harness.start({ limits: LIMITS });
  await pass(harness, 40);
  assert.deepEqual(types(harness), ["posthaste.endpoint.failing", "posthaste.endpoint.disabled"]);
});

test("an endpoint that answers again after its tenant was told is told of as recovered, once", async () => {
  await using harness = await failing();
  await pass(harness, 40);
  harness.world.script("ep1", () => ({ status: 200 }));
  await pass(harness, 10);
  await harness.publish(envelopeOf("evt_2"), envelopeOf("evt_3"));
  await pass(harness, 10);
  assert.deepEqual(types(harness), ["posthaste.endpoint.failing", "posthaste.endpoint.recovered"]);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.trouble, null);
});

test("one failure after its owner enabled it does not disable it again", async () => {
  await using harness = await failing();
  await pass(harness, 80);
  const before = await harness.drivers.directory.find(TENANT, "ep1");
  const trouble = troubleAfterChange(before?.trouble ?? null, Math.floor(harness.clock.now()));
  await harness.change("ep1", { status: "active", statusReason: null, statusSinceMs: null, trouble });
  await pass(harness, 20);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.status, "active");
});

test("a lane that is full costs the notice and nothing else", async () => {
  const full = (drivers: Drivers): Drivers => ({
    ...drivers,
    lanes: {
      ...drivers.lanes,
      append: (envelopes) =>
        envelopes[0]?.type.startsWith("posthaste.") === true
          ? Promise.reject(new PosthasteError("overloaded", "The lane is full."))
          : drivers.lanes.append(envelopes),
    },
  });
  await using harness = await failing(full);
  await pass(harness, 100);
  assert.deepEqual(types(harness), []);
  const endpoint = await harness.drivers.directory.find(TENANT, "ep1");
  assert.equal(endpoint?.status, "active", "nobody is disabled unwarned");
  assert.equal(
    (await harness.drivers.ledger.attempts({ tenant: TENANT, endpointId: "ep1" }, 1000, null)).rows.length > 10,
    true,
  );
});

test("while the endpoint's record cannot be written, no delivery repeats a notice that was sent", async () => {
  const state = { isAway: false, sent: 0 };
  const wrap = (drivers: Drivers): Drivers => ({
    ...drivers,
    lanes: {
      ...drivers.lanes,
      append(envelopes) {
        state.isAway ||= envelopes[0]?.type === "posthaste.endpoint.disabled";
        if (envelopes[0]?.type === "posthaste.endpoint.disabled") state.sent++;
        return drivers.lanes.append(envelopes);
      },
    },
    directory: {
      ...drivers.directory,
      update: (...args) =>
        state.isAway
          ? Promise.reject(new PosthasteError("store-unavailable", "Redis is away."))
          : drivers.directory.update(...args),
    },
  });
  await using harness = await failing(wrap);
  await pass(harness, 80);
  assert.equal(state.sent, 1);
  for (const id of ["evt_2", "evt_3", "evt_4"]) await harness.publish(envelopeOf(id));
  await pass(harness, 5);
  assert.equal(state.sent, 1);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.trouble?.notice?.isSent, false);
  state.isAway = false;
  await harness.publish(envelopeOf("evt_5"));
  await pass(harness, 5);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.trouble?.notice?.isSent, true);
  assert.equal(state.sent, 1);
});

test("a 410 is told, too", async () => {
  await using harness = await failing();
  harness.world.script("ep1", () => ({ status: 410 }));
  await pass(harness, 3);
  assert.deepEqual(types(harness).toSorted(), ["posthaste.delivery.dead", "posthaste.endpoint.disabled"]);
  const disabled = told(harness).find(({ type }) => type === "posthaste.endpoint.disabled");
  assert.equal(disabled?.data["reason"], "the receiver answered 410 Gone");
});

test("a dead delivery is told to who asked for it; one of our own events is not, so that nothing goes round", async () => {
  await using harness = await openProcessorHarness();
  const oneTry = { delays_s: [0] };
  await harness.add(
    endpointOf("ep1", { retry: oneTry, eventTypes: ["order.*"] }),
    endpointOf("ops", { retry: oneTry, eventTypes: ["posthaste.delivery.dead"] }),
  );
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.world.script("ops", () => ({ status: 500 }));
  harness.start({ limits: LIMITS });
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  await harness.publish(envelopeOf("evt_1", "medium", { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }));
  await pass(harness, 5);
  const [dead, ...others] = told(harness);
  assert.deepEqual(others, []);
  assert.deepEqual(
    [dead?.type, dead?.data["event_id"], dead?.data["endpoint_id"]],
    ["posthaste.delivery.dead", "evt_1", "ep1"],
  );
  assert.deepEqual([dead?.data["event_type"], dead?.data["trace_id"]], ["order.paid", traceId]);
  assert.equal((await harness.depths()).dead, 2);
});

test("an endpoint for notices that fails itself is told of once each, and disabled", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ops", { retry: RETRY, eventTypes: ["posthaste.*", "order.*"] }));
  harness.world.script("ops", () => ({ status: 500 }));
  harness.start({ limits: LIMITS });
  await harness.publish(envelopeOf("evt_1"));
  await pass(harness, 200);
  assert.equal((await harness.drivers.directory.find(TENANT, "ops"))?.status, "disabled");
  const { rows } = await harness.drivers.ledger.events({ tenant: TENANT }, 100, null);
  assert.deepEqual(rows.map(({ envelope }) => envelope.type).toSorted(), [
    "order.paid",
    "posthaste.endpoint.disabled",
    "posthaste.endpoint.failing",
  ]);
});

test("without anybody who takes it no notice is made", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: RETRY }), endpointOf("other", { tenant: OPERATOR_TENANT }));
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start({ limits: LIMITS });
  await harness.publish(envelopeOf("evt_1"));
  await pass(harness, 100);
  assert.equal((await harness.drivers.directory.find(TENANT, "ep1"))?.status, "disabled");
  const { rows } = await harness.drivers.ledger.events({ tenant: TENANT }, 100, null);
  assert.equal(rows.length, 1);
});
