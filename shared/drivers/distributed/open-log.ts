/** Opens the Kafka of the settings, with all topics there. */
import type { DistributedConfig } from "../../domain/distributed-config.ts";
import type { Clock, Entropy } from "../../lib/ambient.ts";
import type { PartitionLog } from "../../ports/partition-log.ts";
import type { KafkaOptions } from "../kafka/partition-log.ts";
import { openKafkaPartitionLog } from "../kafka/partition-log.ts";
import { topicSpecs } from "./topics.ts";

export interface LogOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly config: DistributedConfig;
  /** Names the client to the broker. */
  readonly role: string;
  /** What an operator should know about the topics, one sentence each. */
  readonly onWarning: (warning: string) => void;
}

/** Throws a plain Error that names the setting when Kafka is not there, or refuses us. */
export async function openLog(
  { clock, entropy, config, role, onWarning }: LogOptions,
  events: Required<Pick<KafkaOptions, "onFault" | "beforeTopicsMade" | "onTopicsMade">>,
): Promise<PartitionLog> {
  const { kafka } = config;
  const partitionLog = await openKafkaPartitionLog({
    brokers: kafka.brokers,
    clock,
    entropy,
    clientId: `posthaste-${role}`,
    prefix: kafka.prefix,
    ...events,
    ...(kafka.isTls ? { ssl: true } : {}),
    ...(kafka.sasl === null ? {} : { sasl: kafka.sasl }),
  });
  try {
    for (const warning of await partitionLog.ensureTopics(topicSpecs(kafka))) onWarning(warning);
    return partitionLog;
  } catch (error) {
    await partitionLog[Symbol.asyncDispose]();
    throw error;
  }
}
