/** What kafkajs decides by time goes by a clock that never steps: its own classes, and a time of day that is set meanwhile. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { afterEach, beforeEach, test } from "node:test";
import { repairKafkajs } from "@posthaste/shared/drivers/kafka/repairs.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";

const HOUR_MS = 3_600_000;
const NEVER = new AbortController().signal;
const quiet = { debug() {}, info() {}, warn() {}, error() {}, namespace: () => quiet };
const require = createRequire(import.meta.url);
const wallNow = Date.now;
const steadyNow = performance.now.bind(performance);

repairKafkajs(systemClock);
beforeEach(restore);
afterEach(restore);

function restore(): void {
  Date.now = wallNow;
  performance.now = steadyNow;
}

/** Sets the time of day. */
function stepWall(ms: number): void {
  Date.now = () => wallNow() + ms;
}

/** Time passes. */
function pass(ms: number): void {
  performance.now = () => steadyNow() + ms;
}

/** A member of a group that counts its heartbeats. */
function openMember() {
  const ConsumerGroup = require("kafkajs/src/consumer/consumerGroup.js");
  const member = new ConsumerGroup({ logger: quiet, instrumentationEmitter: { emit() {} }, groupId: "g", topics: [] });
  const seen = { beats: 0 };
  member.memberId = "m";
  member.coordinator = { heartbeat: () => Promise.resolve(void (seen.beats += 1)) };
  return { seen, beat: (): Promise<void> => member.heartbeat({ interval: 500 }) };
}

for (const stepMs of [-HOUR_MS, -60_000, 60_000, HOUR_MS]) {
  test(`kafkajs: heartbeats keep their interval when the clock is set by ${stepMs / 1000} s`, async () => {
    const { seen, beat } = openMember();
    await beat();
    stepWall(stepMs);
    await beat();
    assert.equal(seen.beats, 1);
    pass(500);
    await beat();
    assert.equal(seen.beats, 2);
  });
}

test("kafkajs: a heartbeat that failed is due again at once", async () => {
  const ConsumerGroup = require("kafkajs/src/consumer/consumerGroup.js");
  const member = new ConsumerGroup({ logger: quiet, instrumentationEmitter: { emit() {} }, groupId: "g", topics: [] });
  let beats = 0;
  member.memberId = "m";
  member.coordinator = { heartbeat: () => Promise.reject(new Error(`beat ${++beats}`)) };
  await assert.rejects(member.heartbeat({ interval: 500 }), /beat 1/);
  await assert.rejects(member.heartbeat({ interval: 500 }), /beat 2/);
});

/** A queue of requests to one broker, with one under way that nobody answers. */
function openQueue(requestTimeout: number) {
  const RequestQueue = require("kafkajs/src/network/requestQueue/index.js");
  const queue = new RequestQueue({
    maxInFlightRequests: null,
    requestTimeout,
    enforceRequestTimeout: true,
    logger: quiet,
  });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  let isOver = false;
  promise.then(
    () => void (isOver = true),
    () => void (isOver = true),
  );
  const entry = { correlationId: 1, apiName: "Fetch", apiKey: 1, apiVersion: 1, resolve, reject };
  queue.scheduleRequestTimeoutCheck();
  queue.push({ entry, expectResponse: true, sendRequest() {} });
  return { queue, promise, isOver: () => isOver, [Symbol.dispose]: () => queue.destroy() };
}

const looks = (count: number): Promise<void> => systemClock.sleep(count * 110, NEVER);

test("kafkajs: a request does not end when the clock is set forward", async () => {
  using open = openQueue(10_000);
  stepWall(HOUR_MS);
  await looks(3);
  assert.equal(open.isOver(), false);
});

test("kafkajs: a request ends in its time although the clock was set back", async () => {
  using open = openQueue(300);
  stepWall(-HOUR_MS);
  await assert.rejects(open.promise, /timed out/);
});

test("kafkajs: a request is no later for the time in which the process stood still", async () => {
  using open = openQueue(10_000);
  pass(60_000);
  await looks(3);
  assert.equal(open.isOver(), false);
});

test("kafkajs: a broker's throttling ends in its time when the clock is set", () => {
  const { queue } = openQueue(10_000);
  queue.destroy();
  stepWall(-HOUR_MS);
  queue.maybeThrottle(1000);
  assert.equal(queue.canSendSocketRequestImmediately(), false);
  stepWall(HOUR_MS);
  assert.equal(queue.canSendSocketRequestImmediately(), false);
  stepWall(-HOUR_MS);
  pass(1000);
  assert.equal(queue.canSendSocketRequestImmediately(), true);
});

test("kafkajs: what is known of the brokers ages by a clock that does not step", async () => {
  const BrokerPool = require("kafkajs/src/cluster/brokerPool.js");
  let questions = 0;
  const pool = new BrokerPool({ connectionPoolBuilder: {}, logger: quiet, metadataMaxAge: 300_000 });
  const broker = { metadata: () => Promise.resolve({ brokers: [], topicMetadata: [], at: ++questions }) };
  pool.seedBroker = { connectionPool: {} };
  pool.findConnectedBroker = () => Promise.resolve(broker);
  await pool.refreshMetadataIfNecessary([]);
  stepWall(HOUR_MS);
  await pool.refreshMetadataIfNecessary([]);
  assert.equal(questions, 1);
  stepWall(-HOUR_MS);
  pass(300_001);
  await pool.refreshMetadataIfNecessary([]);
  assert.equal(questions, 2);
});
