import assert from "node:assert/strict";
import { test } from "node:test";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

const nothing = { high: 0, medium: 0, low: 0, retry: 0, dead: 0 };

test("an event goes once to each endpoint that subscribes, and to no other", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(
    endpointOf("ep1"),
    endpointOf("ep2", { eventTypes: ["order.*"] }),
    endpointOf("ep3", { eventTypes: ["invoice.*"] }),
  );
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(1000);
  assert.deepEqual(
    ["ep1", "ep2", "ep3"].map((id) => harness.world.idsTo(id)),
    [["evt_1"], ["evt_1"], []],
  );
  assert.deepEqual(await harness.depths(), nothing);
});

test("an event that no endpoint subscribes to is acked, and recorded with those that it was filtered for", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { eventTypes: ["invoice.*"] }));
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(1000);
  const event = await harness.drivers.ledger.event(TENANT, "evt_1");
  assert.deepEqual([event?.fanOut?.matchedCount, event?.fanOut?.filtered], [0, ["ep1"]]);
  assert.deepEqual([harness.world.sent.length, await harness.depths()], [0, nothing]);
});

test("an event of a tenant without endpoints is acked", async () => {
  await using harness = await openProcessorHarness();
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(1000);
  assert.deepEqual(await harness.depths(), nothing);
});

test("another tenant's endpoint gets nothing", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { tenant: "other" }));
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(1000);
  assert.equal(harness.world.sent.length, 0);
});

test("an event is acked when its last delivery is settled, not before", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"), endpointOf("ep2"));
  harness.world.script("ep2", () => ({ status: 200, afterMs: 5000 }));
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(4000);
  assert.equal((await harness.depths()).medium, 1);
  await harness.clock.advance(2000);
  assert.equal((await harness.depths()).medium, 0);
});

test("deliver_at is waited for, and then kept to the millisecond", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  await harness.publish(envelopeOf("evt_1", "high", { deliverAtMs: START_MS + 3_600_000 }));
  await harness.clock.advance(3_599_999);
  assert.deepEqual([harness.world.sent.length, await harness.depths()], [0, { ...nothing, retry: 1 }]);
  await harness.clock.advance(1);
  assert.deepEqual(
    harness.world.sent.map(({ atMs }) => atMs),
    [START_MS + 3_600_000],
  );
});

test("a deliver_at in the past is at once", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  await harness.publish(envelopeOf("evt_1", "high", { deliverAtMs: START_MS - 1 }));
  await harness.clock.advance(100);
  assert.equal(harness.world.sent.length, 1);
});

test("a deliver_at is fanned out when it is due: endpoints made meanwhile get it", async () => {
  await using harness = await openProcessorHarness();
  harness.start();
  await harness.publish(envelopeOf("evt_1", "high", { deliverAtMs: START_MS + 60_000 }));
  await harness.clock.advance(1000);
  await harness.add(endpointOf("ep1"));
  await harness.clock.advance(60_000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
});

test("the publisher's trace goes on with a span of our own", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await harness.publish(envelopeOf("evt_1", "high", { traceparent }));
  await harness.clock.advance(100);
  const sent = harness.world.sent[0]?.headers["traceparent"] ?? "";
  assert.match(sent, /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  assert.notEqual(sent, traceparent);
});

test("LOW events for an endpoint that takes batches are one signed POST, those for another are single", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { batch: { maxEvents: 10, maxWaitMs: 200 } }), endpointOf("ep2"));
  harness.start();
  await harness.publish(...["evt_1", "evt_2", "evt_3"].map((id) => envelopeOf(id, "low")));
  await harness.clock.advance(1000);
  const grouped = harness.world.sent.filter(({ endpointId }) => endpointId === "ep1");
  assert.deepEqual([grouped.length, harness.world.idsTo("ep2")], [1, ["evt_1", "evt_2", "evt_3"]]);
  assert.match(grouped[0]?.headers["webhook-id"] ?? "", /^grp_/);
  assert.match(grouped[0]?.headers["webhook-signature"] ?? "", /^v1,/);
  assert.deepEqual(await harness.depths(), nothing);
});

test("HIGH and MEDIUM events are never grouped", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { batch: { maxEvents: 10, maxWaitMs: 200 } }));
  harness.start();
  await harness.publish(envelopeOf("evt_1", "high"), envelopeOf("evt_2", "medium"));
  await harness.clock.advance(100);
  assert.deepEqual(harness.world.idsTo("ep1").toSorted(), ["evt_1", "evt_2"]);
});

test("a repeat after a crash is made for the endpoint that has not had it, and for no other", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"), endpointOf("ep2"));
  harness.world.script("ep2", () => "hang");
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(1000);
  harness.crash();
  harness.world.script("ep2", () => ({ status: 200 }));
  harness.start();
  await harness.clock.advance(1000);
  assert.deepEqual([harness.world.idsTo("ep1"), harness.world.idsTo("ep2")], [["evt_1"], ["evt_1", "evt_1"]]);
  assert.deepEqual(await harness.depths(), nothing);
});

test("without a ledger a repeat is made rather than lost", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  await harness.publish(envelopeOf("evt_1"));
  harness.crash();
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      ledger: { ...drivers.ledger, isCompleted: () => Promise.reject(new Error("no store")) },
    }),
  });
  await harness.clock.advance(1000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
});

test("a directory that must be read is asked until it answers, and the event waits meanwhile", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  let isDown = true;
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      directory: {
        ...drivers.directory,
        peek: () => null,
        endpoints: (tenant, atLeastVersion) =>
          isDown ? Promise.reject(new Error("no store")) : drivers.directory.endpoints(tenant, atLeastVersion),
      },
    }),
  });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(5000);
  const { medium, retry } = await harness.depths();
  assert.deepEqual([harness.world.sent.length, medium, retry], [0, 0, 1]);
  isDown = false;
  await harness.clock.advance(10_000);
  assert.deepEqual([harness.world.idsTo("ep1"), await harness.depths()], [["evt_1"], nothing]);
});

test("an event counts in its lane's window for each delivery that is still to be made", async () => {
  await using harness = await openProcessorHarness();
  const three = ["ep1", "ep2", "ep3"];
  await harness.add(...three.map((id) => endpointOf(id)));
  for (const id of three) harness.world.script(id, () => ({ status: 200, afterMs: 900 }));
  harness.start({ limits: { windowItems: { high: 8, medium: 8, low: 8, retry: 8 } } });
  await harness.publish(envelopeOf("evt_1"), envelopeOf("evt_2"));
  await harness.clock.advance(100);
  await harness.publish(envelopeOf("evt_3"));
  await harness.clock.advance(100);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1", "evt_2"]);
  await harness.clock.advance(5000);
  assert.deepEqual(harness.world.idsTo("ep3"), ["evt_1", "evt_2", "evt_3"]);
});
