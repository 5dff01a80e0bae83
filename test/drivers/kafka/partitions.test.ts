/** The partition of a message: as kafkajs, and so Kafka's own clients, choose it, and the same in each try. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Message, PartitionMetadata } from "kafkajs";
import kafkajs from "kafkajs";
import { murmur2 } from "@posthaste/shared/drivers/kafka/murmur2.ts";
import { createStickyPartitions } from "@posthaste/shared/drivers/kafka/partitions.ts";

const topic = "posthaste.medium";

function partitionsOf(count: number): PartitionMetadata[] {
  return Array.from({ length: count }, (_, partitionId) => {
    return { partitionErrorCode: 0, partitionId, leader: 1, replicas: [1], isr: [1] };
  });
}

test("murmur2() of Kafka's own test vectors", () => {
  // UtilsTest.testMurmur2 of Apache Kafka.
  const vectors = [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ] as const;
  for (const [key, hash] of vectors) assert.equal(murmur2(Buffer.from(key)), hash, key);
});

test("a keyed message goes to the partition that kafkajs chooses for it, whatever its key is", () => {
  const theirs = kafkajs.Partitioners.DefaultPartitioner();
  const ours = createStickyPartitions().partitioner();
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: "binary", maxLength: 60 }), fc.uint8Array({ maxLength: 60 })),
      fc.integer({ min: 1, max: 64 }),
      (key, count) => {
        const message: Message = { key: typeof key === "string" ? key : Buffer.from(key), value: null };
        const args = { topic, partitionMetadata: partitionsOf(count), message };
        assert.equal(ours(args), theirs(args));
      },
    ),
    { numRuns: 2000 },
  );
});

test("a message keeps its partition when the topic gets more, one that names its partition has that, one without a key any", () => {
  const choose = createStickyPartitions().partitioner();
  const message: Message = { key: "evt_1", value: null };
  const first = choose({ topic, partitionMetadata: partitionsOf(3), message });
  assert.equal(choose({ topic, partitionMetadata: partitionsOf(50), message }), first);
  const named: Message = { key: "evt_1", value: null, partition: 7 };
  assert.equal(choose({ topic, partitionMetadata: partitionsOf(50), message: named }), 7);
  const chosen = Array.from({ length: 60 }, () =>
    choose({ topic, partitionMetadata: partitionsOf(3), message: { value: null } }),
  );
  assert.deepEqual(new Set(chosen), new Set([0, 1, 2]));
});
