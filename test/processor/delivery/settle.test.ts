import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { GROUP_TYPE } from "@posthaste/shared/domain/envelope.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { ProcessorHarness, Reply } from "../../support/processor-harness.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

/** Notes the order in which the real drivers are called (`?`) and have done it (`!`); may make one of them fail. */
function recording(calls: string[], isFailing: (call: string) => boolean = () => false): (drivers: Drivers) => Drivers {
  const watch = async <Result>(call: string, write: () => Promise<Result>): Promise<Result> => {
    calls.push(`${call}?`);
    if (isFailing(call)) throw new Error("no store");
    const result = await write();
    calls.push(`${call}!`);
    return result;
  };
  return (drivers) => ({
    ...drivers,
    lanes: { ...drivers.lanes, ack: (items) => watch("ack", () => drivers.lanes.ack(items)) },
    retryQueue: {
      ...drivers.retryQueue,
      schedule: (items) => watch("schedule", () => drivers.retryQueue.schedule(items)),
    },
    deadLetters: {
      ...drivers.deadLetters,
      append: (deadLetters) => watch("dead-letter", () => drivers.deadLetters.append(deadLetters)),
    },
    ledger: {
      ...drivers.ledger,
      record(entries) {
        for (const entry of entries)
          calls.push(entry.kind === "delivery" ? `record ${entry.delivery.state}` : "record fan-out");
        drivers.ledger.record(entries);
      },
    },
  });
}

/** One event for one endpoint whose receiver answers so. */
async function deliverOne(parts: {
  reply: Reply;
  endpoint?: Partial<Endpoint>;
  calls?: string[];
  isFailing?: (call: string) => boolean;
}): Promise<ProcessorHarness> {
  const harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", parts.endpoint ?? {}));
  harness.world.script("ep1", () => parts.reply);
  harness.start({ wrap: recording(parts.calls ?? [], parts.isFailing) });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(100);
  return harness;
}

test("a delivered event waits for nothing but its 2xx: recorded, then acked", async () => {
  const calls: string[] = [];
  await using harness = await deliverOne({ reply: { status: 200 }, calls });
  assert.deepEqual(calls, ["record delivered", "ack?", "ack!"]);
  assert.equal((await harness.delivery("evt_1", "ep1"))?.state, "delivered");
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 0, dead: 0 });
});

test("a failed attempt is handed to the retry queue, durably, before it is recorded and before the ack", async () => {
  const calls: string[] = [];
  await using harness = await deliverOne({ reply: { status: 500 }, calls });
  assert.deepEqual(calls, ["schedule?", "schedule!", "record retrying", "ack?", "ack!"]);
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 1, dead: 0 });
});

test("the last failure goes to the dead-letter record, durably, before it is recorded and before the ack", async () => {
  const calls: string[] = [];
  await using harness = await deliverOne({ reply: { status: 500 }, endpoint: { retry: { delays_s: [0] } }, calls });
  assert.deepEqual(calls, ["dead-letter?", "dead-letter!", "record dead", "ack?", "ack!"]);
  assert.equal((await harness.delivery("evt_1", "ep1"))?.reason, "answered 500; attempt 1 of 1 was the last");
});

const writes: readonly (readonly [what: string, endpoint: Partial<Endpoint>])[] = [
  ["schedule", {}],
  ["dead-letter", { retry: { delays_s: [0] } }],
];

for (const [what, endpoint] of writes) {
  test(`a store that fails to ${what} keeps the item unacked, and is asked until it can`, async () => {
    const calls: string[] = [];
    let isDown = true;
    await using harness = await deliverOne({
      reply: { status: 500 },
      endpoint,
      calls,
      isFailing: (call) => isDown && call === what,
    });
    await harness.clock.advance(20_000);
    assert.ok(calls.filter((call) => call === `${what}?`).length >= 5);
    assert.deepEqual([calls.includes("ack?"), (await harness.depths()).medium], [false, 1]);
    isDown = false;
    await harness.clock.advance(10_000);
    assert.ok(calls.indexOf(`${what}!`) < calls.indexOf("ack!"));
    assert.equal((await harness.depths()).medium, 0);
  });
}

test("an ack that fails is repeated, and the delivery is not", async () => {
  const calls: string[] = [];
  let isDown = true;
  await using harness = await deliverOne({
    reply: { status: 200 },
    calls,
    isFailing: (call) => isDown && call === "ack",
  });
  await harness.clock.advance(5000);
  isDown = false;
  await harness.clock.advance(10_000);
  assert.deepEqual([harness.world.sent.length, (await harness.depths()).medium], [1, 0]);
});

test("a crash after the hand-over and before the ack makes no attempt twice", async () => {
  const calls: string[] = [];
  await using harness = await deliverOne({ reply: { status: 500 }, calls, isFailing: (call) => call === "ack" });
  harness.crash();
  harness.world.script("ep1", () => ({ status: 200 }));
  harness.start();
  await harness.clock.advance(60_000);
  assert.deepEqual(
    harness.world.sent.map(({ headers }) => headers["posthaste-attempt"]),
    ["1", "2"],
  );
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 0, dead: 0 });
});

test("410 disables the endpoint, and the delivery is dead with its reason", async () => {
  await using harness = await deliverOne({ reply: { status: 410 } });
  const endpoint = await harness.drivers.directory.find(TENANT, "ep1");
  assert.deepEqual([endpoint?.status, endpoint?.statusReason], ["disabled", "the receiver answered 410 Gone"]);
  assert.ok((endpoint?.statusSinceMs ?? 0) >= START_MS);
  const delivery = await harness.delivery("evt_1", "ep1");
  assert.deepEqual([delivery?.state, delivery?.reason], ["dead", "answered 410; the endpoint was disabled"]);
});

test("after a 410 further deliveries are held as disabled, without an attempt", async () => {
  await using harness = await deliverOne({ reply: { status: 410 } });
  await harness.publish(envelopeOf("evt_2"));
  await harness.clock.advance(1000);
  const delivery = await harness.delivery("evt_2", "ep1");
  assert.deepEqual(
    [delivery?.state, delivery?.attempts, delivery?.reason],
    ["disabled", 0, "the receiver answered 410 Gone"],
  );
  assert.equal(harness.world.sent.length, 1);
});

test("a retry that comes due for an endpoint that was deleted is dead, and says so", async () => {
  await using harness = await deliverOne({ reply: { status: 500 } });
  await harness.drivers.directory.remove(TENANT, "ep1");
  await harness.clock.advance(10_000);
  const delivery = await harness.delivery("evt_1", "ep1");
  assert.deepEqual([delivery?.state, delivery?.reason, delivery?.attempts], ["dead", "the endpoint was deleted", 1]);
});

test("attempts, bytes and ids of one delivery are one story: same id, same body, attempts counted", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 5, 5] } }));
  harness.world.script("ep1", (_request, count) => ({ status: count < 3 ? 500 : 204 }));
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(30_000);
  const { sent } = harness.world;
  assert.deepEqual(
    sent.map(({ headers }) => headers["posthaste-attempt"]),
    ["1", "2", "3"],
  );
  assert.deepEqual([new Set(harness.world.idsTo("ep1")).size, new Set(sent.map(({ body }) => body)).size], [1, 1]);
  const { rows } = await harness.drivers.ledger.attempts({ tenant: TENANT, eventId: "evt_1" }, 10, null);
  assert.deepEqual(
    rows.map(({ attempt, result }) => [attempt, result.kind === "answered" ? result.status : null]),
    [
      [3, 204],
      [2, 500],
      [1, 500],
    ],
  );
});

test("a failed group is retried whole, with the same bytes and id, and each member is recorded", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { batch: { maxEvents: 3, maxWaitMs: 100 } }));
  harness.world.script("ep1", (_request, count) => ({ status: count === 1 ? 503 : 200 }));
  harness.start();
  await harness.publish(...["evt_1", "evt_2", "evt_3"].map((id) => envelopeOf(id, "low")));
  await harness.clock.advance(20_000);
  const [first, second, ...more] = harness.world.sent;
  assert.deepEqual(
    [first?.body, first?.headers["webhook-id"], more.length],
    [second?.body, second?.headers["webhook-id"], 0],
  );
  const body = JSON.parse(first?.body ?? "") as { type: string; data: { id: string }[] };
  assert.deepEqual([body.type, body.data.map(({ id }) => id)], [GROUP_TYPE, ["evt_1", "evt_2", "evt_3"]]);
  for (const id of ["evt_1", "evt_2", "evt_3"]) {
    const delivery = await harness.delivery(id, "ep1");
    assert.deepEqual([delivery?.state, delivery?.attempts], ["delivered", 2]);
  }
});

test("a second chain of retries, which a crash left, does not replace the dead letter of the first by one that is held", async () => {
  await using harness = await deliverOne({ reply: { status: 410 } });
  const key = { cause: "retry", endpointId: "ep1", generation: 0, attempt: 3 } as const;
  await harness.drivers.retryQueue.schedule([
    scheduledEvent(envelopeOf("evt_1"), { ...key, notBeforeMs: harness.clock.now() }),
  ]);
  await harness.clock.advance(60_000);
  const { rows } = await harness.drivers.deadLetters.list({ tenant: TENANT }, 10, null);
  assert.deepEqual(
    rows.map(({ eventId, state, attempts }) => ({ eventId, state, attempts })),
    [{ eventId: "evt_1", state: "dead", attempts: 1 }],
  );
  assert.equal((await harness.depths()).retry, 0);
});
