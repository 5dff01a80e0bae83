/** What brokers and topics are set to so that less is kept than is promised: refused or told at the start, with the remedy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import kafkajs from "kafkajs";
import { openKafkaPartitionLog } from "@posthaste/shared/drivers/kafka/partition-log.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { TopicSpec } from "@posthaste/shared/ports/partition-log.ts";
import { startKafka } from "../../support/services/kafka.ts";

const DAY_MS = 86_400_000;
const SPEC: TopicSpec = {
  topic: "checked",
  partitions: 1,
  replication: 1,
  minInSync: 1,
  retentionMs: 8 * DAY_MS,
  timestamps: "log",
};

function openLog(brokers: readonly string[], prefix: string) {
  return openKafkaPartitionLog({
    brokers,
    clock: systemClock,
    entropy: systemEntropy,
    clientId: "posthaste-test",
    prefix,
    onFault: () => undefined,
  });
}

test("a topic that asks for more replicas in sync than it has is refused, as it would take nothing", async () => {
  const brokers = (process.env["KAFKA_BROKERS"] ?? "").split(",");
  const prefix = `t${Buffer.from(systemEntropy.bytes(6)).toString("hex")}.`;
  await using log = await openLog(brokers, prefix);
  await log.ensureTopics([SPEC]);
  const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  const configEntries = [{ name: "min.insync.replicas", value: "2" }];
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: `${prefix}checked`, configEntries };
  await admin.alterConfigs({ validateOnly: false, resources: [resource] });
  await assert.rejects(
    log.ensureTopics([SPEC]),
    /replication 1 and min\.insync\.replicas 2, so nothing can be written .*--add-config min\.insync\.replicas=1/,
  );
  await admin.deleteTopics({ topics: [`${prefix}checked`] });
  await admin.disconnect();
});

test("brokers that forget offsets before the topics' end, or elect a replica that lags, are told", async () => {
  await using kafka = await startKafka({
    brokers: 1,
    properties: ["offsets.retention.minutes=1440", "unclean.leader.election.enable=true"],
  });
  await using log = await openLog(kafka.brokers.split(","), "x.");
  const [offsets = "", election = "", ...more] = await log.ensureTopics([SPEC]);
  assert.match(
    offsets,
    /offsets\.retention\.minutes is 1440, .* after 1\.0 days .* Set offsets\.retention\.minutes=11520/,
  );
  assert.match(election, /Set unclean\.leader\.election\.enable=false/);
  assert.deepEqual(more, []);
  const shorter = await log.ensureTopics([{ ...SPEC, topic: "shorter", retentionMs: DAY_MS }]);
  assert.deepEqual(shorter, [election]);
});
