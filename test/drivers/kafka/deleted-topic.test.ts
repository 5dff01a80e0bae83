/**
 * A topic that is deleted under its readers and made again, by us or by its operator at once: offsets begin at 0 again, and what
 * is written first to the new log is read, though the old one had gone further.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Admin } from "kafkajs";
import kafkajs from "kafkajs";
import type { KafkaOptions } from "@posthaste/shared/drivers/kafka/partition-log.ts";
import { openKafkaPartitionLog } from "@posthaste/shared/drivers/kafka/partition-log.ts";
import { repairKafkajs } from "@posthaste/shared/drivers/kafka/repairs.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { AssignedPartition, GroupListener, NewRecord, TopicSpec } from "@posthaste/shared/ports/partition-log.ts";
import { waitFor } from "../../support/services/wait-for.ts";

const WITHIN_MS = 40_000;
const OLD = 20;
/** As the keeper of topics looks. */
const LOOK_MS = 3000;
const SPEC = { partitions: 1, replication: 1, minInSync: 1, retentionMs: 86_400_000, timestamps: "log" } as const;
const DELETED: TopicSpec = { ...SPEC, topic: "deleted" };
const OTHER: TopicSpec = { ...SPEC, topic: "other" };

for (const maker of ["we make again", "its operator makes again at once"] as const) {
  for (const count of [5, 50]) {
    test(`kafka: of a deleted topic that ${maker}, the first ${count} records are read`, async () => {
      await using stand = await openStand();
      await stand.write("old", OLD);
      await stand.untilRead("old", OLD);
      await stand.commit();
      await stand.deleteTopic();
      if (maker === "we make again") await stand.untilMadeAgain();
      else await stand.createTopic();
      await stand.write("new", count);
      await stand.untilRead("new", count);
    });
  }
}

test("kafka: that its operator made a topic again at once is told, once, as of one that we make again", async () => {
  await using stand = await openStand();
  await stand.write("old", OLD);
  await stand.untilRead("old", OLD);
  await stand.commit();
  await stand.deleteTopic();
  await stand.createTopic();
  await stand.write("new", 1);
  await stand.untilMadeAgain();
  await stand.untilRead("new", 1);
  await stand.write("newer", OLD);
  await stand.untilRead("newer", OLD);
  await stand.looks(3);
  assert.deepEqual(stand.told, [[DELETED.topic]]);
});

test("kafka: a partition that was paused while its topic was deleted begins at the start, whatever is committed late", async () => {
  await using stand = await openStand();
  await stand.write("old", OLD);
  await stand.untilRead("old", OLD);
  stand.partition().pause();
  const old = stand.partition();
  await stand.deleteTopic();
  await stand.untilMadeAgain();
  await stand.write("new", OLD + 5);
  await old.commit(OLD);
  await stand.untilRead("new", OLD + 5);
});

test("kafka: a group whose only reader was away meanwhile begins at the start of the new topic", async () => {
  await using stand = await openStand();
  await stand.write("old", OLD);
  await stand.untilRead("old", OLD);
  await stand.commit();
  await stand.stopReading();
  await stand.deleteTopic();
  await stand.untilMadeAgain();
  await stand.write("new", OLD + 5);
  await stand.startReading();
  await stand.untilRead("new", OLD + 5);
});

test("kafka: while a topic is deleted the others are written and read", async () => {
  await using stand = await openStand();
  await stand.write("old", OLD);
  await stand.untilRead("old", OLD);
  await stand.deleteTopic();
  await stand.write("meanwhile", OLD, OTHER.topic);
  await stand.untilRead("meanwhile", OLD);
});

async function openStand() {
  const prefix = `t${Buffer.from(systemEntropy.bytes(6)).toString("hex")}.`;
  await using opening = new AsyncDisposableStack();
  repairKafkajs(systemClock);
  const admin = await openAdmin();
  opening.defer(() => admin.disconnect());
  opening.defer(() => removeTopics(admin, prefix));
  let madeAgain = 0;
  const told: (readonly string[])[] = [];
  const log = opening.use(
    await openKafkaPartitionLog({
      ...optionsOf(prefix),
      beforeTopicsMade: (topics) => Promise.resolve(void told.push(topics)),
      onTopicsMade: () => madeAgain++,
    }),
  );
  await log.ensureTopics([DELETED, OTHER]);
  const read = new Set<string>();
  const listener = createSkippingListener((text) => read.add(text));
  const openReader = () => log.openReader("g", [DELETED.topic, OTHER.topic], listener.listener);
  let reader = await openReader();
  const producer = opening.use(log.openProducer("p"));
  const opened = opening.move();
  return {
    told,
    /** As `/metrics` and the watch of lags do. */
    async looks(count: number): Promise<void> {
      for (let left = count; left > 0; left--) {
        await log.depth("g", DELETED.topic);
        await systemClock.sleep(LOOK_MS, new AbortController().signal);
      }
    },
    partition: () => listener.held(DELETED.topic),
    async write(name: string, count: number, topic = DELETED.topic): Promise<void> {
      const texts = Array.from({ length: count }, (_, index) => `${name} ${index}`);
      await waitFor({
        fact: `${count} records to be written`,
        withinMs: WITHIN_MS,
        holds: () =>
          producer.append(texts.map((text) => recordOf(topic, text))).then(
            () => true,
            () => false,
          ),
      });
    },
    untilRead: (name: string, count: number): Promise<void> =>
      waitFor({
        fact: `all ${count} records of ${name} to be read`,
        withinMs: WITHIN_MS,
        holds: () => [...read].filter((text) => text.startsWith(`${name} `)).length === count,
      }),
    commit: () => listener.held(DELETED.topic).commit(OLD),
    stopReading: () => Promise.resolve(reader[Symbol.asyncDispose]()),
    async startReading(): Promise<void> {
      reader = await openReader();
    },
    deleteTopic: () => admin.deleteTopics({ topics: [prefix + DELETED.topic] }),
    /** As soon as the broker lets: it may be busy with the deletion for so long that it is made again by us. */
    createTopic: (): Promise<void> =>
      waitFor({
        fact: "the topic to be there",
        withinMs: WITHIN_MS,
        async holds() {
          const topic = prefix + DELETED.topic;
          const isMade = await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }).catch(() => false);
          return isMade || (await admin.listTopics()).includes(topic);
        },
      }),
    untilMadeAgain: (): Promise<void> =>
      waitFor({ fact: "the topic to be made again", withinMs: WITHIN_MS, holds: () => madeAgain > 0 }),
    async [Symbol.asyncDispose](): Promise<void> {
      await reader[Symbol.asyncDispose]();
      await opened.disposeAsync();
    },
  };
}

/** Skips, as the port says, offsets that it was given before. */
function createSkippingListener(tell: (text: string) => void) {
  const next = new Map<AssignedPartition, number>();
  const held = new Map<string, AssignedPartition>();
  const listener: GroupListener = {
    assigned(partition) {
      held.set(partition.topic, partition);
      next.set(partition, partition.from);
    },
    lost: ({ topic }) => void held.delete(topic),
    records(partition, records) {
      for (const { offset, value } of records) {
        if (offset < (next.get(partition) ?? 0)) continue;
        next.set(partition, offset + 1);
        tell(Buffer.from(value ?? []).toString());
      }
    },
  };
  return {
    listener,
    held(topic: string): AssignedPartition {
      const partition = held.get(topic);
      assert.ok(partition !== undefined, `a partition of ${topic} is held`);
      return partition;
    },
  };
}

function recordOf(topic: string, text: string): NewRecord {
  return { topic, partition: 0, key: null, value: Buffer.from(text), headers: {}, timestampMs: 0 };
}

async function openAdmin(): Promise<Admin> {
  const admin = new kafkajs.Kafka({ brokers: brokers(), logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  return admin;
}

async function removeTopics(admin: Admin, prefix: string): Promise<void> {
  const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
  if (topics.length > 0) await admin.deleteTopics({ topics });
}

function optionsOf(prefix: string): KafkaOptions {
  return {
    brokers: brokers(),
    clock: systemClock,
    entropy: systemEntropy,
    clientId: "posthaste-test",
    prefix,
    appendMs: 3000,
    onFault: () => undefined,
  };
}

function brokers(): string[] {
  const { KAFKA_BROKERS: named } = process.env;
  assert.ok(named !== undefined, "KAFKA_BROKERS names the Kafka to test against");
  return named.split(",");
}
