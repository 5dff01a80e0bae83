/**
 * What is refused leaves nothing behind on the distributed set, and what is taken in part says so: HIGH lies in Redis and
 * the rest in Kafka, so no single store takes a batch whole.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOG_BREAKER } from "@posthaste/shared/drivers/distributed/spooled-producer.ts";
import { LANE_TOPICS } from "@posthaste/shared/drivers/distributed/topics.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import type { NewRecord, PartitionLog } from "@posthaste/shared/ports/partition-log.ts";
import { openFaultyHarness } from "../../contract/distributed-harness.ts";
import type { Harness } from "../../contract/harness.ts";
import { idsOf, takeSome } from "../../contract/harness.ts";
import type { Answer, GatewayHarness, Wish } from "../../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness } from "../../support/gateway-harness.ts";
import { sampleEnvelope, TENANT } from "../../support/samples.ts";

type Fault = (record: NewRecord) => "refused" | "written-all-the-same" | null;

/** A set whose producers fail for the records that `faultOf` names, whose spool has no room, and a gateway on it. */
async function openFaulty() {
  const state: { faultOf: Fault } = { faultOf: () => null };
  const away = () => new PosthasteError("store-unavailable", "The records were not acknowledged.");
  const wrapLog = (log: PartitionLog): PartitionLog => ({
    ...log,
    openProducer(name) {
      const producer = log.openProducer(name);
      return {
        async append(records) {
          const faults = records.map((record) => state.faultOf(record));
          if (faults.every((fault) => fault === null)) return await producer.append(records);
          const written = records.filter((_, index) => faults[index] !== "refused");
          if (written.length > 0) await producer.append(written);
          throw away();
        },
        [Symbol.asyncDispose]: () => producer[Symbol.asyncDispose](),
      };
    },
  });
  const stack = new AsyncDisposableStack();
  const set: Harness = stack.use(await openFaultyHarness(wrapLog));
  const gateway: GatewayHarness = stack.use(
    await openGatewayHarness({
      wrap: ({ apiKeys, rateLimiter }) => ({ ...set.drivers, apiKeys, rateLimiter }),
    }),
  );
  const call = async (method: string, path: string, wish?: Wish): Promise<Answer> => {
    const answer = gateway.call(method, path, wish);
    await set.clock.settle();
    return await answer;
  };
  /** The log is well again, and has been tried. */
  const mend = async (): Promise<void> => {
    state.faultOf = () => null;
    await set.clock.advance(LOG_BREAKER.probeAfterMsMax);
  };
  return { state, set, call, mend, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const ofTopic =
  (topic: string, fault: ReturnType<Fault>): Fault =>
  (record) =>
    record.topic === topic ? fault : null;
const statuses = (answer: Answer): unknown[] => {
  const data = at(answer.json, "data");
  assert.ok(Array.isArray(data), answer.text);
  return data.map((row) => at(row, "status"));
};
const BATCH = "/v1/events/batch";

test("a batch of HIGH and MEDIUM without Kafka says of each event whether it was taken; the rest leaves nothing", async () => {
  await using faulty = await openFaulty();
  const { state, set, call, mend } = faulty;
  state.faultOf = ofTopic(LANE_TOPICS.medium, "refused");
  const events = [
    { id: "h", type: "a", data: 1, priority: "HIGH" },
    { id: "m", type: "a", data: 1 },
    { type: "a", data: 2 },
    { id: "l", type: "a", data: 1, priority: "LOW" },
  ];
  const answer = await call("POST", BATCH, { body: { events }, headers: { "idempotency-key": "k" } });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(statuses(answer), [202, 503, 503, 202]);
  assert.equal(at(answer.json, "data.1.problem.code"), "overloaded");
  assert.deepEqual(idsOf(await takeSome(set, "high")), ["h"]);
  assert.deepEqual(idsOf(await takeSome(set, "low")), ["l"]);
  const listed = await call("GET", "/v1/events");
  const listedIds = new Set([at(listed.json, "data.0.id"), at(listed.json, "data.1.id")]);
  assert.deepEqual(listedIds, new Set(["h", "l"]));
  assert.equal(at(listed.json, "data.2"), undefined);
  assertProblem(await call("GET", "/v1/events/m"), 404, "not-found");
  // Repeated under its key the batch is whole: what was taken keeps its answer, the rest is taken now.
  await mend();
  assert.equal((await call("POST", "/v1/events", { body: { type: "first", data: 0, priority: "LOW" } })).status, 202);
  const again = await call("POST", BATCH, { body: { events }, headers: { "idempotency-key": "k" } });
  assert.deepEqual(statuses(again), [202, 202, 202, 202]);
  assert.equal(at(again.json, "data.0.idempotent_replayed"), true);
  assert.equal((await takeSome(set, "medium")).length, 2);
  const third = await call("POST", BATCH, { body: { events }, headers: { "idempotency-key": "k" } });
  assert.equal(third.headers.get("idempotent-replayed"), "true");
  assert.equal(third.text, again.text);
});

test("a refused event is not listed, and another body may take its id at once", async () => {
  await using faulty = await openFaulty();
  const { state, set, call, mend } = faulty;
  state.faultOf = ofTopic(LANE_TOPICS.medium, "refused");
  assertProblem(await call("POST", "/v1/events", { body: { id: "m", type: "a", data: 1 } }), 503, "overloaded");
  assert.deepEqual(at((await call("GET", "/v1/events")).json, "data"), []);
  await mend();
  const other = await call("POST", "/v1/events", { body: { id: "m", type: "a", data: 2 } });
  assert.equal(other.status, 202, other.text);
  const [item] = await takeSome(set, "medium");
  assert.match(new TextDecoder().decode(item?.envelope.body), /"data":2\}$/);
  assertProblem(await call("POST", "/v1/events", { body: { id: "m", type: "a", data: 1 } }), 409, "id-conflict");
});

test("an event that was written although its append failed does not stand for the next under its id", async () => {
  for (const priority of ["MEDIUM", "LOW"] as const) {
    await using faulty = await openFaulty();
    const { state, set, call, mend } = faulty;
    const lane = priority === "LOW" ? "low" : "medium";
    state.faultOf = ofTopic(LANE_TOPICS[lane], "written-all-the-same");
    assert.equal((await call("POST", "/v1/events", { body: { id: "x", type: "a", data: 1, priority } })).status, 503);
    await mend();
    assert.equal((await call("POST", "/v1/events", { body: { id: "x", type: "a", data: 2, priority } })).status, 202);
    const bodies = (await takeSome(set, lane)).map(({ envelope }) => new TextDecoder().decode(envelope.body));
    assert.ok(
      bodies.some((body) => body.endsWith('"data":2}')),
      bodies.join(),
    );
  }
});

test("the same event repeated after a failed append that was written is handed out once", async () => {
  await using faulty = await openFaulty();
  const { state, set, call, mend } = faulty;
  state.faultOf = ofTopic(LANE_TOPICS.medium, "written-all-the-same");
  const wish = { body: { id: "x", type: "a", data: 1 } };
  assert.equal((await call("POST", "/v1/events", wish)).status, 503);
  await mend();
  assert.equal((await call("POST", "/v1/events", wish)).status, 202);
  assert.deepEqual(idsOf(await takeSome(set, "medium")), ["x"]);
});

test("of a batch whose records fail one by one, each is answered for itself", async () => {
  await using faulty = await openFaulty();
  const { state, set, call } = faulty;
  state.faultOf = (record) => (record.key === "b" ? "refused" : null);
  const events = ["a", "b", "c"].map((id) => ({ id, type: "a", data: 1 }));
  assert.deepEqual(statuses(await call("POST", BATCH, { body: { events } })), [202, 503, 202]);
  assert.deepEqual(idsOf(await takeSome(set, "medium")), ["a", "c"]);
});

test("an event that was known before a failed append stays known", async () => {
  await using faulty = await openFaulty();
  const { state, set } = faulty;
  const { lanes, ledger } = set.drivers;
  await lanes.append([sampleEnvelope("evt_a")]);
  state.faultOf = () => "refused";
  const failing = assert.rejects(lanes.append([sampleEnvelope("evt_a")]));
  await set.clock.settle();
  await failing;
  assert.notEqual(await ledger.event(TENANT, "evt_a"), null);
});

test("an event that a reader met although its append failed stays known", async () => {
  await using faulty = await openFaulty();
  const { state, set } = faulty;
  const { lanes, ledger } = set.drivers;
  const envelope = sampleEnvelope("evt_met");
  state.faultOf = (record) => {
    const { tenant, acceptedAtMs } = envelope;
    const fanOut = {
      tenant,
      eventId: "evt_met",
      atMs: acceptedAtMs,
      matched: [],
      matchedCount: 0,
      filtered: [],
      filteredCount: 0,
    };
    ledger.record([{ kind: "fan-out", fanOut }]);
    return record.key === "evt_met" ? "written-all-the-same" : null;
  };
  // Known first, as it is in life: the reader is told by the log.
  const failing = assert.rejects(lanes.append([envelope]));
  await set.clock.settle();
  await set.clock.advance(1000);
  await failing;
  await set.clock.settle();
  assert.notEqual(await ledger.event(TENANT, "evt_met"), null);
});

test("a replay that cannot be planned leaves no event behind", async () => {
  await using faulty = await openFaulty();
  const { state, set } = faulty;
  const { retryQueue, ledger } = set.drivers;
  state.faultOf = () => "refused";
  const plan = {
    cause: "replay",
    notBeforeMs: set.clock.now(),
    endpointId: "ep_1",
    generation: 1,
    attempt: 1,
  } as const;
  const failing = assert.rejects(retryQueue.schedule([scheduledEvent(sampleEnvelope("evt_test"), plan)]));
  await set.clock.settle();
  await failing;
  assert.equal(await ledger.event(TENANT, "evt_test"), null);
});
