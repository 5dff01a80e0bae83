/** The contract of the port `lanes` on a real Kafka: every test joins three groups, twice if it restarts. */
import assert from "node:assert/strict";
import { openKafkaPartitionLog } from "@posthaste/shared/drivers/kafka/partition-log.ts";
import { createPartitionedLanes } from "@posthaste/shared/drivers/partitioned/lanes/lanes.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Lanes } from "@posthaste/shared/ports/lanes.ts";
import type { PartitionLog } from "@posthaste/shared/ports/partition-log.ts";
import type { Harness } from "../../contract/harness.ts";
import { lanesContract } from "../../contract/lanes.contract.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import { START_MS } from "../../support/samples.ts";

const NEVER = new AbortController().signal;
const GROUP = "lanes";
const TOPICS = { high: "lane.high", medium: "lane.medium", low: "lane.low" } as const;
const WIDE = { recordsMax: 100_000, bytesMax: 2 ** 30, spanMax: 100_000, ageMsMax: 3_600_000 };
const FACT_MS = 30_000;
const LOOK_MS = 10;

lanesContract("kafka", openKafkaLanesHarness);

async function openKafkaLanesHarness(): Promise<Harness> {
  const embedded = await openMemoryHarness();
  const prefix = `test-${Buffer.from(systemEntropy.bytes(8)).toString("hex")}.`;
  let process = await openProcess(prefix);
  return {
    // The suite's events carry their own times; what Kafka takes for a join or an answer is real.
    clock: {
      now: () => START_MS,
      advance: () => process.settle(),
      settle: () => process.settle(),
      stepWall: () => undefined,
    },
    get drivers() {
      return { ...embedded.drivers, lanes: process.lanes };
    },
    async reopen() {
      await process.crash();
      process = await openProcess(prefix);
    },
    async [Symbol.asyncDispose]() {
      await process.crash();
      await embedded[Symbol.asyncDispose]();
    },
  };
}

async function openProcess(prefix: string) {
  const kafka = await openKafkaPartitionLog({
    brokers: (globalThis.process.env["KAFKA_BROKERS"] ?? "").split(","),
    clock: systemClock,
    entropy: systemEntropy,
    clientId: "posthaste-test",
    prefix,
    onFault: () => undefined,
  });
  // One partition, because the suite looks at the order of all.
  const common = { partitions: 1, replication: 1, minInSync: 1, retentionMs: -1, timestamps: "log" } as const;
  await kafka.ensureTopics(Object.values(TOPICS).map((topic) => ({ topic, ...common })));
  const watched = watch(kafka);
  const producer = kafka.openProducer("lanes");
  const lanes = createPartitionedLanes({
    partitionLog: watched.partitionLog,
    clock: systemClock,
    entropy: systemEntropy,
    topics: TOPICS,
    group: GROUP,
    producers: { high: producer, medium: producer, low: producer },
    windowBounds: WIDE,
    onPoison: () => Promise.reject(new Error("nothing is poison here")),
    offload: () => Promise.reject(new Error("nothing is offloaded here")),
  });
  await lanes.startReading();
  await until("the ends of all partitions", () => watched.asked.size === Object.keys(TOPICS).length);
  const settle = async (): Promise<void> => {
    for (const topic of Object.values(TOPICS)) {
      const [depth] = await kafka.depth(`${GROUP}.${topic.slice("lane.".length)}`, topic);
      assert.ok(depth);
      await until(`all of ${topic} is read`, () => (watched.read.get(topic) ?? depth.committed) >= depth.end);
    }
  };
  return { lanes: readAtOnce(lanes, settle), settle, crash: () => kafka[Symbol.asyncDispose]() };
}

/** Notes for which topics the end was asked and answered, and how far each was read. */
function watch(kafka: PartitionLog) {
  const asked = new Set<string>();
  const read = new Map<string, number>();
  const partitionLog: Pick<PartitionLog, "openReader" | "depth" | "writtenAt"> = {
    writtenAt: (positions) => kafka.writtenAt(positions),
    openReader: (group, topics, listener) =>
      kafka.openReader(group, topics, {
        ...listener,
        records(partition, records) {
          listener.records(partition, records);
          const last = records.at(-1);
          if (last !== undefined) read.set(last.topic, last.offset + 1);
        },
      }),
    async depth(group, topic) {
      const depths = await kafka.depth(group, topic);
      asked.add(topic);
      return depths;
    },
  };
  return { partitionLog, asked, read };
}

/** A record reaches its reader a moment after its append; the suite looks at once. */
function readAtOnce(lanes: Lanes, settle: () => Promise<void>): Lanes {
  return {
    ...lanes,
    async append(envelopes) {
      await lanes.append(envelopes);
      await settle();
    },
  };
}

async function until(fact: string, isTrue: () => boolean): Promise<void> {
  const untilMs = systemClock.monotonic() + FACT_MS;
  while (!isTrue()) {
    assert.ok(systemClock.monotonic() < untilMs, `within ${FACT_MS} ms: ${fact}`);
    await systemClock.sleep(LOOK_MS, NEVER);
  }
}
