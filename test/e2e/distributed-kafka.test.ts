/** The whole way while a broker of three is killed, and while processors join and leave in mid-flow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { startKafka } from "../support/services/kafka.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter, planOf, publishAll, untilDelivered } from "./load-under-kills.ts";

const EVENTS = process.env["POSTHASTE_FULL"] === "1" ? 6000 : 2400;
/** A reader that lost its broker is replaced after half a minute at the latest, and then has to join. */
const PATIENCE_MS = 100_000;

interface Flow {
  readonly acknowledged: number;
  readonly lost: readonly string[];
  readonly duplicates: number;
}

/** Publishes to all gateways, does each step when its share of the events was acknowledged, waits for all of it. */
async function flow(harness: DistributedHarness, steps: readonly (() => Promise<unknown>)[]): Promise<Flow> {
  await using counter = await openCounter();
  const created = await harness.ask(0, "/v1/endpoints", { url: counter.url });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  let under = Promise.resolve();
  let turn = 0;
  const target = {
    url: () => harness.gateways[turn++ % harness.gateways.length]?.url ?? "",
    isUp: () => Promise.resolve(),
    key: harness.operatorKey,
  };
  const points = steps.map((_, at) => Math.floor(((at + 1) * EVENTS) / (steps.length + 1)));
  const plans = Array.from({ length: EVENTS }, (_, index) => planOf(index)).values();
  const acknowledged = await publishAll(target, plans, (count) => {
    const step = steps[points.indexOf(count)];
    if (step !== undefined) under = under.then(() => step()).then(() => undefined);
  });
  await under;
  const lost = await untilDelivered(acknowledged, counter, PATIENCE_MS);
  for (const id of lost.slice(0, 3)) console.log(JSON.stringify((await harness.ask(0, `/v1/events/${id}`)).body));
  const duplicates = [...counter.timesById.values()].reduce((sum, times) => sum + times - 1, 0);
  console.log(`${acknowledged.size} acknowledged, ${lost.length} lost, ${duplicates} duplicates`);
  return { acknowledged: acknowledged.size, lost, duplicates };
}

test("SIGKILL of one of three brokers under load loses nothing", async () => {
  await using kafka = await startKafka({ brokers: 3 });
  await using harness = await openDistributedHarness({
    gateways: 2,
    processors: 2,
    env: { KAFKA_BROKERS: kafka.brokers, KAFKA_REPLICATION: "3" },
  });
  const { acknowledged, lost } = await flow(harness, [
    async () => {
      await kafka.nodes[0]?.kill();
    },
  ]);
  assert.equal(acknowledged, EVENTS);
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} acknowledged events were not delivered`);
});

test("processors that join and leave in mid-flow lose nothing", async () => {
  await using harness = await openDistributedHarness({ gateways: 2, processors: 1 });
  const { acknowledged, lost, duplicates } = await flow(harness, [
    () => harness.add("processor"),
    () => harness.add("processor"),
    async () => {
      const left = await harness.processors.shift()?.end("SIGTERM");
      assert.deepEqual(left, { code: 0, signal: null });
    },
    async () => {
      const killed = await harness.processors.shift()?.end("SIGKILL");
      assert.equal(killed?.signal, "SIGKILL");
    },
  ]);
  assert.equal(acknowledged, EVENTS);
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} acknowledged events were not delivered`);
  // Each change of the group may repeat what was in flight in the partitions that moved.
  assert.ok(duplicates <= 4 * PROCESSOR_LIMITS.inFlightMax, `${duplicates} duplicates`);
});
