/** What was dead of an event at an endpoint ends when the endpoint has the event, whatever brought it; nothing else ends it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { ScheduleCause } from "@posthaste/shared/ports/retry-queue.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import { ENDS_WAIT_MS } from "@posthaste/processor/delivery/dead-letter-ends.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

const ONCE = { retry: { delays_s: [0] } };
const EVENT = envelopeOf("evt_a");

/** As a gateway plans it; gives its generation. */
async function replay(
  harness: ProcessorHarness,
  parts: { endpointId?: string; generation?: number; attempt?: number; cause?: ScheduleCause } = {},
): Promise<number> {
  const { endpointId = "ep1", generation = harness.clock.now(), attempt = 1, cause = "replay" } = parts;
  const plan = { cause, notBeforeMs: harness.clock.now(), endpointId, generation, attempt };
  await harness.drivers.retryQueue.schedule([scheduledEvent(EVENT, plan)]);
  return generation;
}

async function deadOf({ drivers }: ProcessorHarness): Promise<readonly string[]> {
  const { rows } = await drivers.deadLetters.list({ tenant: null }, 100, null);
  return rows.map(({ endpointId, generation, state }) => `${endpointId} ${generation} ${state}`).toSorted();
}

async function statesOf({ drivers }: ProcessorHarness, endpointId = "ep1"): Promise<readonly string[]> {
  const { rows } = await drivers.ledger.deliveries({ tenant: TENANT, eventId: EVENT.id, endpointId }, 10, null);
  return rows.map(({ generation, state }) => `${generation} ${state}`).toSorted();
}

/** An event that is dead at each of the endpoints, whose receivers are well by now. */
async function openDead(...endpointIds: readonly string[]): Promise<ProcessorHarness> {
  const harness = await openProcessorHarness();
  for (const id of endpointIds) {
    await harness.add(endpointOf(id, ONCE));
    harness.world.script(id, (_request, count) => ({ status: count === 1 ? 500 : 200 }));
  }
  const processor = harness.start();
  await harness.publish(EVENT);
  await harness.clock.advance(100);
  await harness.stop(processor);
  assert.deepEqual(
    await deadOf(harness),
    endpointIds.map((id) => `${id} 0 dead`),
  );
  return harness;
}

test("a replay that is delivered ends the dead letter of its event at its endpoint, and no other", async () => {
  await using harness = await openDead("ep1", "ep2");
  const processor = harness.start();
  const generation = await replay(harness);
  await harness.clock.advance(200);
  assert.deepEqual(harness.world.idsTo("ep1").length, 2);
  assert.deepEqual(await deadOf(harness), ["ep2 0 dead"]);
  assert.deepEqual(await statesOf(harness), ["0 dead", `${generation} delivered`]);
  const [listed] = (await harness.drivers.ledger.events({ tenant: TENANT }, 10, null)).rows;
  assert.equal(listed?.state, "partial", "the other endpoint has not got it");
  await replay(harness, { endpointId: "ep2" });
  await harness.clock.advance(200);
  assert.deepEqual(await deadOf(harness), []);
  assert.equal((await harness.drivers.ledger.events({ tenant: TENANT }, 10, null)).rows[0]?.state, "delivered");
  await harness.stop(processor);
});

test("a replay that fails as well leaves both dead letters; the next that is delivered ends both", async () => {
  await using harness = await openDead("ep1");
  harness.world.script("ep1", (_request, count) => ({ status: count === 2 ? 500 : 200 }));
  const processor = harness.start();
  const generation = await replay(harness);
  await harness.clock.advance(200);
  assert.deepEqual(await deadOf(harness), ["ep1 0 dead", `ep1 ${generation} dead`]);
  await replay(harness);
  await harness.clock.advance(200);
  assert.deepEqual(await deadOf(harness), []);
  await harness.stop(processor);
});

for (const [what, parts] of [
  ["a copy that is delivered after the other copy died", { generation: 0, attempt: 2, cause: "relieved" }],
  ["a retry of an older generation", { generation: 1, attempt: 2, cause: "retry" }],
] as const) {
  test(`${what} ends it as well`, async () => {
    await using harness = await openDead("ep1");
    const processor = harness.start({
      wrap: (drivers) => ({ ...drivers, ledger: { ...drivers.ledger, isCompleted: () => Promise.resolve(false) } }),
    });
    await replay(harness, parts);
    await harness.clock.advance(200);
    assert.deepEqual(await deadOf(harness), []);
    await harness.stop(processor);
  });
}

test("a generation that dies after a later one was delivered leaves no dead letter and is told to nobody", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 60] } }));
  await harness.add(endpointOf("owner", { ...ONCE, eventTypes: ["posthaste.delivery.dead"] }));
  harness.world.script("ep1", (_request, count) => ({ status: count === 2 ? 200 : 500 }));
  const processor = harness.start();
  await harness.publish(EVENT);
  await harness.clock.advance(100);
  const generation = await replay(harness);
  await harness.clock.advance(120_000);
  assert.equal(harness.world.idsTo("ep1").length, 3);
  assert.deepEqual(await statesOf(harness), ["0 dead", `${generation} delivered`]);
  assert.deepEqual([await deadOf(harness), harness.world.idsTo("owner")], [[], []]);
  await harness.stop(processor);
});

test("a replay that was asked for after the success and dies is a dead letter", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", ONCE));
  harness.world.script("ep1", (_request, count) => ({ status: count === 1 ? 200 : 500 }));
  const processor = harness.start();
  await harness.publish(EVENT);
  await harness.clock.advance(100);
  const generation = await replay(harness);
  await harness.clock.advance(200);
  assert.deepEqual(await deadOf(harness), [`ep1 ${generation} dead`]);
  await harness.stop(processor);
});

test("what is held for a paused endpoint ends too when a later generation was delivered, and does not come back", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 60] } }));
  harness.world.script("ep1", (_request, count) => ({ status: count === 2 ? 200 : 500 }));
  const processor = harness.start();
  await harness.publish(EVENT);
  await harness.clock.advance(100);
  const generation = await replay(harness);
  await harness.clock.advance(200);
  await harness.change("ep1", { status: "paused" });
  await harness.clock.advance(120_000);
  assert.deepEqual(await deadOf(harness), []);
  assert.deepEqual(await statesOf(harness), ["0 dead", `${generation} delivered`]);
  await harness.change("ep1", { status: "active" });
  await harness.clock.advance(60_000);
  assert.equal(harness.world.idsTo("ep1").length, 2);
  await harness.stop(processor);
});

test("what is held is not brought back once a later generation was delivered, and is shown as dead", async () => {
  await using harness = await openDead("ep1");
  const processor = harness.start();
  await harness.clock.advance(100);
  // As before it overflowed: nobody here calls it back.
  const [held] = (await harness.drivers.deadLetters.list({ tenant: null }, 1, null)).rows;
  assert.ok(held !== undefined);
  await harness.drivers.deadLetters.append([
    { ...held, id: "dlv_held", generation: 7, state: "backlog", atMs: held.atMs + 1 },
  ]);
  const { tenant, eventId, endpointId } = held;
  const nothing = { result: null, groupId: null, nextAttemptAtMs: null, reason: "too much waits", attempt: 1 };
  const key = { tenant, eventId, endpointId, generation: 7, eventType: EVENT.type, atMs: harness.clock.now() };
  harness.drivers.ledger.record([{ kind: "delivery", delivery: { ...key, ...nothing, state: "backlog" } }]);
  const generation = await replay(harness);
  await harness.clock.advance(200);
  assert.deepEqual(await deadOf(harness), []);
  assert.deepEqual(await statesOf(harness), ["0 dead", `${generation} delivered`, "7 dead"]);
  await harness.stop(processor);
});

test("the repeat of a delivery that the ledger shows as made ends what a crash before the end of dead letters has left", async () => {
  await using harness = await openDead("ep1");
  const processor = harness.start({
    wrap: (drivers) => ({
      ...drivers,
      deadLetters: { ...drivers.deadLetters, removeDelivered: () => new Promise(() => undefined) },
      retryQueue: { ...drivers.retryQueue, ack: () => new Promise(() => undefined) },
    }),
  });
  const generation = await replay(harness);
  await harness.clock.advance(200);
  assert.ok((await statesOf(harness)).includes(`${generation} delivered`));
  assert.deepEqual(await deadOf(harness), ["ep1 0 dead"]);
  harness.crash();
  void processor;
  const next = harness.start();
  await harness.clock.advance(60_000);
  assert.equal(harness.world.idsTo("ep1").length, 2, "it is not sent again");
  assert.deepEqual(await deadOf(harness), []);
  await harness.stop(next);
});

test("a store that does not answer holds up the ack for a while, and nothing else; the dead letter ends when it does", async () => {
  await using harness = await openDead("ep1");
  let isAway = true;
  const calls: string[] = [];
  const processor = harness.start({
    wrap: (drivers) => ({
      ...drivers,
      deadLetters: {
        ...drivers.deadLetters,
        removeDelivered: (delivered) =>
          isAway ? Promise.reject(new Error("away")) : drivers.deadLetters.removeDelivered(delivered),
      },
      retryQueue: {
        ...drivers.retryQueue,
        ack: (items) => drivers.retryQueue.ack(items).then(() => void calls.push("ack")),
      },
    }),
  });
  await replay(harness);
  await harness.clock.advance(ENDS_WAIT_MS / 2);
  assert.deepEqual(calls, []);
  await harness.clock.advance(ENDS_WAIT_MS);
  assert.deepEqual([calls, await deadOf(harness)], [["ack"], ["ep1 0 dead"]]);
  isAway = false;
  await harness.clock.advance(10_000);
  assert.deepEqual(await deadOf(harness), []);
  await harness.stop(processor);
});

/** How often the dead letters, and the ledger's deliveries, are asked. */
function counting(asked: string[]): (drivers: Drivers) => Drivers {
  return (drivers) => ({
    ...drivers,
    deadLetters: {
      ...drivers.deadLetters,
      removeDelivered: (delivered) => {
        asked.push(`end ${delivered.length}`);
        return drivers.deadLetters.removeDelivered(delivered);
      },
    },
    ledger: {
      ...drivers.ledger,
      record: (entries: readonly LedgerEntry[]) => drivers.ledger.record(entries),
      deliveries: (filter, limit, cursor) => {
        asked.push("deliveries");
        return drivers.ledger.deliveries(filter, limit, cursor);
      },
    },
  });
}

test("what comes straight from its lane asks for no dead letter, delivered or dead; replays that end together ask once", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", ONCE));
  harness.world.script("ep1", (request) => ({
    status: request.headers["webhook-id"]?.startsWith("evt_bad") ? 500 : 200,
  }));
  const asked: string[] = [];
  const processor = harness.start({ wrap: counting(asked) });
  const events = Array.from({ length: 40 }, (_, index) =>
    envelopeOf(`${index % 4 === 0 ? "evt_bad" : "evt_ok"}_${index}`),
  );
  await harness.publish(...events);
  await harness.clock.advance(1000);
  assert.equal((await deadOf(harness)).length, 10);
  assert.deepEqual(asked, []);
  const again = events.filter(({ id }) => id.startsWith("evt_ok")).slice(0, 5);
  const plan = { cause: "replay", notBeforeMs: harness.clock.now(), endpointId: "ep1", attempt: 1 } as const;
  const generation = harness.clock.now();
  await harness.drivers.retryQueue.schedule(again.map((event) => scheduledEvent(event, { ...plan, generation })));
  await harness.clock.advance(1000);
  assert.deepEqual(asked, ["end 5"]);
  await harness.stop(processor);
});
