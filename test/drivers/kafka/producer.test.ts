/** What a send of kafkajs left out is sent again before anybody is told that it was written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KafkaContext } from "@posthaste/shared/drivers/kafka/client.ts";
import { openKafkaProducer } from "@posthaste/shared/drivers/kafka/producer.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { NewRecord } from "@posthaste/shared/ports/partition-log.ts";
import type { ICustomPartitioner, Kafka, ProducerBatch, RecordMetadata } from "kafkajs";
import { withCode } from "../../contract/harness.ts";

const TOPIC = "events";
const PARTITIONS = [0, 1, 2].map((partitionId) => ({
  partitionId,
  partitionErrorCode: 0,
  leader: 1,
  replicas: [1],
  isr: [1],
}));

interface Broker {
  readonly context: KafkaContext;
  /** Keys in the order in which they were written. */
  readonly written: string[];
  sends: number;
}

/** Writes and answers for the partitions that `isSent` lets through; the send resolves all the same. */
function openBroker(isSent: (send: number, partition: number) => boolean, appendMs = 5000): Broker {
  const producer = ({ createPartitioner }: { createPartitioner: ICustomPartitioner }) => {
    const choose = createPartitioner();
    return {
      connect: () => Promise.resolve(),
      disconnect: () => Promise.resolve(),
      sendBatch({ topicMessages = [] }: ProducerBatch): Promise<RecordMetadata[]> {
        broker.sends++;
        const answers = new Map<number, RecordMetadata>();
        for (const { topic, messages } of topicMessages) {
          for (const message of messages) {
            const partition = choose({ topic, message, partitionMetadata: PARTITIONS });
            if (!isSent(broker.sends, partition)) continue;
            broker.written.push(String(message.key));
            answers.set(partition, { topicName: topic, partition, errorCode: 0 });
          }
        }
        return Promise.resolve([...answers.values()]);
      },
    };
  };
  const broker: Broker = {
    written: [],
    sends: 0,
    context: {
      kafka: { producer } as unknown as Kafka,
      clock: systemClock,
      entropy: systemEntropy,
      prefix: "",
      appendMs,
      onFault: () => undefined,
    },
  };
  return broker;
}

function records(count: number): NewRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    topic: TOPIC,
    partition: null,
    key: `evt_${index}`,
    value: new Uint8Array([index]),
    headers: {},
    timestampMs: 0,
  }));
}

test("records of a partition that a send left out are sent again, the others are not", async () => {
  const broker = openBroker((send, partition) => partition !== 1 || send >= 3);
  const producer = openKafkaProducer(broker.context, "test");
  await producer.append(records(90));
  assert.equal(broker.sends, 3);
  assert.deepEqual(
    broker.written.toSorted(),
    records(90)
      .map(({ key }) => String(key))
      .toSorted(),
  );
  await producer[Symbol.asyncDispose]();
});

test("records that no send writes are refused when the time is over", async () => {
  const broker = openBroker((_, partition) => partition !== 1, 400);
  const producer = openKafkaProducer(broker.context, "test");
  const results = await Promise.allSettled(records(30).map((record) => producer.append([record])));
  const refused = results.filter((result) => result.status === "rejected");
  assert.equal(refused.length, 30 - broker.written.length);
  assert.ok(refused.length > 0);
  for (const { reason } of refused) assert.ok(withCode("store-unavailable")(reason));
  await producer[Symbol.asyncDispose]();
});
