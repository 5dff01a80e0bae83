import { STORED_WITHIN_MS } from "@posthaste/processor/delivery/until-stored.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { verifyMessage, parseSecret } from "@posthaste/shared/domain/signature.ts";
import { testHasher } from "../support/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { ProcessorHarness } from "../support/processor-harness.ts";
import { openProcessorHarness } from "../support/processor-harness.ts";
import { START_MS, TENANT, endpointOf, envelopeOf, ids } from "../support/samples.ts";

const nothing = { high: 0, medium: 0, low: 0, retry: 0, dead: 0 };
const only = (type: string) => ({ eventTypes: [type] });

/** Events of one type, with their own ids. */
function events(prefix: string, count: number, type: string, lane: "high" | "medium" | "low" = "medium") {
  return ids(prefix, count).map((id) => envelopeOf(id, lane, { type }));
}

async function openWith(...endpoints: readonly ReturnType<typeof endpointOf>[]): Promise<ProcessorHarness> {
  const harness = await openProcessorHarness();
  await harness.add(...endpoints);
  return harness;
}

test("an event of each lane is delivered, signed, once", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  harness.start();
  await harness.publish(envelopeOf("evt_h", "high"), envelopeOf("evt_m", "medium"), envelopeOf("evt_l", "low"));
  await harness.clock.advance(1000);
  assert.deepEqual(harness.world.idsTo("ep1").toSorted(), ["evt_h", "evt_l", "evt_m"]);
  const secret = parseSecret(endpointOf("ep1").secrets[0]?.secret ?? "");
  for (const { headers, body } of harness.world.sent) {
    const verification = verifyMessage({
      id: headers["webhook-id"] ?? null,
      timestamp: headers["webhook-timestamp"] ?? null,
      signature: headers["webhook-signature"] ?? null,
      body: new TextEncoder().encode(body),
      keys: secret.kind === "ok" ? [secret.key] : [],
      hasher: testHasher,
      nowS: START_MS / 1000,
      toleranceS: 5,
    });
    assert.equal(verification.kind, "verified");
  }
  assert.deepEqual(await harness.depths(), nothing);
});

test("an idle processor holds no timer of its own and asks for nothing", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  await harness.clock.advance(1000);
  const before = harness.clock.timerCount();
  harness.start();
  await harness.clock.advance(60_000);
  assert.ok(harness.clock.timerCount() <= before, `${harness.clock.timerCount()} timers, ${before} before`);
});

test("an endpoint that hangs never has more than its share in flight, and the others' events flow", async () => {
  await using harness = await openWith(endpointOf("hangs", only("slow.one")), endpointOf("well", only("order.paid")));
  harness.world.script("hangs", () => "hang");
  harness.start({ limits: { inFlightPerEndpointMax: 8, capStart: 8 } });
  await harness.publish(...events("slow_", 400, "slow.one"));
  let most = 0;
  for (let round = 0; round < 100; round++) {
    await harness.publish(...events(`well_${round}_`, 2, "order.paid"));
    await harness.clock.advance(100);
    most = Math.max(most, harness.world.inFlightTo("hangs"));
    assert.equal(harness.world.idsTo("well").length, 2 * (round + 1));
  }
  assert.ok(most <= 8, String(most));
  assert.equal(new Set(harness.world.idsTo("well")).size, 200);
});

test("what waits for an endpoint that hangs is parked, and delivered when it is well again", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  harness.world.script("ep1", () => "hang");
  harness.start();
  await harness.publish(...events("evt_", 100, "order.paid"));
  await harness.clock.advance(60_000);
  const parked = await harness.delivery("evt_99", "ep1");
  assert.deepEqual([parked?.state, parked?.attempts, (await harness.depths()).medium], ["pending", 0, 0]);
  harness.world.script("ep1", () => ({ status: 200 }));
  await harness.clock.advance(3_600_000);
  const { rows } = await harness.drivers.ledger.deliveries(
    { tenant: TENANT, endpointId: "ep1", state: "delivered" },
    200,
    null,
  );
  assert.deepEqual([rows.length, await harness.depths()], [100, nothing]);
});

test("an endpoint that is down is asked once per probe, and no attempts are used up", async () => {
  await using harness = await openWith(endpointOf("ep1", { retry: { delays_s: Array.from({ length: 20 }, () => 0) } }));
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start();
  await harness.publish(...events("evt_", 50, "order.paid"));
  await harness.clock.advance(1000);
  const before = harness.world.sent.length;
  await harness.clock.advance(600_000);
  assert.ok(harness.world.sent.length - before <= 8, `${harness.world.sent.length - before} attempts in ten minutes`);
});

test("a LOW backlog does not hold up HIGH", async () => {
  await using harness = await openWith(endpointOf("ep1", only("low.one")), endpointOf("ep2", only("high.one")));
  harness.world.script("ep1", () => ({ status: 200, afterMs: 500 }));
  harness.start({
    limits: {
      inFlightMax: 32,
      inFlightMediumMax: 24,
      inFlightLowMax: 16,
      capStart: 32,
      inFlightPerEndpointMax: 32,
      holdUpMsMax: 60_000,
    },
  });
  await harness.publish(...events("low_", 500, "low.one", "low"));
  await harness.clock.advance(1000);
  const publishedAtMs = harness.clock.now();
  await harness.publish(...events("high_", 10, "high.one", "high"));
  await harness.clock.advance(100);
  const sent = harness.world.sent.filter(({ endpointId }) => endpointId === "ep2");
  assert.deepEqual([sent.length, sent.every(({ atMs }) => atMs - publishedAtMs <= 20)], [10, true]);
});

test("a new endpoint gets the events that are published after it", async () => {
  await using harness = await openWith();
  harness.start();
  await harness.publish(envelopeOf("evt_before"));
  await harness.clock.advance(100);
  await harness.add(endpointOf("ep1"));
  await harness.publish(envelopeOf("evt_after"));
  await harness.clock.advance(100);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_after"]);
});

test("a stop with nothing in flight is at once", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  const processor = harness.start();
  await harness.clock.advance(100);
  assert.equal(await harness.stop(processor), 0);
});

test("a stop lets attempts in flight end, records them, and hands back the rest", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 200, afterMs: 2000 }));
  const processor = harness.start({ limits: { capStart: 4, inFlightPerEndpointMax: 4, holdUpMsMax: 60_000 } });
  await harness.publish(...events("evt_", 10, "order.paid"));
  await harness.clock.advance(100);
  const tookMs = await harness.stop(processor);
  assert.ok(tookMs >= 1900 && tookMs <= 2100, String(tookMs));
  assert.deepEqual([harness.world.sent.length, processor.outstanding(), (await harness.depths()).medium], [4, 0, 6]);
  assert.equal((await harness.delivery("evt_0", "ep1"))?.state, "delivered");
});

test("a stop tells the others of the endpoints whose overflow it was to call back", async () => {
  await using harness = await openWith(endpointOf("down"), endpointOf("well", only("order.paid")));
  harness.world.script("down", () => ({ status: 500 }));
  const processor = harness.start({ limits: { backlogMax: 1 } });
  await harness.publish(...events("evt_", 40, "user.created"));
  await harness.clock.advance(5000);
  const heard: unknown[] = [];
  harness.drivers.notifier.subscribe((announcement) => void heard.push(announcement));
  await harness.stop(processor);
  assert.deepEqual(heard, [{ kind: "directory-changed", tenant: TENANT, endpointId: "down" }]);
});

test("a stop breaks off what hangs beyond its bound, without counting an attempt", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  harness.world.script("ep1", () => "hang");
  const processor = harness.start({ limits: { stopMs: 3000 } });
  await harness.publish(...events("evt_", 4, "order.paid"));
  await harness.clock.advance(100);
  const tookMs = await harness.stop(processor);
  assert.ok(tookMs >= 3000 && tookMs <= 3100, String(tookMs));
  assert.deepEqual(
    [processor.outstanding(), (await harness.depths()).medium, await harness.delivery("evt_0", "ep1")],
    [0, 4, null],
  );
});

test("a stop ends in time even if the store has failed for good, and nothing is lost", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 500 }));
  const processor = harness.start({
    limits: { stopMs: 3000 },
    wrap: (drivers) => ({
      ...drivers,
      retryQueue: { ...drivers.retryQueue, schedule: () => Promise.reject(new Error("no store")) },
    }),
  });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(100);
  assert.ok((await harness.stop(processor)) <= 10_000);
  assert.equal((await harness.depths()).medium, 1);
});

test("a stop does not wait for a store that hangs, and says what it could not write", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 500 }));
  const processor = harness.start({
    wrap: (drivers) => ({
      ...drivers,
      retryQueue: { ...drivers.retryQueue, schedule: () => new Promise(() => undefined) },
    }),
  });
  await harness.publish(envelopeOf("evt_1"), envelopeOf("evt_2"));
  await harness.clock.advance(100);
  const stopping = processor.stop();
  await harness.clock.advance(STORED_WITHIN_MS + 100);
  assert.deepEqual(await stopping, ['2 writes of "retry"']);
  assert.deepEqual([processor.outstanding(), (await harness.depths()).medium], [0, 2]);
});

test("acks that no store takes leave nothing unfinished: what was delivered comes again, and the ledger knows it", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  const wrap = (drivers: Drivers): Drivers => ({
    ...drivers,
    lanes: { ...drivers.lanes, ack: () => new Promise(() => undefined) },
  });
  const processor = harness.start({ wrap });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(100);
  const stopping = processor.stop();
  await harness.clock.advance(STORED_WITHIN_MS + 100);
  assert.deepEqual(await stopping, []);
  harness.start();
  await harness.clock.advance(1000);
  assert.equal(harness.world.sent.length, 1);
});

test("a stop of a processor whose stores are well leaves nothing unfinished", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  const processor = harness.start();
  await harness.publish(...events("evt_", 10, "order.paid"));
  await harness.clock.advance(1000);
  const stopping = processor.stop();
  await harness.clock.advance(100);
  assert.deepEqual(await stopping, []);
});

test("a stop hands back the members of a group that was still open", async () => {
  await using harness = await openWith(endpointOf("ep1", { batch: { maxEvents: 100, maxWaitMs: 60_000 } }));
  const processor = harness.start();
  await harness.publish(...events("evt_", 5, "order.paid", "low"));
  await harness.clock.advance(100);
  await harness.stop(processor);
  assert.deepEqual([harness.world.sent.length, (await harness.depths()).low], [0, 5]);
});

test("after a stop nothing is taken or sent any more", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  const processor = harness.start();
  await harness.clock.advance(100);
  await harness.stop(processor);
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(60_000);
  assert.deepEqual([harness.world.sent.length, (await harness.depths()).medium], [0, 1]);
});

test("a new processor after a stop delivers what was left, and repeats nothing that was delivered", async () => {
  await using harness = await openWith(endpointOf("ep1"), endpointOf("ep2"));
  harness.world.script("ep1", () => ({ status: 200, afterMs: 2000 }));
  harness.world.script("ep2", () => "hang");
  const first = harness.start({
    limits: { capStart: 4, inFlightPerEndpointMax: 4, holdUpMsMax: 60_000, stopMs: 5000 },
  });
  await harness.publish(...events("evt_", 10, "order.paid"));
  await harness.clock.advance(100);
  await harness.stop(first);
  harness.crash();
  harness.world.script("ep2", () => ({ status: 200 }));
  harness.start();
  await harness.clock.advance(60_000);
  assert.deepEqual([harness.world.idsTo("ep1").length, new Set(harness.world.idsTo("ep1")).size], [10, 10]);
  assert.equal(new Set(harness.world.idsTo("ep2")).size, 10);
  assert.deepEqual(await harness.depths(), nothing);
});

test("a new processor after a crash delivers what was left, and repeats only what was in flight", async () => {
  await using harness = await openWith(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 200, afterMs: 50 }));
  harness.start({ limits: { capStart: 2, inFlightPerEndpointMax: 2, holdUpMsMax: 60_000 } });
  await harness.publish(...events("evt_", 20, "order.paid"));
  await harness.clock.advance(270);
  const inFlight = harness.world.inFlightTo("ep1");
  harness.crash();
  harness.start();
  await harness.clock.advance(10_000);
  assert.equal(new Set(harness.world.idsTo("ep1")).size, 20);
  assert.ok(harness.world.idsTo("ep1").length <= 20 + inFlight, String(harness.world.idsTo("ep1").length));
  assert.deepEqual(await harness.depths(), nothing);
});

test("crashes at any time lose no event", async () => {
  await using harness = await openWith(
    endpointOf("ep1", { retry: { delays_s: [0, 1, 1, 1, 1, 1, 1, 1] } }),
    endpointOf("ep2", { batch: { maxEvents: 3, maxWaitMs: 40 } }),
  );
  harness.world.script("ep1", (_request, count) => ({ status: count % 3 === 0 ? 500 : 200, afterMs: 15 }));
  const all = ids("evt_", 30);
  await harness.publish(...all.map((id, index) => envelopeOf(id, index % 2 === 0 ? "low" : "high")));
  for (const lifeMs of [0, 1, 3, 7, 14, 16, 21, 33, 47, 64, 400, 1100]) {
    harness.start();
    await harness.clock.advance(lifeMs);
    harness.crash();
  }
  harness.start();
  await harness.clock.advance(120_000);
  for (const id of all) {
    assert.equal((await harness.delivery(id, "ep1"))?.state, "delivered", id);
    assert.equal((await harness.delivery(id, "ep2"))?.state, "delivered", id);
  }
  assert.deepEqual(await harness.depths(), nothing);
});
